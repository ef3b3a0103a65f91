"""Element types: one table of names, numbers, sizes and dtypes, and everything derived from it.

A new element type is a line in `ELEMENT_TYPES`; ``tools/element_types.py`` then writes it into the
C API's header. numpy itself has no bfloat16, no float8 and nothing smaller than a byte: ml_dtypes
adds these, and is imported when the first of them is met.
"""

cimport cython
from libc.stdint cimport uint8_t

cimport ortmmap.abi.dlpack as dl
cimport ortmmap.abi.ort as ort

import numpy as np

from ortmmap.errors import InvalidArgument, NotImplemented

cnp.import_array()


@cython.final
cdef class ElementType:
    """A type of tensor elements.

    Attributes
    ----------
    name : str
        As onnxruntime spells it within ``tensor(...)``.
    ort_number : int or None
        ``ONNXTensorElementDataType``; None if ONNX Runtime's C API has no such type.
    onnx_number : int
        ``TensorProto.DataType``.
    bits : int
        Size of an element in a tensor, where elements smaller than a byte are packed; 0 if it is
        not fixed. In an array such an element takes a byte.
    dtype : str or None
        Of an array of such elements: a type of numpy's, or one of ml_dtypes'.
    dlpack_code : int or None
        ``DLDataTypeCode``, which goes with `bits`; None if DLPack has no such type.
    """

    def __init__(self, str name, ort_number, int onnx_number, int bits, str dtype, dlpack_code):
        self.name, self.ort_number, self.onnx_number = name, ort_number, onnx_number
        self.bits, self.dtype, self.dlpack_code = bits, dtype, dlpack_code


ELEMENT_TYPES = (
    ElementType("undefined", 0, 0, 0, None, None),
    ElementType("float", 1, 1, 32, "float32", dl.ORTMMAP_DL_FLOAT),
    ElementType("uint8", 2, 2, 8, "uint8", dl.ORTMMAP_DL_UINT),
    ElementType("int8", 3, 3, 8, "int8", dl.ORTMMAP_DL_INT),
    ElementType("uint16", 4, 4, 16, "uint16", dl.ORTMMAP_DL_UINT),
    ElementType("int16", 5, 5, 16, "int16", dl.ORTMMAP_DL_INT),
    ElementType("int32", 6, 6, 32, "int32", dl.ORTMMAP_DL_INT),
    ElementType("int64", 7, 7, 64, "int64", dl.ORTMMAP_DL_INT),
    ElementType("string", 8, 8, 0, "object", None),
    ElementType("bool", 9, 9, 8, "bool", dl.ORTMMAP_DL_BOOL),
    ElementType("float16", 10, 10, 16, "float16", dl.ORTMMAP_DL_FLOAT),
    ElementType("double", 11, 11, 64, "float64", dl.ORTMMAP_DL_FLOAT),
    ElementType("uint32", 12, 12, 32, "uint32", dl.ORTMMAP_DL_UINT),
    ElementType("uint64", 13, 13, 64, "uint64", dl.ORTMMAP_DL_UINT),
    ElementType("complex64", 14, 14, 64, "complex64", dl.ORTMMAP_DL_COMPLEX),
    ElementType("complex128", 15, 15, 128, "complex128", dl.ORTMMAP_DL_COMPLEX),
    ElementType("bfloat16", 16, 16, 16, "ml_dtypes.bfloat16", dl.ORTMMAP_DL_BFLOAT),
    ElementType("float8e4m3fn", 17, 17, 8, "ml_dtypes.float8_e4m3fn", dl.ORTMMAP_DL_FLOAT8_E4M3FN),
    ElementType(
        "float8e4m3fnuz", 18, 18, 8, "ml_dtypes.float8_e4m3fnuz", dl.ORTMMAP_DL_FLOAT8_E4M3FNUZ
    ),
    ElementType("float8e5m2", 19, 19, 8, "ml_dtypes.float8_e5m2", dl.ORTMMAP_DL_FLOAT8_E5M2),
    ElementType(
        "float8e5m2fnuz", 20, 20, 8, "ml_dtypes.float8_e5m2fnuz", dl.ORTMMAP_DL_FLOAT8_E5M2FNUZ
    ),
    ElementType("uint4", 21, 21, 4, "ml_dtypes.uint4", None),
    ElementType("int4", 22, 22, 4, "ml_dtypes.int4", None),
    ElementType("float4e2m1", 23, 23, 4, "ml_dtypes.float4_e2m1fn", None),
    ElementType("uint2", 24, 25, 2, "ml_dtypes.uint2", None),
    ElementType("int2", 25, 26, 2, "ml_dtypes.int2", None),
    ElementType("float8e8m0", 26, 24, 8, "ml_dtypes.float8_e8m0fnu", dl.ORTMMAP_DL_FLOAT8_E8M0FNU),
)

