"""numpy to OrtValue and back.

A numeric array is passed as it lies, without a copy; ONNX Runtime borrows its memory for the
length of the call. A tensor comes back as an array over ONNX Runtime's own memory, which the
array keeps alive. Strings are copied both ways.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_DecodeUTF8
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from ortmmap._runtime cimport allocator, api, api_24, check, cpu_memory

import numpy as np

from ortmmap.errors import InvalidArgument, NotImplemented

cnp.import_array()

cdef enum:
    ELEMENT_TYPES = 23      # ONNX element types that have a name here, from UNDEFINED on
    NUMPY_TYPES = 24        # numpy's built-in type numbers, NPY_BOOL to NPY_HALF
    MOST_DIMENSIONS = 64    # what numpy 2 allows

# Both tables are filled at import and constant from then on.
cdef int _numpy_type[ELEMENT_TYPES]      # -1: numpy has no such type
cdef int _element_type[NUMPY_TYPES]      # UNDEFINED: ONNX has no such type

cdef tuple _element_names = (
    "undefined", "float", "uint8", "int8", "uint16", "int16", "int32", "int64", "string", "bool",
    "float16", "double", "uint32", "uint64", "complex64", "complex128", "bfloat16",
    "float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz", "uint4", "int4",
)


NUMPY_TYPES_BY_ELEMENT = {
    ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT: cnp.NPY_FLOAT32,
    ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8: cnp.NPY_UINT8,
    ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8: cnp.NPY_INT8,
    ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16: cnp.NPY_UINT16,
    ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16: cnp.NPY_INT16,
    ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32: cnp.NPY_INT32,
    ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64: cnp.NPY_INT64,
    ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING: cnp.NPY_OBJECT,
    ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL: cnp.NPY_BOOL,
    ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16: cnp.NPY_FLOAT16,
    ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE: cnp.NPY_FLOAT64,
    ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32: cnp.NPY_UINT32,
    ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64: cnp.NPY_UINT64,
    ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_COMPLEX64: cnp.NPY_COMPLEX64,
    ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_COMPLEX128: cnp.NPY_COMPLEX128,
}


cdef int fill_tables() except -1:
    cdef int number
    for number in range(ELEMENT_TYPES):
        _numpy_type[number] = NUMPY_TYPES_BY_ELEMENT.get(number, -1)
    for number in range(NUMPY_TYPES):
        _element_type[number] = ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED
    for element_type, number in NUMPY_TYPES_BY_ELEMENT.items():
        _element_type[number] = element_type
    for number in (cnp.NPY_STRING, cnp.NPY_UNICODE):
        _element_type[number] = ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING
    for name in ("intc", "int", "longlong", "uintc", "uint", "ulonglong"):
        dtype = np.dtype(name)   # C's integer types of one size have each a number in numpy
        canonical = np.dtype(f"{dtype.kind}{dtype.itemsize}")
        _element_type[<int>dtype.num] = _element_type[<int>canonical.num]
    return 0


fill_tables()


@cython.final
@cython.freelist(64)
cdef class OrtValue:
    """Owns one value of ONNX Runtime."""

    def __dealloc__(self):
        if self.value != NULL:
            api.ReleaseValue(self.value)


cdef OrtValue own(ort.OrtValue *value):
    """Take over `value`, to be released with the object."""
    cdef OrtValue owner = OrtValue.__new__(OrtValue)
    owner.value = value
    return owner


cdef str element_type_name(int element_type):
    """Name an element type as ONNX Runtime's texts do: ``float``, ``int64`` …"""
    if 0 <= element_type < ELEMENT_TYPES:
        return _element_names[element_type]
    return f"element type {element_type}"


cdef int element_type_of(cnp.ndarray array) noexcept:
    cdef int number = cnp.PyArray_TYPE(array)
    return _element_type[number] if number < NUMPY_TYPES else _element_type_of_extension(array)


cdef int _element_type_of_extension(cnp.ndarray array) noexcept:
    if array.dtype.kind == "T":   # numpy.dtypes.StringDType
        return ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING
    return ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED


