"""Tensors of strings, which are copied both ways."""

cimport numpy as cnp

from ortmmap cimport c_ort_abi as ort

cdef ort.OrtValue *string_tensor(cnp.ndarray array) except NULL
cdef cnp.ndarray string_array(ort.OrtValue *tensor, int rank, cnp.npy_intp *shape)
