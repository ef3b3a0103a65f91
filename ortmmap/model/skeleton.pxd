"""Skeleton: an ONNX model without the weights that its file keeps for it."""

from ortmmap.abi.mapping cimport ortmmap_mapping
from ortmmap.model.scan cimport Tensor

cdef class TensorBytes:
    # Constant.
    cdef readonly str place
    cdef readonly size_t start, stop   # the TensorProto
    cdef readonly size_t data          # its raw_data; 0: it has none
    cdef readonly size_t nbytes

cdef class Skeleton:
    # Set by scan_onnx(), constant from then on.
    cdef readonly bytes model                # to create a session of; None: the file as it is
    cdef readonly Py_ssize_t externalized    # tensors that refer into the file
    cdef readonly Py_ssize_t mapped_bytes    # their data
    cdef readonly Py_ssize_t inline_bytes    # data of the tensors that stay in the model
    cdef readonly Py_ssize_t external_bytes  # data of the tensors in other files
    cdef readonly size_t nodes               # of all graphs and functions
    cdef readonly size_t convolutions        # of these, nodes of type Conv
    cdef readonly tuple external_locations   # those files as the model names them, each once
    cdef readonly bint oversized             # beyond the 2 GiB that protobuf reads
    cdef Tensor *_tensors
    cdef size_t _count

cdef Skeleton scan_onnx(
    const unsigned char *data,
    size_t size,
    str path,
    bytes location,
    size_t threshold,
    bytes added,
    const ortmmap_mapping *mapping,
)
cdef Skeleton relocated(const unsigned char *data, size_t size, str path, bytes location)
cdef bytes extended(const unsigned char *data, size_t size, bytes added)
