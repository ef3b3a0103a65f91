"""Tensors of strings that feed runs.

Making and freeing a tensor's strings takes longer than filling them, so an input keeps its tensor
for the next run.
"""

from cpython.object cimport PyObject

from ortmmap.values.native_tensor cimport Layout
from ortmmap.values.strings cimport new_string_tensor
from ortmmap.values.tensors cimport get_layout

cnp.import_array()

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(PyObject *)

cdef enum:
    KEPT_BYTES = 32 << 20    # limit of the memory that an input keeps
    STRING_BYTES = 32        # size of an empty std::string


cdef StringTensor string_feed(NodeArg arg, cnp.ndarray array):
    """Return a tensor with the texts of `array`, to which the caller has the only reference."""
    cdef StringTensor tensor = arg.strings
    # Two references, `arg`'s and ours: neither a run nor a value shares its memory.
    if tensor is None or Py_REFCNT(<PyObject *>tensor) != 2 or not has_shape(tensor, array):
        tensor = new_string_tensor(array)
    tensor.fill(array)
    arg.strings = tensor if is_small(tensor, cnp.PyArray_SIZE(array)) else None
    return tensor


cdef bint has_shape(StringTensor tensor, cnp.ndarray array) except -1:
    cdef Layout layout
    cdef size_t index
    get_layout(tensor.value, &layout)
    if layout.rank != <size_t>cnp.PyArray_NDIM(array):
        return False
    for index in range(layout.rank):
        if layout.shape[index] != cnp.PyArray_DIM(array, index):
            return False
    return True


cdef bint is_small(StringTensor tensor, size_t count) noexcept:
    """Whether to keep a tensor; each string may have room for the longest text it ever had."""
    cdef size_t room = min(tensor.strings.written, tensor.strings.longest * count)
    return count * STRING_BYTES + room <= KEPT_BYTES
