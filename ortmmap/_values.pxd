"""numpy to OrtValue and back."""

cimport numpy as cnp

from ortmmap cimport c_ort_abi as ort

cdef class OrtValue:
    cdef object __weakref__
    # Set once, when the value is made, and released with it.
    cdef ort.OrtValue *value

cdef OrtValue own(ort.OrtValue *value)
cdef str element_type_name(int element_type)
cdef cnp.ndarray as_tensor_array(object data, int element_type, str name)
cdef ort.OrtValue *tensor_from_array(cnp.ndarray array, int element_type) except NULL
cdef cnp.ndarray array_from_tensor(OrtValue tensor)
cdef object to_python(OrtValue value)
