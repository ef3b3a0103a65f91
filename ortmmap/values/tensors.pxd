"""numpy arrays to tensors and back."""

cimport numpy as cnp

cimport ortmmap.abi.ort as ort
from ortmmap.values.native_tensor cimport Layout
from ortmmap.values.value cimport Value

cdef cnp.ndarray array_of(object data, int element_type, str name)
cdef cnp.ndarray as_tensor_array(object data, int element_type, str name)
cdef ort.OrtValue *tensor_from_array(cnp.ndarray array, int element_type) except NULL
cdef Value new_tensor(object cls, cnp.ndarray array, int element_type)
cdef Value tensor_at(size_t address, object element_type, object shape, object owner=*)
cdef cnp.ndarray shape_array(object shape)
cdef cnp.ndarray array_from_tensor(Value tensor)
cdef cnp.ndarray array_of_elements(
    object owner, void *data, int element_type, int rank, const cnp.npy_intp *shape
)
cdef int get_layout(ort.OrtValue *tensor, Layout *layout) except -1
cdef void *data_of(ort.OrtValue *tensor) except? NULL
cdef bint lies_in_value(Value value, const void *data) except -1
