"""Weights: initializers that lie in mapped files, as values that ONNX Runtime uses in place."""

cimport ortmmap.abi.ort as ort
from ortmmap.model.mapping cimport Mapping
from ortmmap.model.skeleton cimport Skeleton

cdef class Weights:
    # Filled by weights_of(), constant from then on.
    cdef list names          # of the initializers, as bytes
    cdef list values         # a Value for each, which keeps its mapping

    cdef int add_to(self, ort.OrtSessionOptions *options) except -1

cdef Weights weights_of(Skeleton skeleton, Mapping graph, dict files, bint every)
