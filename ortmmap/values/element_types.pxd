"""Element types: the table's C side, by ONNX Runtime's numbers; packing below a byte."""

cimport numpy as cnp

from libc.stdint cimport uint8_t

cdef class ElementType:
    # Set once, by __init__.
    cdef readonly str name
    cdef readonly object ort_number      # int, or None
    cdef readonly int onnx_number
    cdef readonly int bits
    cdef readonly str dtype              # or None
    cdef readonly object dlpack_code     # int, or None

cdef str element_type_name(int element_type)
cdef int element_type_named(str name) except -1
cdef int numpy_number(int element_type) noexcept
cdef object dtype_of(int element_type)
cdef int element_type_of(cnp.ndarray array) noexcept
cdef int element_type_from(object dtype) except -1
cdef int bits_of(int element_type) noexcept nogil
cdef int onnx_number(int element_type) noexcept
cdef int element_type_numbered(int data_type) noexcept
cdef int onnx_bits(int data_type) noexcept nogil
cdef int pack(cnp.ndarray array, int bits, uint8_t *packed) except -1
cdef int unpack(const uint8_t *packed, int bits, cnp.ndarray array) except -1
