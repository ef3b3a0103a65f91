"""The tensors that runs are fed strings with."""

cimport numpy as cnp

from ortmmap._metadata cimport NodeArg
from ortmmap._strings cimport StringTensor

cdef StringTensor string_feed(NodeArg arg, cnp.ndarray array)
