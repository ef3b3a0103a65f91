"""Tensors of strings, which are copied both ways."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from cpython.unicode cimport (
    PyUnicode_AsUTF8AndSize,
    PyUnicode_DATA,
    PyUnicode_DecodeUTF8,
    PyUnicode_GET_LENGTH,
    PyUnicode_KIND,
    PyUnicode_New,
)
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from ortmmap.runtime.library cimport api, check
from ortmmap.values.native_tensor cimport allocated_tensor
from ortmmap.values.utf8 cimport (
    Unit,
    character_bound,
    character_count,
    decode,
    encode,
    encode_ascii,
    encoded_size,
    is_ascii,
)

from ortmmap.errors import InvalidArgument

cnp.import_array()

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT(object text)
    bint PyUnicode_IS_COMPACT_ASCII(object text)


@cython.no_gc
cdef class StringTensor(Value):
    """A tensor of strings, which can be filled again and again."""

    cdef int fill(self, cnp.ndarray array) except -1:
        """Copy the texts of an array of the tensor's shape into the tensor."""
        return _fill(&self.strings, array)


cdef StringTensor new_string_tensor(cnp.ndarray array):
    """Make a tensor of empty strings, of an array's shape."""
    cdef StringTensor made = StringTensor.__new__(StringTensor)
    check(allocated_tensor(
        <const int64_t *>cnp.PyArray_DIMS(array),
        cnp.PyArray_NDIM(array),
        ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING,
        &made.value,
    ))
    made.strings.tensor = made.value
    return made


cdef ort.OrtValue *string_tensor(cnp.ndarray array) except NULL:
    """Make a tensor of an array's texts."""
    cdef StringTensor made = new_string_tensor(array)
    cdef ort.OrtValue *value
    made.fill(array)
    value, made.value = made.value, NULL
    return value


cdef int _fill(Strings *strings, cnp.ndarray array) except -1:
    if cnp.PyArray_TYPE(array) == cnp.NPY_UNICODE:
        return _fill_from_unicode(strings, array)
    if cnp.PyArray_TYPE(array) == cnp.NPY_VOID:
        return _fill_from_void(strings, array)
    if cnp.PyArray_TYPE(array) == cnp.NPY_OBJECT and cnp.PyArray_IS_C_CONTIGUOUS(array):
        return _fill_from_objects(strings, array)
    return _fill_from_list(strings, array.ravel().tolist(), 0)


cdef int _fill_from_objects(Strings *strings, cnp.ndarray array) except -1:
    cdef PyObject **items = <PyObject **>cnp.PyArray_DATA(array)
    cdef size_t index
    for index in range(<size_t>cnp.PyArray_SIZE(array)):
        if items[index] == NULL or not _is_text(<object>items[index]):
            # str() may run any code, which may change the array: fill from a copy.
            return _fill_from_list(strings, array.ravel().tolist(), index)
        _put(strings, index, <object>items[index])
    return 0


cdef int _fill_from_list(Strings *strings, list items, size_t first) except -1:
    """Fill from element `first` on; items that are neither str nor bytes become their str()."""
    cdef size_t index
    for index in range(first, <size_t>len(items)):
        item = items[index]
        _put(strings, index, item if _is_text(item) else str(item))
    return 0


cdef inline bint _is_text(object item):
    return isinstance(item, (str, bytes))


cdef int _fill_from_unicode(Strings *strings, cnp.ndarray array) except -1:
    """Fill with texts of a fixed width in UTF-32, padded with NULs."""
    cdef cnp.ndarray native = cnp.PyArray_FROM_OF(
        array, cnp.NPY_ARRAY_CARRAY_RO | cnp.NPY_ARRAY_NOTSWAPPED
    )
    cdef const uint32_t *units = <const uint32_t *>cnp.PyArray_DATA(native)
    cdef size_t width = cnp.PyArray_ITEMSIZE(native) // sizeof(uint32_t)
    cdef size_t index, count
    for index in range(<size_t>cnp.PyArray_SIZE(native)):
        count = width
        while count and units[count - 1] == 0:
            count -= 1
        if not _put_units(strings, index, units, count):
            return _fill_from_list(strings, array.ravel().tolist(), index)   # raises
        units += width
    return 0


cdef int _fill_from_void(Strings *strings, cnp.ndarray array) except -1:
    """Fill with all bytes of each element, trailing NULs and the fields of structs included."""
    cdef cnp.ndarray contiguous
    cdef const char *element
    cdef size_t width = cnp.PyArray_ITEMSIZE(array)
    cdef size_t index
    if array.dtype.hasobject:
        raise InvalidArgument(f"a tensor of strings cannot be made of the objects in {array.dtype}")
    contiguous = cnp.PyArray_FROM_OF(array, cnp.NPY_ARRAY_C_CONTIGUOUS)
    element = <const char *>cnp.PyArray_DATA(contiguous)
    for index in range(<size_t>cnp.PyArray_SIZE(contiguous)):
        _put_bytes(strings, index, element, width)
        element += width
    return 0


