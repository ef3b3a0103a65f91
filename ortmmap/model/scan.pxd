"""The scan of an ONNX model: its tensors, and the edits that make its skeleton."""

from libc.stdint cimport int32_t, int64_t, uint8_t

from ortmmap.abi.mapping cimport ortmmap_mapping
from ortmmap.model.wire cimport Reader, Span

cdef enum:                     # places of a tensor's data
    MAPPED                     # in the file; the skeleton refers to it
    INLINE                     # in the file, and in the skeleton
    EXTERNAL                   # in another file

cdef struct Tensor:
    size_t start, stop         # the TensorProto
    Span name                  # if it is an initializer of the model's own graph; else 0, 0
    size_t data                # its raw_data; 0: it has none
    size_t nbytes
    int32_t place

cdef struct Edit:              # bytes of the file that the skeleton replaces
    size_t at, stop
    Span content               # the data to refer to, or the message of the new length; 0, 0: none
    size_t inner_stop          # index of the first edit after the message; 0: a reference
    size_t new_length          # of the message; set by size_edits()
    int64_t growth             # bytes that this edit and those after it add; likewise

cdef struct Name:              # of an initializer, or of a Constant's output
    size_t graph               # as in Owner
    Span name

cdef struct Owner:             # of the message that is being visited
    size_t graph               # offset of the attribute or function it is in; 0: the model's graph
    Span node
    Span attribute             # 0, 0: none, it is a graph's own
    int constant               # whether the node is a Constant; UNKNOWN until it matters
    int single                 # whether the attribute has exactly one tensor; likewise
    bint sparse                # whether it is a sparse tensor, or in one

cdef struct Scan:
    Reader reader
    size_t size
    size_t threshold           # the fewest bytes of a tensor that becomes a reference
    size_t spare               # tensors of half the threshold that may still become one
    bint relocating            # references to other files get another location, see skeleton
    Owner owner
    size_t references
    size_t[64] sizes           # references, by the binary logarithm of their bytes
    Edit *edits                # in the order of the file
    size_t edit_count, edit_room
    Tensor *tensors
    size_t tensor_count, tensor_room
    Span *locations            # of external data: one for each run of tensors in one file
    size_t location_count, location_room
    Name *names
    size_t name_count, name_room
    size_t node_count          # of all graphs and functions
    size_t convolution_count   # of these, nodes of type Conv

cdef void begin_scan(
    Scan *scan,
    const uint8_t *data,
    size_t size,
    size_t threshold,
    bint relocating,
    const ortmmap_mapping *mapping,
) noexcept nogil
# Return -1 on an error, which the reader describes; if it does not, memory was short.
cdef int scan_model(Scan *scan) noexcept nogil
cdef void free_scan(Scan *scan) noexcept nogil
