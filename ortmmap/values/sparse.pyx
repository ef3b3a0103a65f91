"""SparseTensor: the values of a tensor that are not zero, and their indices.

The tensor lies over the arrays of numbers and indices, and keeps them. Strings are copied.
"""

cimport cython
cimport numpy as cnp
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc

from ortmmap.runtime.library cimport allocator, api, check, cpu_memory, load
from ortmmap.values.element_types cimport bits_of, element_type_name, element_type_of
from ortmmap.values.native_tensor cimport Layout, MOST_DIMENSIONS, copy_info
from ortmmap.values.strings cimport string_array
from ortmmap.values.tensors cimport array_of_elements, get_layout
from ortmmap.values.value cimport check_made, share, share_with

import numpy as np

from ortmmap.runtime.named_number import NamedNumber
from ortmmap.errors import Fail, InvalidArgument, NotImplemented
from ortmmap.values.devices import check_cpu

cnp.import_array()


class OrtSparseFormat(NamedNumber):
    """Formats of a sparse tensor's indices."""

    ORT_SPARSE_UNDEFINED = 0
    ORT_SPARSE_COO = 1
    ORT_SPARSE_CSRC = 2
    ORT_SPARSE_BLOCK_SPARSE = 4


@cython.no_gc
cdef class SparseTensor(Value):
    """A sparse tensor, as ``onnxruntime.SparseTensor``; an input of a run.

    It is made by `sparse_coo_from_numpy` or `sparse_csr_from_numpy`.
    """

    def __init__(self, sparse_tensor):
        """Share the tensor of another SparseTensor, as onnxruntime's constructor does.

        Parameters
        ----------
        sparse_tensor : SparseTensor
            Such as the `_tensor` of another one.

        Raises
        ------
        ValueError
            If `sparse_tensor` is of another type.
        """
        if not isinstance(sparse_tensor, SparseTensor):
            raise ValueError(
                "`Provided object` needs to be of type SparseTensor: a SparseTensor is made by "
                "sparse_coo_from_numpy or sparse_csr_from_numpy"
            )
        if self.value != NULL:
            raise RuntimeError("this SparseTensor is made already")
        share_with(self, check_made(sparse_tensor, "sparse_tensor"))

    @property
    def _tensor(self):
        """The C++ part, for packages that read ``onnxruntime.SparseTensor._tensor``."""
        return share(_NativeSparseTensor, self)

    def _get_c_tensor(self):
        return self._tensor

    @classmethod
    def sparse_coo_from_numpy(cls, dense_shape, values, coo_indices, ort_device=None):
        """Make a sparse tensor in COO format.

        Parameters
        ----------
        dense_shape : sequence of int
            The shape of the tensor with its zeros.
        values : ndarray of shape (n,)
            The values that are not zero. Contiguous numbers are not copied.
        coo_indices : ndarray of int64, of shape (n,) or (n, 2)
            The index of each value in the flattened tensor; or, in a matrix, its row and column.
            Contiguous int64 are not copied.
        ort_device : OrtDevice, optional
            Only the CPU is supported.

        Returns
        -------
        SparseTensor

        Raises
        ------
        InvalidArgument
            If the arrays do not fit each other or the shape, or a number is no integer.
        """
        cdef cnp.ndarray shape = shape_of(dense_shape)
        cdef cnp.ndarray items = values_array(values)
        cdef cnp.ndarray indices = integers(coo_indices, "coo_indices")
        check_cpu(ort_device)
        check_coo(shape, items, indices)
        return new_coo(shape, items, indices)

    @classmethod
    def sparse_csr_from_numpy(
        cls, dense_shape, values, inner_indices, outer_indices, ort_device=None
    ):
        """Make a sparse matrix in CSR format.

        Parameters
        ----------
        dense_shape : sequence of int
            The number of rows, and of columns.
        values : ndarray of shape (n,)
            The values that are not zero, row by row. Contiguous numbers are not copied.
        inner_indices : ndarray of int64, of shape (n,)
            The column of each value.
        outer_indices : ndarray of int64, of shape (rows + 1,)
            The position of each row's first value among the values, then their number.
        ort_device : OrtDevice, optional
            Only the CPU is supported.

        Returns
        -------
        SparseTensor

        Raises
        ------
        InvalidArgument
            If the arrays do not fit each other or the shape, or a number is no integer.
        """
        cdef cnp.ndarray shape = shape_of(dense_shape)
        cdef cnp.ndarray items = values_array(values)
        cdef cnp.ndarray inner = integers(inner_indices, "inner_indices")
        cdef cnp.ndarray outer = integers(outer_indices, "outer_indices")
        check_cpu(ort_device)
        check_csr(shape, items, inner, outer)
        return new_csr(shape, items, inner, outer)

    def __repr__(self):
        if self.value == NULL:
            return "<ortmmap.SparseTensor, empty>"
        return f"<ortmmap.SparseTensor {self.data_type()}, dense shape {self.dense_shape()}>"

    def values(self):
        """Return the values that are not zero, of shape ``(n,)``.

        Numbers are a read-only array over the tensor's memory; strings are copied.
        """
        cdef ort.OrtTensorTypeAndShapeInfo *info = NULL
        cdef Layout layout
        cdef const void *data = NULL
        self._check_made()
        check(api.GetSparseTensorValuesTypeAndShape(self.value, &info))
        take_layout(info, &layout)
        if layout.element_type == ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING:
            return string_array(self.value, <int>layout.rank, <cnp.npy_intp *>layout.room)
        check(api.GetSparseTensorValues(self.value, &data))
        return read_only_array(self, data, &layout)

    def dense_shape(self) -> list:
        """Return the shape of the tensor with its zeros."""
        cdef Layout layout
        self._check_made()
        get_layout(self.value, &layout)
        return [layout.shape[index] for index in range(layout.rank)]

    def format(self):
        """Return the `OrtSparseFormat`."""
        return OrtSparseFormat(<int>self._format())

    def data_type(self) -> str:
        """Return the type, such as ``sparse_tensor(float)``."""
        cdef Layout layout
        self._check_made()
        get_layout(self.value, &layout)
        return f"sparse_tensor({element_type_name(layout.element_type)})"

    def device_name(self) -> str:
        """Return ``cpu``."""
        return "cpu"

    def as_coo_view(self):
        """Return a view of the ``indices()``; raise `Fail` if the format is not COO."""
        self._expect(ort.ORT_SPARSE_COO)
        return new_view(SparseCooView, self)

    def as_csrc_view(self):
        """Return a view of ``inner()`` and ``outer()`` indices; raise `Fail` if it is not CSR."""
        self._expect(ort.ORT_SPARSE_CSRC)
        return new_view(SparseCsrView, self)

    def as_blocksparse_view(self):
        """Return a view of the blocks' ``indices()``; raise `Fail` if it is not block-sparse."""
        self._expect(ort.ORT_SPARSE_BLOCK_SPARSE)
        return new_view(SparseBlockSparseView, self)

    def to_cuda(self, ort_device):
        """Raise NotImplementedError: only the CPU's memory is supported."""
        raise NotImplementedError("ortmmap holds sparse tensors in the CPU's memory only")

    cdef ort.OrtSparseFormat _format(self) except *:
        cdef ort.OrtSparseFormat format_ = ort.ORT_SPARSE_UNDEFINED
        self._check_made()
        check(api.GetSparseTensorFormat(self.value, &format_))
        return format_

    cdef int _check_made(self) except -1:
        if self.value == NULL:
            raise Fail("the sparse tensor was not made: it is empty")
        return 0

    cdef int _expect(self, ort.OrtSparseFormat wanted) except -1:
        if self._format() != wanted:
            raise Fail(
                f"the sparse tensor is in format {self.format().name}, "
                f"not {OrtSparseFormat(<int>wanted).name}"
            )
        return 0