cdef enum:
    NUMBERS = 64        # room for ONNX Runtime's and ONNX's numbers
    NUMPY_TYPES = 24    # numpy's built-in type numbers, NPY_BOOL to NPY_HALF

# Filled at import and constant from then on. "Element type" stands for ONNX Runtime's number.
cdef int _numpy_number[NUMBERS]          # by element type; -1: numpy itself has no such type
cdef uint8_t _bits[NUMBERS]              # by element type
cdef int _onnx_number[NUMBERS]           # by element type
cdef uint8_t _onnx_bits[NUMBERS]         # by ONNX's number
cdef int _by_onnx[NUMBERS]               # element type, by ONNX's number; 0: unknown to the C API
cdef int _element_type[NUMPY_TYPES]      # by numpy's number
cdef dict _by_number = {}                # element types in the C API only
cdef dict _by_name = {}
cdef dict _by_dtype = {}
cdef dict _by_onnx_number = {}           # all of the table

# dtypes of ml_dtypes that were met, by element type. Only added to; a dict has a lock of its own.
cdef dict _dtypes = {}


cdef int _fill_tables() except -1:
    cdef ElementType type_
    cdef int number
    for number in range(NUMBERS):
        _numpy_number[number] = -1
    for type_ in ELEMENT_TYPES:
        if max(type_.onnx_number, type_.ort_number or 0) >= NUMBERS:
            raise ValueError(f"no room for the number of element type {type_.name}")
        _by_onnx_number[type_.onnx_number] = type_
        _onnx_bits[type_.onnx_number] = type_.bits
        if type_.ort_number is not None:
            _add_element_type(type_, type_.ort_number)
    for number in (cnp.NPY_STRING, cnp.NPY_UNICODE, cnp.NPY_VOID):
        _element_type[number] = ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING
    for name in ("intc", "int", "longlong", "uintc", "uint", "ulonglong"):
        dtype = np.dtype(name)   # numpy has a number for each of C's integer types of one size
        canonical = np.dtype(f"{dtype.kind}{dtype.itemsize}")
        _element_type[<int>dtype.num] = _element_type[<int>canonical.num]
    return 0


cdef int _add_element_type(ElementType type_, int number) except -1:
    _by_number[number] = _by_name[type_.name] = type_
    _bits[number], _onnx_number[number] = type_.bits, type_.onnx_number
    _by_onnx[type_.onnx_number] = number
    if type_.dtype is None:
        return 0
    _by_dtype[type_.dtype] = type_
    if not type_.dtype.startswith("ml_dtypes."):
        _numpy_number[number] = np.dtype(type_.dtype).num
        _element_type[_numpy_number[number]] = number
    return 0


_fill_tables()


cdef str element_type_name(int element_type):
    """Return the name that ONNX Runtime's texts have for an element type: ``float``, ``int64`` …"""
    cdef ElementType found = _by_number.get(element_type)
    return f"element type {element_type}" if found is None else found.name


cdef int element_type_named(str name) except -1:
    """Return the element type of that name; raise NotImplemented if there is none."""
    cdef ElementType found = _by_name.get(name)
    if found is None:
        raise NotImplemented(f"no element type is called {name}")
    return found.ort_number


