"""NodeArg and ModelMetadata: a model's inputs and outputs, and its metadata."""

from libc.stdint cimport int64_t

cimport ortmmap.abi.ort as ort
from ortmmap.values.strings cimport StringTensor

cdef class NodeArg:
    # All but `strings` are set once, before other threads have the object.
    cdef readonly str name
    cdef readonly str type
    cdef list _shape
    cdef bytes encoded_name
    cdef int kind                 # ONNXType
    cdef int element_type         # of a tensor; else UNDEFINED
    cdef bint required            # an input that every run must be fed
    # Of the last run, kept for the next one, which takes it; or None. Guarded by the object's
    # critical section.
    cdef StringTensor strings
    # For a ZipMap's output: the tensor to fetch in its place, and the RowDicts that builds dicts
    # from that. Else None.
    cdef NodeArg rows
    cdef object row_dicts

cdef class ModelMetadata:
    # Set once, when it is made.
    cdef readonly str producer_name
    cdef readonly str graph_name
    cdef readonly str domain
    cdef readonly str description
    cdef readonly str graph_description
    cdef readonly int64_t version
    cdef readonly dict custom_metadata_map

cdef str take_string(char *text)
cdef list inputs_of(ort.OrtSession *session)
cdef list outputs_of(ort.OrtSession *session)
cdef list overridable_initializers_of(ort.OrtSession *session)
cdef ModelMetadata metadata_of(ort.OrtSession *session)