cdef class SparseView:
    """Indices of a sparse tensor's values."""

    cdef SparseTensor tensor   # set once, when the view is made

    cdef object indices_of(self, ort.OrtSparseIndicesFormat format_):
        """Return indices as a read-only array over the tensor's memory."""
        cdef ort.OrtTensorTypeAndShapeInfo *info = NULL
        cdef Layout layout
        cdef const void *data = NULL
        cdef size_t count = 0
        if self.tensor is None:
            raise Fail("the view was not made by a SparseTensor: it is empty")
        check(api.GetSparseTensorIndicesTypeShape(self.tensor.value, format_, &info))
        take_layout(info, &layout)
        check(api.GetSparseTensorIndices(self.tensor.value, format_, &count, &data))
        return read_only_array(self.tensor, data, &layout)


@cython.final
cdef class SparseCooView(SparseView):
    """Indices of the values of a sparse tensor in COO format."""

    def indices(self):
        """Return the indices, int64, of shape ``(n,)`` or ``(n, 2)``."""
        return self.indices_of(ort.ORT_SPARSE_COO_INDICES)


@cython.final
cdef class SparseCsrView(SparseView):
    """Indices of the values of a sparse matrix in CSR format."""

    def inner(self):
        """Return each value's column, int64, of shape ``(n,)``."""
        return self.indices_of(ort.ORT_SPARSE_CSR_INNER_INDICES)

    def outer(self):
        """Return each row's first position among the values, then their number, int64."""
        return self.indices_of(ort.ORT_SPARSE_CSR_OUTER_INDICES)


