"""numpy to tensors and back."""

cimport numpy as cnp
from libc.stdint cimport int64_t

cimport ortmmap.abi.ort as ort
from ortmmap.values.value cimport Value

cdef enum:
    MOST_DIMENSIONS = 64    # what numpy 2 allows

cdef struct Layout:
    # A tensor's type and shape. `shape` is `room`, or the tensor's own and lives as long as it.
    ort.ONNXTensorElementDataType element_type
    size_t rank
    const int64_t *shape
    int64_t room[MOST_DIMENSIONS]

cdef cnp.ndarray array_of(object data, int element_type, str name)
cdef cnp.ndarray as_tensor_array(object data, int element_type, str name)
cdef ort.OrtValue *tensor_from_array(cnp.ndarray array, int element_type) except NULL
cdef cnp.ndarray shape_array(object shape)
cdef Value tensor_at(size_t address, object element_type, object shape)
cdef cnp.ndarray array_from_tensor(Value tensor)
cdef cnp.ndarray array_over(
    object owner, void *data, int element_type, int rank, const cnp.npy_intp *shape
)
cdef int get_layout(ort.OrtValue *tensor, Layout *layout) except -1
cdef void *data_of(ort.OrtValue *tensor) except? NULL
cdef size_t nbytes_of(const Layout *layout) noexcept