cdef int numpy_number(int element_type) noexcept:
    """Return numpy's built-in type number for an element type; -1 if there is none."""
    return _numpy_number[element_type] if 0 <= element_type < NUMBERS else -1


cdef int bits_of(int element_type) noexcept nogil:
    """Return the size of an element in a tensor, in bits; 0 for strings and unknown types."""
    return _bits[element_type] if 0 <= element_type < NUMBERS else 0


cdef object dtype_of(int element_type):
    """Return the dtype for an element type, importing ml_dtypes if it is one of ml_dtypes'."""
    cdef int number = numpy_number(element_type)
    if number >= 0:
        return <object>cnp.PyArray_DescrFromType(number)
    if element_type not in _dtypes:
        _dtypes[element_type] = _ml_dtype(element_type)
    return _dtypes[element_type]


cdef object _ml_dtype(int element_type):
    cdef ElementType found = _by_number.get(element_type)
    if found is None or found.dtype is None:
        raise NotImplemented(f"numpy has no type for tensor({element_type_name(element_type)})")
    try:
        import ml_dtypes

        return np.dtype(getattr(ml_dtypes, found.dtype.removeprefix("ml_dtypes.")))
    except (ImportError, AttributeError) as error:
        raise NotImplemented(
            f"tensor({found.name}) needs the package ml_dtypes ({error}); "
            'install it with: pip install --upgrade "ml_dtypes>=0.5"'
        ) from error


cdef int element_type_of(cnp.ndarray array) noexcept:
    """Return the element type for an array's dtype; UNDEFINED if there is none."""
    cdef int number = cnp.PyArray_TYPE(array)
    return _element_type[number] if number < NUMPY_TYPES else _element_type_of_extension(array)


cdef int _element_type_of_extension(cnp.ndarray array) noexcept:
    cdef ElementType found
    dtype = array.dtype
    if dtype.kind == "T":   # numpy.dtypes.StringDType
        return ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING
    if dtype.type.__module__.partition(".")[0] != "ml_dtypes":
        return ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED
    found = _by_dtype.get(f"ml_dtypes.{dtype.name}")
    return ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED if found is None else found.ort_number


cdef int element_type_from(object dtype) except -1:
    """Return the element type for a numpy type, or for ONNX's number.

    Raise InvalidArgument if there is none.
    """
    cdef ElementType found
    cdef int number
    if isinstance(dtype, int):
        found = _by_onnx_number.get(dtype)
        number = 0 if found is None else found.ort_number or 0
    else:
        array = np.empty(0, dtype)
        # An array of void feeds strings, but void names no element type.
        number = 0 if cnp.PyArray_TYPE(array) == cnp.NPY_VOID else element_type_of(array)
    if number == ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED:
        raise InvalidArgument(f"{dtype!r} is no type of a tensor's elements")
    return number


# --- by ONNX's number ---

cdef int onnx_number(int element_type) noexcept:
    """Return ``TensorProto.DataType`` of an element type; UNDEFINED if it is unknown."""
    return _onnx_number[element_type] if 0 <= element_type < NUMBERS else 0


cdef int element_type_numbered(int data_type) noexcept:
    """Return an element type by its ``TensorProto.DataType``; 0 if the C API does not have it."""
    return _by_onnx[data_type] if 0 <= data_type < NUMBERS else 0


cdef int onnx_bits(int data_type) noexcept nogil:
    """Return the size of an element in bits, by ``TensorProto.DataType``; 0 if it is not fixed."""
    return _onnx_bits[data_type] if 0 <= data_type < NUMBERS else 0


def onnx_name(data_type: int) -> str:
    """Return the name of an element type, by ``TensorProto.DataType``; ``type 99`` if unknown."""
    cdef ElementType found = _by_onnx_number.get(data_type)
    return f"type {data_type}" if found is None else found.name


# --- elements smaller than a byte ---

cdef int pack(cnp.ndarray array, int bits, uint8_t *packed) except -1:
    """Pack a contiguous array of one element a byte as ONNX does, the first in the lowest bits."""
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
    """Unpack into a contiguous array of one element a byte; signed integers keep their sign."""
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