cdef inline int _put(Strings *strings, size_t index, object text) except -1:
    """Set an element to a str, as UTF-8, or to bytes as they are."""
    cdef Py_ssize_t size
    cdef bint valid
    if isinstance(text, bytes):
        return _put_bytes(strings, index, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
    size = PyUnicode_GET_LENGTH(text)
    if PyUnicode_IS_COMPACT_ASCII(text):
        return _put_bytes(strings, index, <const char *>PyUnicode_DATA(text), size)
    if PyUnicode_IS_COMPACT(text):
        kind = PyUnicode_KIND(text)
        if kind == 1:
            valid = _put_units(strings, index, <const uint8_t *>PyUnicode_DATA(text), size)
        elif kind == 2:
            valid = _put_units(strings, index, <const uint16_t *>PyUnicode_DATA(text), size)
        else:
            valid = _put_units(strings, index, <const uint32_t *>PyUnicode_DATA(text), size)
        if valid:
            return 0
    data = PyUnicode_AsUTF8AndSize(text, &size)   # a subclass, or it raises
    return _put_bytes(strings, index, data, size)


cdef inline int _put_bytes(
    Strings *strings, size_t index, const char *text, size_t size
) except -1:
    memcpy(_element(strings, index, size), text, size)
    return 0


cdef inline bint _put_units(
    Strings *strings, size_t index, const Unit *units, size_t count
) except -1:
    """Set an element to `count` units; return False if one of them is no character."""
    cdef size_t size = encoded_size(units, count)
    cdef char *element = _element(strings, index, size)
    if size > count:
        return encode(units, count, element)
    encode_ascii(units, count, element)
    return True


cdef inline char *_element(Strings *strings, size_t index, size_t size) except NULL:
    """Resize an element to `size` bytes, and return where they lie."""
    cdef char *element = NULL
    check(api.GetResizedStringTensorElementBuffer(strings.tensor, index, size, &element))
    strings.written += size
    strings.longest = max(strings.longest, size)
    return element


cdef cnp.ndarray string_array(ort.OrtValue *tensor, int rank, cnp.npy_intp *shape):
    """Make an array of str of a tensor's texts, or of those of a sparse tensor's values."""
    cdef cnp.ndarray array = cnp.PyArray_SimpleNew(rank, shape, cnp.NPY_OBJECT)   # all NULL
    cdef size_t count = cnp.PyArray_SIZE(array)
    cdef size_t length = 0
    cdef size_t *offsets
    cdef char *content
    if count == 0:
        return array
    check(api.GetStringTensorDataLength(tensor, &length))
    offsets = <size_t *>malloc((count + 1) * sizeof(size_t) + length)
    if offsets == NULL:
        raise MemoryError(f"{count} strings of {length} bytes")
    content = <char *>(offsets + count + 1)
    try:
        check(api.GetStringTensorContent(tensor, content, length, offsets, count))
        offsets[count] = length
        _fill_strings(<PyObject **>cnp.PyArray_DATA(array), count, content, offsets)
    finally:
        free(offsets)
    return array


cdef int _fill_strings(
    PyObject **items, size_t count, const char *content, const size_t *offsets
) except -1:
    """Set `items`, all NULL, to the texts that begin at `offsets`."""
    cdef const uint8_t *begin
    cdef size_t index
    for index in range(count):
        begin = <const uint8_t *>content + offsets[index]
        text = _decoded(begin, offsets[index + 1] - offsets[index])
        Py_INCREF(text)
        items[index] = <PyObject *>text
    return 0


cdef inline object _decoded(const uint8_t *text, size_t size):
    cdef uint8_t highest = 0
    cdef size_t count
    cdef bint valid
    if is_ascii(text, size):
        if size < 2:   # Python has one object for each string of one character
            return PyUnicode_DecodeUTF8(<const char *>text, size, NULL)
        made = PyUnicode_New(size, 0x7F)
        memcpy(PyUnicode_DATA(made), text, size)
        return made
    count = character_count(text, size, &highest)
    if count > 1:
        made = PyUnicode_New(count, character_bound(highest))
        kind = PyUnicode_KIND(made)
        if kind == 1:
            valid = decode(text, size, <uint8_t *>PyUnicode_DATA(made))
        elif kind == 2:
            valid = decode(text, size, <uint16_t *>PyUnicode_DATA(made))
        else:
            valid = decode(text, size, <uint32_t *>PyUnicode_DATA(made))
        if valid:
            return made
    return PyUnicode_DecodeUTF8(<const char *>text, size, NULL)   # one character, or it raises
