"""Weights: initializers that lie in mapped files, as values that ONNX Runtime uses in place."""

from ortmmap.model.mapping cimport Mapping
from ortmmap.model.skeleton cimport Skeleton

cdef list weights_of(Skeleton skeleton, Mapping graph, dict files, bint every)
