"""Tensors of strings that feed runs."""

cimport numpy as cnp

from ortmmap.session.metadata cimport NodeArg
from ortmmap.values.strings cimport StringTensor

cdef StringTensor string_feed(NodeArg arg, cnp.ndarray array)
