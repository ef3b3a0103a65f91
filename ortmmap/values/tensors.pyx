"""numpy to tensors and back.

A numeric array is passed as it lies, without a copy; ONNX Runtime borrows its memory for the
length of the call. A tensor comes back as an array over ONNX Runtime's own memory, which the
array keeps alive. Strings, and elements smaller than a byte, are copied both ways.
"""

from cpython.object cimport PyTypeObject
from cpython.ref cimport Py_INCREF
from libc.stdint cimport int64_t, uint8_t

from ortmmap.values.dlpack cimport array_from_dlpack
from ortmmap.runtime.library cimport allocator, api, check, cpu_memory, newer_api
from ortmmap.values.strings cimport string_array, string_tensor
from ortmmap.values.element_types cimport (
    bits_of,
    dtype_of,
    element_type_from,
    element_type_name,
    element_type_of,
    numpy_number,
    pack,
    unpack,
)
from ortmmap.values.value cimport own

from operator import index as as_integer

import numpy as np

from ortmmap.errors import InvalidArgument, NotImplemented

cnp.import_array()

cdef extern from "numpy/arrayobject.h":
    PyTypeObject PyArray_Type
    object PyArray_NewFromDescr(
        PyTypeObject *, cnp.dtype, int, const cnp.npy_intp *, const cnp.npy_intp *, void *, int,
        object
    )


cdef cnp.ndarray as_tensor_array(object data, int element_type, str name):
    """Give `data` as an array that can be passed as it lies: C-contiguous, aligned, native.

    An array that is all of that already is returned itself.
    """
    cdef cnp.ndarray array
    if cnp.PyArray_Check(data):
        array = <cnp.ndarray>data
    else:
        array = array_of(data, element_type, name)
    if element_type_of(array) != element_type:
        _raise_type(array, element_type, name)
    if element_type == ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING or cnp.PyArray_ISCARRAY_RO(array):
        return array
    return cnp.PyArray_FROM_OF(array, cnp.NPY_ARRAY_CARRAY_RO | cnp.NPY_ARRAY_NOTSWAPPED)


cdef cnp.ndarray array_of(object data, int element_type, str name):
    """Make an array of what is none; Python's own numbers take the type that is wanted."""
    if data is None or isinstance(data, dict):
        raise TypeError(f"a tensor cannot be made from {type(data).__name__} for input: {name}")
    if hasattr(data, "__dlpack__"):
        return array_from_dlpack(data)
    if hasattr(data, "_get_c_value"):   # onnxruntime's OrtValue, which has DLPack since 1.24
        return data.numpy()
    if not isinstance(data, (list, tuple, bool, int, float, complex)) or not element_type:
        return np.asarray(data)
    try:
        return np.array(data, dtype_of(element_type))
    except (OverflowError, TypeError, ValueError) as error:
        raise InvalidArgument(
            f"Could not create tensor({element_type_name(element_type)}) from given input list "
            f"for input: {name}: {error}"
        ) from error


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
    if (
        element_type == ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING
        or element_type >= ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT4 and bits_of(element_type) < 8
    ):
        return _copied_tensor(array, element_type)
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


cdef Value tensor_at(size_t address, object element_type, object shape):
    """Make a tensor over memory that nobody keeps for it."""
    cdef cnp.ndarray sizes = shape_array(shape)
    cdef int type_ = element_type_from(element_type)
    cdef ort.OrtValue *value = NULL
    if bits_of(type_) == 0:
        raise InvalidArgument("Only binding of non-string Tensors is currently supported")
    check(api.CreateTensorWithDataAsOrtValue(
        cpu_memory,
        <void *>address,
        (int((<object>sizes).prod()) * bits_of(type_) + 7) // 8,
        <const int64_t *>cnp.PyArray_DATA(sizes),
        cnp.PyArray_SIZE(sizes),
        <ort.ONNXTensorElementDataType>type_,
        &value,
    ))
    return own(value)


cdef cnp.ndarray shape_array(object shape):
    """Give a shape as an array of int64; numbers that are no integers are not cut to some."""
    try:
        if isinstance(shape, (str, bytes, dict)):
            raise TypeError()
        sizes = [as_integer(size) for size in shape]
    except TypeError:
        raise TypeError(f"a shape should be a sequence of integers, not {shape!r}") from None
    if min(sizes, default=0) < 0:
        raise InvalidArgument(f"{sizes} is not the shape of a tensor")
    return np.array(sizes, np.int64)


