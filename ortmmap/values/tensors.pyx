"""numpy arrays to tensors and back.

A numeric array is passed as it lies, without a copy; ONNX Runtime borrows its memory for the
length of the call. A tensor comes back as an array over ONNX Runtime's own memory, which the
array keeps alive. Strings, and elements smaller than a byte, are copied both ways.
"""

from libc.stdint cimport int64_t, uint8_t

from ortmmap.runtime.library cimport api, check
from ortmmap.values.array_over cimport array_over
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
from ortmmap.values.native_tensor cimport (
    MOST_DIMENSIONS,
    allocated_tensor,
    lies_in,
    nbytes_of,
    read_layout,
    tensor_over,
)
from ortmmap.values.strings cimport string_array, string_tensor
from ortmmap.values.value cimport elements_of, has_value, kind_of

from operator import index as as_integer

import numpy as np

from ortmmap.errors import InvalidArgument, NotImplemented

cnp.import_array()


# --- arrays to tensors ---

cdef cnp.ndarray as_tensor_array(object data, int element_type, str name):
    """Return `data` as an array that a tensor may lie over: C-contiguous, aligned, native.

    An array that is all of that already is returned itself. `name` is the input's, for errors.
    """
    cdef cnp.ndarray array
    if cnp.PyArray_Check(data):
        array = <cnp.ndarray>data
    else:
        array = array_of(data, element_type, name)
    if element_type_of(array) != element_type:
        _check_is_array(data, array, name)
        _raise_type(array, element_type, name)
    if element_type == ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING or cnp.PyArray_ISCARRAY_RO(array):
        return array
    return cnp.PyArray_FROM_OF(array, cnp.NPY_ARRAY_CARRAY_RO | cnp.NPY_ARRAY_NOTSWAPPED)


cdef cnp.ndarray array_of(object data, int element_type, str name):
    """Make an array of data that is none; Python's own numbers become `element_type`."""
    if data is None or isinstance(data, dict):
        raise TypeError(f"a tensor cannot be made from {type(data).__name__} for input: {name}")
    if hasattr(data, "__dlpack__"):
        from ortmmap.values.dlpack import array_from_dlpack

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


cdef int _check_is_array(object data, cnp.ndarray array, str name) except -1:
    """Raise InvalidArgument, with onnxruntime's text, if numpy only wrapped an object."""
    if cnp.PyArray_NDIM(array) or array is data or hasattr(data, "__array__"):
        return 0
    if isinstance(data, (bool, int, float, complex)):
        return 0
    kind = type(data)
    if hasattr(data, "__iter__"):
        raise InvalidArgument(
            "Input must be a list of dictionaries or a single numpy array for input "
            f"'{name}'. (It is a {kind.__name__}.)"
        )
    raise InvalidArgument(f"Unable to handle object of type {kind} for input: {name}")


cdef int _raise_type(cnp.ndarray array, int element_type, str name) except -1:
    cdef int found = element_type_of(array)
    actual = f"tensor({element_type_name(found)})" if found else f"numpy {array.dtype}"
    raise InvalidArgument(
        "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Unexpected input data type. "
        f"Actual: ({actual}) , expected: (tensor({element_type_name(element_type)})) "
        f"for input: {name}"
    )


cdef ort.OrtValue *tensor_from_array(cnp.ndarray array, int element_type) except NULL:
    """Make a tensor over an array of as_tensor_array(), which must outlive the tensor."""
    cdef ort.OrtValue *tensor = NULL
    if bits_of(element_type) < 8:   # packed elements, and strings
        return _copied_tensor(array, element_type)
    check(tensor_over(
        cnp.PyArray_DATA(array),
        cnp.PyArray_NBYTES(array),
        <const int64_t *>cnp.PyArray_DIMS(array),
        cnp.PyArray_NDIM(array),
        element_type,
        &tensor,
    ))
    return tensor


cdef ort.OrtValue *_copied_tensor(cnp.ndarray array, int element_type) except NULL:
    """Make a tensor of elements that lie in an array otherwise than in a tensor."""
    cdef ort.OrtValue *tensor = NULL
    if element_type == ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING:
        return string_tensor(array)
    check(allocated_tensor(
        <const int64_t *>cnp.PyArray_DIMS(array), cnp.PyArray_NDIM(array), element_type, &tensor
    ))
    try:
        pack(array, bits_of(element_type), <uint8_t *>data_of(tensor))
    except BaseException:
        api.ReleaseValue(tensor)
        raise
    return tensor