cdef cnp.ndarray as_tensor_array(object data, int element_type, str name):
    """Give `data` as an array that can be passed as it lies: C-contiguous, aligned, native.

    An array that is all of that already is returned itself.
    """
    cdef cnp.ndarray array
    if cnp.PyArray_Check(data):
        array = <cnp.ndarray>data
    else:
        array = _array_of(data, element_type)
    if element_type_of(array) != element_type:
        _raise_type(array, element_type, name)
    if element_type == ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING or cnp.PyArray_ISCARRAY_RO(array):
        return array
    return cnp.PyArray_FROM_OF(array, cnp.NPY_ARRAY_CARRAY_RO | cnp.NPY_ARRAY_NOTSWAPPED)


cdef cnp.ndarray _array_of(object data, int element_type):
    """Make an array of what is none; Python's own numbers take the type that the model wants."""
    cdef int number
    if data is None or isinstance(data, dict):
        raise TypeError(f"a tensor cannot be made from {type(data).__name__}")
    array = np.asarray(data)
    number = _numpy_type[element_type] if 0 <= element_type < ELEMENT_TYPES else -1
    if not isinstance(data, (list, tuple, bool, int, float, complex)) or number < 0:
        return array
    wanted = <object>cnp.PyArray_DescrFromType(number)
    if array.size == 0 or np.can_cast(array.dtype, wanted, "same_kind"):
        return array.astype(wanted)
    return array


cdef int _raise_type(cnp.ndarray array, int element_type, str name) except -1:
    cdef int found = element_type_of(array)
    actual = f"tensor({element_type_name(found)})" if found else f"numpy {array.dtype}"
    raise InvalidArgument(
        "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Unexpected input data type. "
        f"Actual: ({actual}) , expected: (tensor({element_type_name(element_type)})) "
        f"for input: {name}"
    )


cdef ort.OrtValue *tensor_from_array(cnp.ndarray array, int element_type) except NULL:
    """Make a tensor over `array`, which as_tensor_array gave and which must outlive the tensor."""
    cdef ort.OrtValue *value = NULL
    if element_type == ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING:
        return _string_tensor(array)
    check(api.CreateTensorWithDataAsOrtValue(
        cpu_memory,
        cnp.PyArray_DATA(array),
        cnp.PyArray_NBYTES(array),
        <const int64_t *>cnp.PyArray_DIMS(array),
        cnp.PyArray_NDIM(array),
        <ort.ONNXTensorElementDataType>element_type,
        &value,
    ))
    return value


cdef ort.OrtValue *_string_tensor(cnp.ndarray array) except NULL:
    cdef OrtValue owner = OrtValue.__new__(OrtValue)
    cdef ort.OrtValue *value
    cdef size_t index = 0
    check(api.CreateTensorAsOrtValue(
        allocator,
        <const int64_t *>cnp.PyArray_DIMS(array),
        cnp.PyArray_NDIM(array),
        ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING,
        &owner.value,
    ))
    for item in array.ravel().tolist():
        _set_string(owner.value, index, item)
        index += 1
    value, owner.value = owner.value, NULL
    return value


cdef int _set_string(ort.OrtValue *tensor, size_t index, object item) except -1:
    """Store a str as UTF-8, bytes as they are, anything else as its str()."""
    cdef const char *text
    cdef char *buffer = NULL
    cdef Py_ssize_t size
    if isinstance(item, bytes):
        text, size = PyBytes_AS_STRING(item), PyBytes_GET_SIZE(item)
    else:
        if not isinstance(item, str):
            item = str(item)
        text = PyUnicode_AsUTF8AndSize(item, &size)
    check(api.GetResizedStringTensorElementBuffer(tensor, index, size, &buffer))
    if size:
        memcpy(buffer, text, size)
    return 0


