"""Element types: the C API's numbers, their names in ONNX Runtime's texts, and numpy's dtypes.

numpy itself has no bfloat16, no float8 and nothing smaller than a byte; ml_dtypes adds these to
it, and is imported when the first of them is met.
"""

from libc.stdint cimport uint8_t

cimport ortmmap.abi.ort as ort

import numpy as np

from ortmmap.errors import InvalidArgument, NotImplemented

cnp.import_array()

cdef enum:
    ELEMENT_TYPES = 26      # the C API's element types that have a name here, from UNDEFINED on
    # The C API's numbers are ONNX's up to float4e2m1. ONNX then has float8e8m0, the C API has not.
    MISSING = 24
    NUMPY_TYPES = 24        # numpy's built-in type numbers, NPY_BOOL to NPY_HALF

# Filled at import and constant from then on.
cdef int _numpy_type[ELEMENT_TYPES]      # -1: numpy itself has no such type
cdef int _element_type[NUMPY_TYPES]      # UNDEFINED: ONNX has no such type
cdef uint8_t _bits[ELEMENT_TYPES]        # of an element in memory; 0 where there is no one size

# dtypes that were met, by element type. Only ever added to, under the interpreter lock.
cdef dict _dtypes = {}

cdef tuple _names = (
    "undefined", "float", "uint8", "int8", "uint16", "int16", "int32", "int64", "string", "bool",
    "float16", "double", "uint32", "uint64", "complex64", "complex128", "bfloat16",
    "float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz", "uint4", "int4",
    "float4e2m1", "uint2", "int2",
)
cdef dict _numbers = {name: number for number, name in enumerate(_names)}

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

# What ml_dtypes calls a type, and its bits.
EXTENSIONS = {
    "bfloat16": ("bfloat16", 16),
    "float8e4m3fn": ("float8_e4m3fn", 8),
    "float8e4m3fnuz": ("float8_e4m3fnuz", 8),
    "float8e5m2": ("float8_e5m2", 8),
    "float8e5m2fnuz": ("float8_e5m2fnuz", 8),
    "uint4": ("uint4", 4),
    "int4": ("int4", 4),
    "float4e2m1": ("float4_e2m1fn", 4),
    "uint2": ("uint2", 2),
    "int2": ("int2", 2),
}
cdef dict _by_extension = {dtype: _numbers[name] for name, (dtype, _) in EXTENSIONS.items()}


cdef int fill_tables() except -1:
    cdef int number
    for number in range(ELEMENT_TYPES):
        _numpy_type[number] = NUMPY_TYPES_BY_ELEMENT.get(number, -1)
        _bits[number] = bits_by_name(_names[number], _numpy_type[number])
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


cdef int bits_by_name(str name, int number) except -1:
    if name in EXTENSIONS:
        return EXTENSIONS[name][1]
    if name == "string" or number < 0:
        return 0
    return 8 * (<object>cnp.PyArray_DescrFromType(number)).itemsize


fill_tables()


cdef str element_type_name(int element_type):
    """Name an element type as ONNX Runtime's texts do: ``float``, ``int64`` …"""
    if 0 <= element_type < ELEMENT_TYPES:
        return _names[element_type]
    return f"element type {element_type}"


cdef int element_type_named(str name) except -1:
    """Give the element type that ONNX Runtime's texts call `name`."""
    if name not in _numbers:
        raise NotImplemented(f"no element type is called {name}")
    return _numbers[name]


cdef int numpy_number(int element_type) noexcept:
    """Give numpy's own number for an element type; -1 where it is not one of numpy's own."""
    return _numpy_type[element_type] if 0 <= element_type < ELEMENT_TYPES else -1


cdef int bits_of(int element_type) noexcept nogil:
    """Give how many bits an element takes in a tensor; 0 for strings and unknown types."""
    return _bits[element_type] if 0 <= element_type < ELEMENT_TYPES else 0


cdef object dtype_of(int element_type):
    """Give the dtype for an element type, importing ml_dtypes where it takes that."""
    cdef int number = numpy_number(element_type)
    if number >= 0:
        return <object>cnp.PyArray_DescrFromType(number)
    if element_type not in _dtypes:
        _dtypes[element_type] = _extension_dtype(element_type_name(element_type))
    return _dtypes[element_type]


cdef object _extension_dtype(str name):
    if name not in EXTENSIONS:
        raise NotImplemented(f"numpy has no type for tensor({name})")
    try:
        import ml_dtypes

        return np.dtype(getattr(ml_dtypes, EXTENSIONS[name][0]))
    except (ImportError, AttributeError) as error:
        raise NotImplemented(
            f"tensor({name}) needs the package ml_dtypes ({error}); "
            'install it with: pip install --upgrade "ml_dtypes>=0.5"'
        ) from error


cdef int element_type_of(cnp.ndarray array) noexcept:
    """Give the element type that an array's dtype stands for; UNDEFINED where there is none."""
    cdef int number = cnp.PyArray_TYPE(array)
    return _element_type[number] if number < NUMPY_TYPES else _element_type_of_extension(array)


cdef int _element_type_of_extension(cnp.ndarray array) noexcept:
    dtype = array.dtype
    if dtype.kind == "T":   # numpy.dtypes.StringDType
        return ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING
    if dtype.type.__module__.partition(".")[0] == "ml_dtypes":
        return _by_extension.get(dtype.name, ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED)
    return ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED


cdef int element_type_from(object dtype) except -1:
    """Give the element type that is meant by a numpy type, or by ONNX's own number.

    Raises InvalidArgument where there is none.
    """
    cdef int number
    if isinstance(dtype, int):
        number = dtype - (dtype > MISSING) if dtype != MISSING else 0
        number = number if 0 < number < ELEMENT_TYPES else 0
    else:
        number = element_type_of(np.empty(0, dtype))
    if number == ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED:
        raise InvalidArgument(f"{dtype!r} is no type of a tensor's elements")
    return number


cdef int onnx_number(int element_type) noexcept:
    """Give ONNX's own number, ``TensorProto.DataType``, of an element type."""
    return element_type + (element_type >= MISSING)


cdef int pack(cnp.ndarray array, int bits, uint8_t *packed) except -1:
    """Pack elements of one a byte, of a contiguous array, as ONNX does: the first one lowest."""
    cdef const uint8_t *elements = <const uint8_t *>cnp.PyArray_DATA(array)
    cdef size_t count = cnp.PyArray_SIZE(array)
    cdef size_t per_byte = 8 // bits
    cdef uint8_t mask = (1 << bits) - 1
    cdef size_t index
    with nogil:
        for index in range((count + per_byte - 1) // per_byte):
            packed[index] = 0
        for index in range(count):
            packed[index // per_byte] |= (elements[index] & mask) << (index % per_byte * bits)
    return 0


cdef int unpack(const uint8_t *packed, int bits, cnp.ndarray array) except -1:
    """Unpack into a contiguous array of one element a byte; integers keep their sign."""
    cdef uint8_t *elements = <uint8_t *>cnp.PyArray_DATA(array)
    cdef size_t count = cnp.PyArray_SIZE(array)
    cdef size_t per_byte = 8 // bits
    cdef uint8_t mask = (1 << bits) - 1
    cdef uint8_t sign = (1 << (bits - 1)) if array.dtype.name.startswith("int") else 0
    cdef uint8_t element
    cdef size_t index
    with nogil:
        for index in range(count):
            element = (packed[index // per_byte] >> (index % per_byte * bits)) & mask
            elements[index] = (element ^ sign) - sign
    return 0
