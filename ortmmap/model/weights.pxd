"""Weights: initializers that lie in mapped files, as values that ONNX Runtime uses in place."""

from ortmmap.model.mapping cimport Mapping
from ortmmap.model.skeleton cimport Skeleton
from ortmmap.values.value cimport Value

cdef class Weight:
    # Constant.
    cdef readonly bytes name
    cdef readonly Value value
    cdef readonly Mapping mapping
    cdef readonly size_t offset, nbytes

cdef list weights_of(Skeleton skeleton, Mapping graph, dict files, bint every)
cdef Weight placed_at(Weight weight, unsigned char *data, object memory)
