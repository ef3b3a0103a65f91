"""Skeleton: an ONNX model without the weights that its file keeps for it."""

from libc.stdint cimport int32_t

cdef struct Tensor:
    size_t start, stop   # the TensorProto, from the file's beginning
    size_t data          # its raw_data; 0 where it has none
    size_t nbytes
    int32_t place        # an index of PLACES

cdef class Skeleton:
    cdef object __weakref__
    # Set by scan_onnx(), constant from then on.
    cdef readonly bytes model                # what to create a session of; None: the file as it is
    cdef readonly Py_ssize_t externalized    # tensors that refer into the file
    cdef readonly Py_ssize_t mapped_bytes    # of those
    cdef readonly Py_ssize_t inline_bytes    # of the tensors that stay in the model
    cdef readonly Py_ssize_t external_bytes  # of the tensors that other files hold
    cdef readonly tuple external_locations   # those files as the model names them, each once
    cdef readonly bint oversized             # beyond the 2 GiB that ONNX Runtime reads of protobuf
    cdef Tensor *_tensors
    cdef size_t _count

cdef Skeleton scan_onnx(
    const unsigned char *data, size_t size, str path, bytes location, size_t threshold
)