cdef ort.OrtValue *_copied_tensor(cnp.ndarray array, int element_type) except NULL:
    """Make a tensor of what lies in an array otherwise than in a tensor."""
    cdef ort.OrtValue *value = NULL
    if element_type == ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING:
        return string_tensor(array)
    check(api.CreateTensorAsOrtValue(
        allocator,
        <const int64_t *>cnp.PyArray_DIMS(array),
        cnp.PyArray_NDIM(array),
        <ort.ONNXTensorElementDataType>element_type,
        &value,
    ))
    try:
        pack(array, bits_of(element_type), <uint8_t *>data_of(value))
    except BaseException:
        api.ReleaseValue(value)
        raise
    return value


cdef cnp.ndarray array_from_tensor(Value tensor):
    """Give a tensor as an array over its own memory, or of copies; `tensor` lives on in it."""
    cdef Layout layout
    get_layout(tensor.value, &layout)
    if layout.rank > MOST_DIMENSIONS:
        raise NotImplemented(f"a tensor of rank {layout.rank}: numpy has at most {MOST_DIMENSIONS}")
    if layout.element_type == ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING:
        return string_array(tensor.value, <int>layout.rank, <cnp.npy_intp *>layout.shape)
    return array_over(
        tensor,
        data_of(tensor.value),
        layout.element_type,
        <int>layout.rank,
        <const cnp.npy_intp *>layout.shape,
    )


cdef cnp.ndarray array_over(
    object owner, void *data, int element_type, int rank, const cnp.npy_intp *shape
):
    """Give an array over `data`, which `owner` keeps; of copies where an element is no byte."""
    cdef int number = numpy_number(element_type)
    cdef cnp.ndarray array
    if number >= 0:
        array = cnp.PyArray_SimpleNewFromData(rank, <cnp.npy_intp *>shape, number, data)
    elif bits_of(element_type) < 8:
        array = np.empty([shape[index] for index in range(rank)], dtype_of(element_type))
        unpack(<const uint8_t *>data, bits_of(element_type), array)
        return array
    else:
        array = _array_of_extension(data, dtype_of(element_type), rank, shape)
    cnp.set_array_base(array, owner)
    return array


cdef cnp.ndarray _array_of_extension(
    void *data, object dtype, int rank, const cnp.npy_intp *shape
):
    Py_INCREF(dtype)   # PyArray_NewFromDescr takes it over
    return PyArray_NewFromDescr(
        &PyArray_Type, <cnp.dtype>dtype, rank, shape, NULL, data, cnp.NPY_ARRAY_WRITEABLE, None
    )


cdef int get_layout(ort.OrtValue *tensor, Layout *layout) except -1:
    """Ask for a tensor's type and shape. Of a rank above MOST_DIMENSIONS the rank only."""
    layout.element_type, layout.rank = ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED, 0
    layout.shape = layout.room
    if newer_api.GetTensorElementTypeAndShapeDataReference == NULL:
        return _copy_layout(tensor, layout)
    return check(newer_api.GetTensorElementTypeAndShapeDataReference(
        tensor, &layout.element_type, &layout.shape, &layout.rank
    ))


cdef int _copy_layout(ort.OrtValue *tensor, Layout *layout) except -1:
    """Do the same as version 23 of the API can."""
    cdef ort.OrtTensorTypeAndShapeInfo *info = NULL
    check(api.GetTensorTypeAndShape(tensor, &info))
    try:
        check(api.GetTensorElementType(info, &layout.element_type))
        check(api.GetDimensionsCount(info, &layout.rank))
        if layout.rank <= MOST_DIMENSIONS:
            check(api.GetDimensions(info, layout.room, layout.rank))
    finally:
        api.ReleaseTensorTypeAndShapeInfo(info)
    return 0


cdef void *data_of(ort.OrtValue *tensor) except? NULL:
    cdef void *data = NULL
    check(api.GetTensorMutableData(tensor, &data))
    return data


cdef size_t nbytes_of(const Layout *layout) noexcept:
    """Give the size of a numeric tensor's data."""
    cdef size_t count = 1
    cdef size_t index
    for index in range(layout.rank):
        count *= layout.shape[index]
    return (count * bits_of(layout.element_type) + 7) // 8