@cython.final
cdef class SparseBlockSparseView(SparseView):
    """Indices of the blocks of a block-sparse tensor."""

    def indices(self):
        """Return each block's row and column, int32."""
        return self.indices_of(ort.ORT_SPARSE_BLOCK_SPARSE_INDICES)


cdef cnp.ndarray read_only_array(SparseTensor tensor, const void *data, const Layout *layout):
    """Return numbers in a tensor's memory, which onnxruntime's arrays do not write to either."""
    cdef cnp.ndarray array = array_of_elements(
        tensor, <void *>data, layout.element_type, <int>layout.rank,
        <const cnp.npy_intp *>layout.room,
    )
    cnp.PyArray_CLEARFLAGS(array, cnp.NPY_ARRAY_WRITEABLE)
    return array


class _NativeSparseTensor(SparseTensor):
    """The C++ part of an onnxruntime.SparseTensor, as far as it differs from that."""

    def device_name(self) -> str:
        """Return ``Cpu``."""
        return super().device_name().capitalize()


cdef object new_view(object kind, SparseTensor tensor):
    cdef SparseView view = kind.__new__(kind)
    view.tensor = tensor
    return view


cdef int take_layout(ort.OrtTensorTypeAndShapeInfo *info, Layout *layout) except -1:
    """Copy the layout of values or indices from `info`, and release that."""
    try:
        check(copy_info(info, layout, layout.room, MOST_DIMENSIONS))
    finally:
        api.ReleaseTensorTypeAndShapeInfo(info)
    if layout.shape == NULL:
        raise NotImplemented(f"an array of rank {layout.rank}: numpy has at most {MOST_DIMENSIONS}")
    return 0


cdef cnp.ndarray shape_of(object dense_shape):
    cdef cnp.ndarray shape = integers(dense_shape, "dense_shape")
    if shape.ndim != 1 or (<object>shape).min(initial=0) < 0:
        raise InvalidArgument(f"{dense_shape!r} is not the shape of a tensor")
    return shape


cdef cnp.ndarray values_array(object values):
    cdef cnp.ndarray array = np.asarray(values)
    cdef int element_type = element_type_of(array)
    cdef bint strings = (
        element_type == ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING
        and cnp.PyArray_TYPE(array) != cnp.NPY_VOID
    )
    if array.ndim != 1 or (bits_of(element_type) < 8 and not strings):
        raise InvalidArgument(
            f"the values of a sparse tensor should have one dimension, of numbers or strings; "
            f"found {array.ndim} dimensions of {array.dtype}"
        )
    if strings:
        return array
    return cnp.PyArray_FROM_OF(array, cnp.NPY_ARRAY_CARRAY_RO | cnp.NPY_ARRAY_NOTSWAPPED)


cdef cnp.ndarray integers(object numbers, str name):
    """Return integers as contiguous int64; raise InvalidArgument for numbers of other types."""
    array = np.asarray(numbers)
    if array.size and not np.can_cast(array.dtype, np.int64):
        raise InvalidArgument(f"{name} should be int64, found {array.dtype}")
    return np.ascontiguousarray(array, np.int64)


cdef int check_coo(object shape, object values, object indices) except -1:
    """Check that each value has an index, and that none is outside the tensor."""
    if indices.shape == values.shape:
        ends = [shape.prod()]
    elif indices.shape == (values.size, 2) and shape.size == 2:
        ends = shape
    else:
        raise InvalidArgument(
            f"COO indices of shape {indices.shape} do not fit {values.size} values in a tensor "
            f"of shape {shape.tolist()}"
        )
    if ((indices < 0) | (indices >= np.asarray(ends))).any():
        raise InvalidArgument(f"COO indices lie outside a tensor of shape {shape.tolist()}")
    return 0