cdef Value new_tensor(object cls, cnp.ndarray array, int element_type):
    """Make a `cls`, a class of values, with a tensor over an array, which it keeps."""
    cdef Value made = cls.__new__(cls)
    made.memory = array
    made.value = tensor_from_array(array, element_type)
    return made


cdef Value tensor_at(size_t address, object element_type, object shape, object owner=None):
    """Make a tensor over the memory at an address, which `owner` keeps, or else the caller."""
    cdef cnp.ndarray sizes = shape_array(shape)
    cdef const int64_t *dimensions = <const int64_t *>cnp.PyArray_DATA(sizes)
    cdef size_t rank = cnp.PyArray_SIZE(sizes)
    cdef int type_ = element_type_from(element_type)
    cdef int64_t nbytes = nbytes_of(dimensions, rank, type_)
    cdef Value made = Value.__new__(Value)
    if bits_of(type_) == 0:
        raise InvalidArgument("Only binding of non-string Tensors is currently supported")
    if nbytes < 0:
        raise InvalidArgument(f"a tensor of shape {shape} is too large")
    check(tensor_over(<void *>address, nbytes, dimensions, rank, type_, &made.value))
    made.memory = owner
    return made


cdef cnp.ndarray shape_array(object shape):
    """Return a shape as an array of int64; raise TypeError for sizes that are no integers."""
    try:
        if isinstance(shape, (str, bytes, dict)):
            raise TypeError()
        sizes = [as_integer(size) for size in shape]
    except TypeError:
        raise TypeError(f"a shape should be a sequence of integers, not {shape!r}") from None
    if min(sizes, default=0) < 0:
        raise InvalidArgument(f"{sizes} is not the shape of a tensor")
    return np.array(sizes, np.int64)


# --- tensors to arrays ---

cdef cnp.ndarray array_from_tensor(Value tensor):
    """Return a tensor's elements: an array over its memory, which keeps it, or a copy."""
    cdef Layout layout
    get_layout(tensor.value, &layout)
    if layout.rank > MOST_DIMENSIONS:
        _raise_rank(layout.rank)
    if layout.element_type == ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING:
        return string_array(tensor.value, <int>layout.rank, <cnp.npy_intp *>layout.shape)
    return array_of_elements(
        tensor,
        data_of(tensor.value),
        layout.element_type,
        <int>layout.rank,
        <const cnp.npy_intp *>layout.shape,
    )


cdef cnp.ndarray array_of_elements(
    object owner, void *data, int element_type, int rank, const cnp.npy_intp *shape
):
    """Return elements in memory that `owner` keeps: an array over it, or unpacked ones."""
    cdef int number = numpy_number(element_type)
    cdef cnp.ndarray array
    if number >= 0:
        array = cnp.PyArray_SimpleNewFromData(rank, <cnp.npy_intp *>shape, number, data)
        cnp.set_array_base(array, owner)
        return array
    if bits_of(element_type) >= 8:
        return array_over(data, dtype_of(element_type), rank, shape, NULL, True, owner)
    array = np.empty([shape[index] for index in range(rank)], dtype_of(element_type))
    unpack(<const uint8_t *>data, bits_of(element_type), array)
    return array


cdef int get_layout(ort.OrtValue *tensor, Layout *layout) except -1:
    """Read the layout of a tensor, or of a sparse tensor with its zeros."""
    check(read_layout(tensor, layout))
    if layout.shape == NULL and layout.rank:
        _raise_rank(layout.rank)
    return 0


cdef int _raise_rank(size_t rank) except -1:
    raise NotImplemented(f"a tensor of rank {rank}: numpy has at most {MOST_DIMENSIONS}")


cdef void *data_of(ort.OrtValue *tensor) except? NULL:
    """Return where a tensor's elements lie."""
    cdef void *data = NULL
    check(api.GetTensorMutableData(tensor, &data))
    return data


cdef bint lies_in_value(Value value, const void *data) except -1:
    """Whether `data` points into the memory of a tensor, or of a tensor in a sequence."""
    cdef Layout layout
    if not has_value(value):
        return False
    kind = kind_of(value)
    if kind == ort.ONNX_TYPE_SEQUENCE:
        return any([lies_in_value(element, data) for element in elements_of(value)])
    if kind != ort.ONNX_TYPE_TENSOR:
        return False   # maps are copied
    get_layout(value.value, &layout)
    if layout.element_type == ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING:
        return False   # strings are copied
    return lies_in(
        data,
        data_of(value.value),
        nbytes_of(layout.shape, layout.rank, layout.element_type),
    )