cdef cnp.ndarray array_from_tensor(OrtValue tensor):
    """Give a tensor as an array over its own memory, or of strings; `tensor` lives on in it."""
    cdef ort.ONNXTensorElementDataType element_type = ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED
    cdef int64_t copied[MOST_DIMENSIONS]
    cdef const int64_t *shape = copied
    cdef size_t rank = 0
    if api_24 != NULL:
        check(api_24.GetTensorElementTypeAndShapeDataReference(
            tensor.value, &element_type, &shape, &rank
        ))
    else:
        _copy_shape(tensor.value, &element_type, copied, &rank)
    if rank > MOST_DIMENSIONS:
        raise NotImplemented(f"a tensor of rank {rank}: numpy has at most {MOST_DIMENSIONS}")
    if element_type == ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING:
        return _string_array(tensor.value, <int>rank, <cnp.npy_intp *>shape)
    return _numeric_array(tensor, element_type, <int>rank, <cnp.npy_intp *>shape)


cdef int _copy_shape(
    ort.OrtValue *tensor,
    ort.ONNXTensorElementDataType *element_type,
    int64_t *shape,
    size_t *rank,
) except -1:
    """Ask for a type and a shape of at most MOST_DIMENSIONS, as version 23 of the API can."""
    cdef ort.OrtTensorTypeAndShapeInfo *info = NULL
    check(api.GetTensorTypeAndShape(tensor, &info))
    try:
        check(api.GetTensorElementType(info, element_type))
        check(api.GetDimensionsCount(info, rank))
        if rank[0] <= MOST_DIMENSIONS:
            check(api.GetDimensions(info, shape, rank[0]))
    finally:
        api.ReleaseTensorTypeAndShapeInfo(info)
    return 0


cdef cnp.ndarray _numeric_array(OrtValue tensor, int element_type, int rank, cnp.npy_intp *shape):
    cdef int number = _numpy_type[element_type] if element_type < ELEMENT_TYPES else -1
    cdef void *data = NULL
    cdef cnp.ndarray array
    if number < 0:
        raise NotImplemented(f"numpy has no type for tensor({element_type_name(element_type)})")
    check(api.GetTensorMutableData(tensor.value, &data))
    array = cnp.PyArray_SimpleNewFromData(rank, shape, number, data)
    cnp.set_array_base(array, tensor)
    return array


cdef cnp.ndarray _string_array(ort.OrtValue *tensor, int rank, cnp.npy_intp *shape):
    cdef cnp.ndarray array = cnp.PyArray_EMPTY(rank, shape, cnp.NPY_OBJECT, 0)
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
    """Replace `items`, all None, by the strings that begin at `offsets`."""
    cdef size_t index
    for index in range(count):
        text = PyUnicode_DecodeUTF8(
            content + offsets[index], offsets[index + 1] - offsets[index], NULL
        )
        Py_INCREF(text)
        Py_XDECREF(items[index])
        items[index] = <PyObject *>text
    return 0


cdef object to_python(OrtValue value):
    """Give a value as Python does: an array, a list of values, a dict, or None."""
    cdef ort.ONNXType kind = ort.ONNX_TYPE_UNKNOWN
    cdef int has_value = 0
    check(api.HasValue(value.value, &has_value))
    if not has_value:
        return None
    check(api.GetValueType(value.value, &kind))
    if kind == ort.ONNX_TYPE_TENSOR:
        return array_from_tensor(value)
    if kind == ort.ONNX_TYPE_SEQUENCE:
        return [to_python(element) for element in _elements(value)]
    if kind == ort.ONNX_TYPE_MAP:
        keys, values = _elements(value)
        return dict(zip(array_from_tensor(keys).tolist(), array_from_tensor(values).tolist()))
    raise NotImplemented(f"no Python object for a value of ONNX type {<int>kind}")


cdef list _elements(OrtValue value):
    """Give the elements of a sequence, or the keys and the values of a map."""
    cdef size_t count = 0
    cdef int index
    cdef ort.OrtValue *element
    cdef list elements = []
    check(api.GetValueCount(value.value, &count))
    for index in range(<int>count):
        element = NULL
        check(api.GetValue(value.value, index, allocator, &element))
        elements.append(own(element))
    return elements
