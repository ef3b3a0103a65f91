"""Tensors of strings, which are copied both ways."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from cpython.unicode cimport (
    PyUnicode_AsUTF8AndSize,
    PyUnicode_DATA,
    PyUnicode_DecodeUTF8,
    PyUnicode_New,
)
from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from ortmmap._runtime cimport allocator, api, check
from ortmmap._values cimport Value

cnp.import_array()


cdef struct Texts:
    # UTF-8, each followed by a NUL.
    size_t count
    const char **texts
    size_t *sizes


cdef ort.OrtValue *string_tensor(cnp.ndarray array) except NULL:
    """Make a tensor of the texts of `array`."""
    cdef Value owner = Value.__new__(Value)
    cdef ort.OrtValue *value
    cdef Texts texts
    check(api.CreateTensorAsOrtValue(
        allocator,
        <const int64_t *>cnp.PyArray_DIMS(array),
        cnp.PyArray_NDIM(array),
        ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING,
        &owner.value,
    ))
    texts.count = cnp.PyArray_SIZE(array)
    texts.texts = <const char **>malloc(texts.count * 2 * sizeof(void *))
    texts.sizes = <size_t *>(texts.texts + texts.count)
    if texts.texts == NULL:
        raise MemoryError(f"{texts.count} strings")
    try:
        if cnp.PyArray_TYPE(array) == cnp.NPY_UNICODE:
            _fill_from_unicode(owner.value, &texts, array)
        else:
            _fill_from_objects(owner.value, &texts, _objects_of(array))
    finally:
        free(texts.texts)
    value, owner.value = owner.value, NULL
    return value


cdef list _objects_of(cnp.ndarray array):
    """Give the elements of an array, in C order."""
    cdef PyObject **elements = <PyObject **>cnp.PyArray_DATA(array)
    cdef list objects
    cdef Py_ssize_t index
    if cnp.PyArray_TYPE(array) != cnp.NPY_OBJECT or not cnp.PyArray_IS_C_CONTIGUOUS(array):
        return array.ravel().tolist()
    objects = [None] * cnp.PyArray_SIZE(array)
    for index in range(len(objects)):
        if elements[index] != NULL:   # which numpy takes for None
            objects[index] = <object>elements[index]
    return objects


cdef int _fill_from_objects(ort.OrtValue *tensor, Texts *texts, list items) except -1:
    """Fill with str as UTF-8, bytes as they are, anything else as its str()."""
    cdef size_t index
    cdef Py_ssize_t size
    for index in range(texts.count):
        item = items[index]
        if isinstance(item, bytes):
            texts.texts[index], texts.sizes[index] = PyBytes_AS_STRING(item), PyBytes_GET_SIZE(item)
            continue
        if not isinstance(item, str):
            item = items[index] = str(item)   # the list keeps it
        texts.texts[index] = PyUnicode_AsUTF8AndSize(item, &size)
        texts.sizes[index] = size
    return _fill(tensor, texts)


cdef int _fill_from_unicode(ort.OrtValue *tensor, Texts *texts, cnp.ndarray array) except -1:
    """Fill with the texts of a fixed width, in UTF-32, that `array` holds."""
    cdef cnp.ndarray native = cnp.PyArray_FROM_OF(
        array, cnp.NPY_ARRAY_CARRAY_RO | cnp.NPY_ARRAY_NOTSWAPPED
    )
    cdef const uint32_t *units = <const uint32_t *>cnp.PyArray_DATA(native)
    cdef size_t width = cnp.PyArray_ITEMSIZE(native) // sizeof(uint32_t)
    cdef char *encoded = <char *>malloc(texts.count * (4 * width + 1) + 1)
    cdef bint valid
    if encoded == NULL:
        raise MemoryError(f"{texts.count} strings of up to {width} characters")
    try:
        with nogil:
            valid = _encode(units, width, encoded, texts)
        if not valid:   # Python says what is wrong
            return _fill_from_objects(tensor, texts, array.ravel().tolist())
        return _fill(tensor, texts)
    finally:
        free(encoded)


cdef bint _encode(
    const uint32_t *units, size_t width, char *room, Texts *texts
) noexcept nogil:
    """Encode as UTF-8 what is `width` units each, filled up with NULs. False: it is no text."""
    cdef size_t index, position, length
    cdef char *end = room
    for index in range(texts.count):
        texts.texts[index] = end
        length = width
        while length and units[length - 1] == 0:
            length -= 1
        for position in range(length):
            end = _encode_one(units[position], end)
            if end == NULL:
                return False
        texts.sizes[index] = end - texts.texts[index]
        end[0] = 0
        end += 1
        units += width
    return True


cdef inline char *_encode_one(uint32_t unit, char *end) noexcept nogil:
    """Write a character as UTF-8, and give where the next one goes. NULL: it is none."""
    if unit < 0x80:
        end[0] = <char>unit
        return end + 1
    if unit < 0x800:
        end[0] = <char>(0xC0 | unit >> 6)
        end[1] = <char>(0x80 | unit & 0x3F)
        return end + 2
    if unit < 0x10000:
        if 0xD800 <= unit < 0xE000:
            return NULL
        end[0] = <char>(0xE0 | unit >> 12)
        end[1] = <char>(0x80 | unit >> 6 & 0x3F)
        end[2] = <char>(0x80 | unit & 0x3F)
        return end + 3
    if unit > 0x10FFFF:
        return NULL
    end[0] = <char>(0xF0 | unit >> 18)
    end[1] = <char>(0x80 | unit >> 12 & 0x3F)
    end[2] = <char>(0x80 | unit >> 6 & 0x3F)
    end[3] = <char>(0x80 | unit & 0x3F)
    return end + 4


cdef int _fill(ort.OrtValue *tensor, const Texts *texts) except -1:
    """Copy the texts into a tensor."""
    cdef char *buffer
    cdef size_t expected = 0
    cdef size_t filled = 0
    cdef size_t index
    with nogil:
        check(api.FillStringTensor(tensor, texts.texts, texts.count))
        check(api.GetStringTensorDataLength(tensor, &filled))
        for index in range(texts.count):
            expected += texts.sizes[index]
        if filled == expected:
            return 0
        for index in range(texts.count):   # a NUL in a text was taken for its end
            buffer = NULL
            check(api.GetResizedStringTensorElementBuffer(
                tensor, index, texts.sizes[index], &buffer
            ))
            memcpy(buffer, texts.texts[index], texts.sizes[index])
    return 0


cdef cnp.ndarray string_array(ort.OrtValue *tensor, int rank, cnp.npy_intp *shape):
    """Make an array of str from the texts of a tensor, or of a sparse tensor's values."""
    cdef cnp.ndarray array = cnp.PyArray_SimpleNew(rank, shape, cnp.NPY_OBJECT)   # of NULLs
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
    """Set `items`, all NULL, to the strings that begin at `offsets`."""
    cdef bint ascii_only
    cdef size_t index
    with nogil:
        ascii_only = _is_ascii(content, offsets[count])
    for index in range(count):
        text = _decode(content + offsets[index], offsets[index + 1] - offsets[index], ascii_only)
        Py_INCREF(text)
        items[index] = <PyObject *>text
    return 0


cdef inline object _decode(const char *content, Py_ssize_t size, bint ascii_only):
    if not ascii_only or size < 2:   # Python has one object for each string of one character
        return PyUnicode_DecodeUTF8(content, size, NULL)
    text = PyUnicode_New(size, 127)
    memcpy(PyUnicode_DATA(text), content, size)
    return text


cdef bint _is_ascii(const char *content, size_t size) noexcept nogil:
    cdef char seen = 0
    cdef size_t index
    for index in range(size):
        seen |= content[index]
    return not seen & 0x80