cdef int check_csr(object shape, object values, object inner, object outer) except -1:
    """Check that each value has a column, and each row a first position."""
    if shape.size != 2:
        raise InvalidArgument(f"CSR format holds matrices, not shape {shape.tolist()}")
    if inner.shape != values.shape or outer.shape != (shape[0] + 1,):
        raise InvalidArgument(
            f"CSR indices of shapes {inner.shape} and {outer.shape} do not fit {values.size} "
            f"values in {shape[0]} rows"
        )
    if ((inner < 0) | (inner >= shape[1])).any():
        raise InvalidArgument(f"CSR inner indices lie outside {shape[1]} columns")
    if outer[0] != 0 or outer[outer.size - 1] != values.size or (np.diff(outer) < 0).any():
        raise InvalidArgument(
            f"CSR outer indices should rise from 0 to the number of values, {values.size}"
        )
    return 0


cdef SparseTensor new_coo(cnp.ndarray shape, cnp.ndarray values, cnp.ndarray indices):
    cdef SparseTensor tensor = SparseTensor.__new__(SparseTensor)
    cdef int64_t *positions = <int64_t *>cnp.PyArray_DATA(indices)
    cdef size_t count = cnp.PyArray_SIZE(indices)
    cdef int64_t number = cnp.PyArray_SIZE(values)
    cdef const char **texts
    load()
    if element_type_of(values) != ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING:
        new_numeric(tensor, shape, values)
        check(api.UseCooIndices(tensor.value, positions, count))
        tensor.memory = (values, indices)
        return tensor
    encoded = encoded_texts(values)
    texts = pointers_to(encoded)
    try:
        new_empty(tensor, shape)
        check(api.FillSparseTensorCoo(
            tensor.value, cpu_memory, &number, 1, <const void *>texts, positions, count
        ))
    finally:
        free(texts)
    return tensor


cdef SparseTensor new_csr(
    cnp.ndarray shape, cnp.ndarray values, cnp.ndarray inner, cnp.ndarray outer
):
    cdef SparseTensor tensor = SparseTensor.__new__(SparseTensor)
    cdef int64_t *columns = <int64_t *>cnp.PyArray_DATA(inner)
    cdef int64_t *rows = <int64_t *>cnp.PyArray_DATA(outer)
    cdef size_t column_count = cnp.PyArray_SIZE(inner)
    cdef size_t row_count = cnp.PyArray_SIZE(outer)
    cdef int64_t number = cnp.PyArray_SIZE(values)
    cdef const char **texts
    load()
    if element_type_of(values) != ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING:
        new_numeric(tensor, shape, values)
        check(api.UseCsrIndices(tensor.value, columns, column_count, rows, row_count))
        tensor.memory = (values, inner, outer)
        return tensor
    encoded = encoded_texts(values)
    texts = pointers_to(encoded)
    try:
        new_empty(tensor, shape)
        check(api.FillSparseTensorCsr(
            tensor.value, cpu_memory, &number, 1, <const void *>texts, columns, column_count,
            rows, row_count,
        ))
    finally:
        free(texts)
    return tensor


cdef int new_numeric(SparseTensor tensor, cnp.ndarray shape, cnp.ndarray values) except -1:
    """Make a sparse tensor over `values`, still without indices."""
    cdef int64_t number = cnp.PyArray_SIZE(values)
    return check(api.CreateSparseTensorWithValuesAsOrtValue(
        cpu_memory,
        cnp.PyArray_DATA(values),
        <const int64_t *>cnp.PyArray_DATA(shape),
        cnp.PyArray_SIZE(shape),
        &number,
        1,
        <ort.ONNXTensorElementDataType>element_type_of(values),
        &tensor.value,
    ))


cdef int new_empty(SparseTensor tensor, cnp.ndarray shape) except -1:
    """Make an empty sparse tensor of strings."""
    return check(api.CreateSparseTensorAsOrtValue(
        allocator,
        <const int64_t *>cnp.PyArray_DATA(shape),
        cnp.PyArray_SIZE(shape),
        ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING,
        &tensor.value,
    ))


cdef list encoded_texts(object values):
    return [text if isinstance(text, bytes) else str(text).encode() for text in values.tolist()]


cdef const char **pointers_to(list encoded) except NULL:
    """Return the addresses of bytes objects, in an array that the caller frees."""
    cdef const char **texts = <const char **>malloc((len(encoded) + 1) * sizeof(char *))
    cdef size_t index
    if texts == NULL:
        raise MemoryError()
    for index in range(<size_t>len(encoded)):
        texts[index] = <bytes>encoded[index]
    return texts
