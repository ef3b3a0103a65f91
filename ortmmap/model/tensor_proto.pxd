"""TensorProto: the fields that decide where a tensor's data can be."""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memset

from ortmmap.model.wire cimport (
    LENGTH, VARINT, Reader, Span, Token, equals, fail_too_deep, read_token, read_varint,
)

cdef enum:                     # field numbers of onnx.proto3
    DIMS = 1
    DATA_TYPE = 2
    SEGMENT = 3
    FLOAT_DATA = 4
    INT32_DATA = 5
    STRING_DATA = 6
    INT64_DATA = 7
    NAME = 8
    RAW_DATA = 9
    DOUBLE_DATA = 10
    UINT64_DATA = 11
    EXTERNAL_DATA = 13
    DATA_LOCATION = 14

cdef struct TensorProto:
    Span body
    Span name
    int32_t data_type
    uint64_t rank
    uint64_t elements          # the product of the dimensions
    bint countable             # `elements` is right: no dimension is negative, the product fits
    uint32_t raw_count         # of raw_data fields
    Token raw                  # the last of them
    bint typed                 # has float_data, int32_data …
    uint64_t typed_bytes
    bint segmented
    bint has_location          # has external_data or data_location
    bint external              # the last data_location says so
    Span location_entry        # of external_data: the field that has the location
    Span location              # the file, and which bytes of it
    Span offset
    Span length


cdef inline int read_tensor(
    Reader *reader, Span body, int depth, TensorProto *tensor
) noexcept nogil:
    cdef Token token
    memset(tensor, 0, sizeof(TensorProto))
    tensor.body = body
    tensor.elements = tensor.countable = 1
    while body.start < body.stop:
        if read_token(reader, body.start, body.stop, depth, &token) < 0:
            return -1
        if note_field(reader, &token, depth, tensor) < 0:
            return -1
        body.start = token.body.stop
    return 0


cdef inline int note_field(
    Reader *reader, Token *token, int depth, TensorProto *tensor
) noexcept nogil:
    """Note a field if its wire type is one that protobuf accepts for its number."""
    if token.number == DIMS:
        return note_dimensions(reader, token, tensor)
    if token.number in (
        FLOAT_DATA, INT32_DATA, STRING_DATA, INT64_DATA, DOUBLE_DATA, UINT64_DATA
    ):
        tensor.typed = True
        tensor.typed_bytes += token.body.stop - token.body.start
    elif token.wire == VARINT:
        if token.number == DATA_TYPE:
            tensor.data_type = <int32_t>token.value
        elif token.number == DATA_LOCATION:
            tensor.has_location = True
            if token.value <= 1:   # protobuf takes other values for an unknown field
                tensor.external = token.value == 1
    elif token.wire == LENGTH:
        if token.number == SEGMENT:
            tensor.segmented = True
        elif token.number == NAME:
            tensor.name = token.body
        elif token.number == RAW_DATA:
            tensor.raw = token[0]
            tensor.raw_count += 1
        elif token.number == EXTERNAL_DATA:
            tensor.has_location = True
            return note_entry(reader, token, depth, tensor)
    return 0


cdef inline int note_dimensions(
    Reader *reader, Token *token, TensorProto *tensor
) noexcept nogil:
    cdef uint64_t value
    cdef Span body = token.body
    if token.wire == VARINT:
        note_dimension(token.value, tensor)
    elif token.wire == LENGTH:
        while body.start < body.stop:
            if read_varint(reader, &body.start, body.stop, &value) < 0:
                return -1
            note_dimension(value, tensor)
    return 0


cdef inline void note_dimension(uint64_t value, TensorProto *tensor) noexcept nogil:
    cdef uint64_t most = <uint64_t>1 << 56   # their bits can be counted in 64
    tensor.rank += 1
    if value and tensor.elements > most // value:   # always, if the dimension is negative
        tensor.countable = False
    else:
        tensor.elements *= value


cdef inline int note_entry(
    Reader *reader, Token *token, int depth, TensorProto *tensor
) noexcept nogil:
    """Note an entry of external_data: a key and a value."""
    cdef Span body = token.body
    cdef Span key = Span(0, 0)
    cdef Span value = Span(0, 0)
    cdef Token part
    if depth == 0:
        return fail_too_deep(reader, token.at)
    while body.start < body.stop:
        if read_token(reader, body.start, body.stop, depth - 1, &part) < 0:
            return -1
        if part.wire == LENGTH and part.number == 1:
            key = part.body
        elif part.wire == LENGTH and part.number == 2:
            value = part.body
        body.start = part.body.stop
    if equals(reader, key, b"location", 8):
        tensor.location = value
        tensor.location_entry = Span(token.at, token.body.stop)
    elif equals(reader, key, b"offset", 6):
        tensor.offset = value
    elif equals(reader, key, b"length", 6):
        tensor.length = value
    return 0


cdef inline bint is_raw_data_alone(const TensorProto *tensor) noexcept nogil:
    """Whether raw_data, once, is all the data that the tensor has."""
    return tensor.raw_count == 1 and not (
        tensor.typed or tensor.segmented or tensor.has_location
    )


cdef inline uint64_t raw_size(const TensorProto *tensor) noexcept nogil:
    return tensor.raw.body.stop - tensor.raw.body.start


cdef inline uint64_t data_size(const TensorProto *tensor, int bits) noexcept nogil:
    """Bytes of the tensor's elements of `bits` each; 0 if their number or size is unknown."""
    return (tensor.elements * bits + 7) // 8 if tensor.countable else 0


cdef inline uint64_t external_size(
    const Reader *reader, const TensorProto *tensor, int bits
) noexcept nogil:
    """Bytes of its file that the tensor takes: its `length`, or else the size of its elements."""
    cdef int64_t size = read_decimal(reader, tensor.length)
    return data_size(tensor, bits) if size < 0 else size


cdef inline int64_t read_decimal(const Reader *reader, Span digits) noexcept nogil:
    """Read a number of 1 to 18 digits; return -1 if it is none."""
    cdef size_t at
    cdef int64_t number = 0
    if not 0 < digits.stop - digits.start < 19:   # more might not fit
        return -1
    for at in range(digits.start, digits.stop):
        if not c'0' <= reader.data[at] <= c'9':
            return -1
        number = number * 10 + (reader.data[at] - c'0')
    return number
