"""Tokens of protobuf's wire format, read and written.

The format: https://protobuf.dev/programming-guides/encoding/. The functions are inline, so that
the scan's loop compiles to one piece. They accept exactly what protobuf's own parser accepts.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

cimport ortmmap.abi.mapping as cm

cdef enum:
    DEEPEST = 100                  # nested messages and groups that protobuf accepts
    LONGEST = 0x7fffffff - 16      # bytes of a message or string that protobuf accepts

cdef enum:                         # bytes that are requested from the disk at once
    LEAST_REQUEST = 32 << 10
    MOST_REQUEST = 1 << 20
    LONGEST_TOKEN = 64             # a tag and a length, with room for a short string

cdef extern from *:
    size_t EVERYTHING "SIZE_MAX"

cdef enum:                         # wire types
    VARINT = 0
    FIXED64 = 1
    LENGTH = 2
    GROUP = 3
    END_GROUP = 4
    FIXED32 = 5

cdef struct Span:              # offsets from the beginning of the data
    size_t start, stop

cdef struct Reader:
    const uint8_t *data
    const cm.ortmmap_mapping *mapping   # the file that the data is; NULL: it is in memory
    size_t requested           # the end of what was requested from the disk
    size_t request             # the size of the last request
    bint oversized             # a field is longer than LONGEST
    const char *reason         # the first error; NULL: none
    size_t at                  # offset of the error

cdef struct Token:             # a field as it is written
    size_t at                  # offset of its tag
    uint32_t number
    uint32_t wire              # its wire type
    uint64_t value             # of a varint; else 0
    size_t prefix              # offset of the length, if there is one
    Span body                  # the bytes after the tag, or after the length


# --- Reading. Functions that return an int return -1 after an error, which the reader describes.

cdef inline void begin_reading(
    Reader *reader, const uint8_t *data, const cm.ortmmap_mapping *mapping
) noexcept nogil:
    """Begin to read bytes: those of a mapped file, or with NULL others."""
    memset(reader, 0, sizeof(Reader))
    reader.data, reader.mapping = data, mapping
    reader.requested = 0 if mapping != NULL else EVERYTHING


cdef inline void request_pages(Reader *reader, size_t at) noexcept nogil:
    """Request the next pages of the file from the disk, and more of them than the last time.

    Without a request, an access to a page on the disk reads those around it, megabytes of weights
    that are only skipped here: all of the model, before anything else is done.
    """
    cdef cm.ortmmap_mapping_error error   # not raised: pages are read as they are accessed, then
    cdef size_t size = reader.mapping.size
    if at > reader.requested + reader.request:
        reader.requested, reader.request = at, 0
    reader.request = min(max(2 * reader.request, <size_t>LEAST_REQUEST), <size_t>MOST_REQUEST)
    reader.request = min(reader.request, size - reader.requested)
    cm.ortmmap_mapping_advise(
        reader.mapping, cm.ORTMMAP_ADVICE_WILLNEED, reader.requested, reader.request, &error
    )
    reader.requested += reader.request
    if reader.requested == size:
        reader.requested = EVERYTHING


cdef inline int fail(Reader *reader, const char *reason, size_t at) noexcept nogil:
    reader.reason = reason
    reader.at = at
    return -1


cdef inline int fail_too_deep(Reader *reader, size_t at) noexcept nogil:
    return fail(reader, b"Messages nest more than 100 deep", at)


cdef inline str describe_error(const Reader *reader):
    return f"{reader.reason.decode()} at byte {reader.at}"


cdef inline int read_varint(
    Reader *reader, size_t *at, size_t stop, uint64_t *value
) noexcept nogil:
    """Read a varint of at most 10 bytes that ends before `stop`, and advance `at`."""
    if at[0] < stop and reader.data[at[0]] < 0x80:
        value[0] = reader.data[at[0]]
        at[0] += 1
        return 0
    return read_long_varint(reader, at, stop, value)


cdef inline int read_long_varint(
    Reader *reader, size_t *at, size_t stop, uint64_t *value
) noexcept nogil:
    cdef size_t start = at[0]
    cdef size_t index = start
    cdef size_t last = min(stop, start + 10)
    cdef uint64_t made = 0
    while index < last:
        made |= <uint64_t>(reader.data[index] & 0x7f) << (7 * (index - start))
        index += 1
        if reader.data[index - 1] < 0x80:
            at[0] = index
            value[0] = made
            return 0
    if last - start < 10:
        return fail(reader, b"A varint is cut off", start)
    return fail(reader, b"A varint has more than 10 bytes", start)


cdef inline int read_tag(Reader *reader, size_t *at, size_t stop, Token *token) noexcept nogil:
    """Read a tag: a varint of at most 5 bytes, of which the lower 32 bits count."""
    cdef uint64_t value
    token.at = at[0]
    if token.at + LONGEST_TOKEN > reader.requested:
        request_pages(reader, token.at)
    if read_varint(reader, at, stop, &value) < 0:
        return -1
    if at[0] - token.at > 5:
        return fail(reader, b"A field's tag has more than 5 bytes", token.at)
    token.wire = <uint32_t>value & 7
    token.number = <uint32_t>value >> 3
    if token.number == 0:
        return fail(reader, b"A field has the number 0", token.at)
    return 0


cdef inline int read_length(Reader *reader, size_t at, size_t stop, Token *token) noexcept nogil:
    """Read a length, and check that as many bytes follow it before `stop`."""
    cdef uint64_t length
    token.prefix = at
    if read_varint(reader, &at, stop, &length) < 0:
        return -1
    if length > stop - at:
        return fail(reader, b"A length goes beyond the end", token.prefix)
    if length > LONGEST:
        reader.oversized = True
    elif at - token.prefix > 5:
        return fail(reader, b"A length has more than 5 bytes", token.prefix)
    token.body = Span(at, at + length)
    return 0


cdef inline int read_token(
    Reader *reader, size_t at, size_t stop, int depth, Token *token
) noexcept nogil:
    """Read the field at `at`, in a message that ends at `stop`; `depth` more may nest in it."""
    cdef size_t width
    if read_tag(reader, &at, stop, token) < 0:
        return -1
    token.value = 0
    if token.wire == LENGTH:
        return read_length(reader, at, stop, token)
    token.body = Span(at, at)
    if token.wire == VARINT:
        return read_varint(reader, &token.body.stop, stop, &token.value)
    if token.wire == GROUP:
        return skip_group(reader, at, stop, depth, token)
    if token.wire == END_GROUP:
        return fail(reader, b"A group ends that did not begin", token.at)
    if token.wire > FIXED32:
        return fail(reader, b"A field has an unknown wire type", token.at)
    width = 8 if token.wire == FIXED64 else 4
    if width > stop - at:
        return fail(reader, b"A number is cut off", at)
    token.body.stop = at + width
    return 0


cdef inline int skip_group(
    Reader *reader, size_t at, size_t stop, int depth, Token *token
) noexcept nogil:
    """Find the end of a group. ONNX has none, so every group is an unknown field."""
    cdef Token inner
    cdef size_t next_at
    if depth == 0:
        return fail_too_deep(reader, token.at)
    while at < stop:
        next_at = at
        if read_tag(reader, &next_at, stop, &inner) < 0:
            return -1
        if inner.wire == END_GROUP:
            if inner.number != token.number:
                return fail(reader, b"A group ends that did not begin", at)
            token.body.stop = next_at
            return 0
        if read_token(reader, at, stop, depth - 1, &inner) < 0:
            return -1
        at = inner.body.stop
    return fail(reader, b"A group does not end", token.at)


cdef inline int check_packed(Reader *reader, Span body) noexcept nogil:
    """Check that a field of packed varints holds nothing else."""
    cdef uint64_t value
    while body.start < body.stop:
        if read_varint(reader, &body.start, body.stop, &value) < 0:
            return -1
    return 0


cdef inline bint equals(
    const Reader *reader, Span span, const char *text, size_t size
) noexcept nogil:
    return span.stop - span.start == size and memcmp(reader.data + span.start, text, size) == 0


# --- Writing. Functions that write return the end of what they have written.

cdef inline size_t varint_size(uint64_t value) noexcept nogil:
    cdef size_t size = 1
    while value >= 0x80:
        value >>= 7
        size += 1
    return size


cdef inline uint8_t *write_varint(uint8_t *target, uint64_t value) noexcept nogil:
    while value >= 0x80:
        target[0] = <uint8_t>(value & 0x7f | 0x80)
        target += 1
        value >>= 7
    target[0] = <uint8_t>value
    return target + 1


cdef inline size_t string_size(size_t size) noexcept nogil:
    """Size of a field that holds a string or message of `size` bytes, for numbers below 16."""
    return 1 + varint_size(size) + size


cdef inline uint8_t *write_string(
    uint8_t *target, uint8_t number, const char *text, size_t size
) noexcept nogil:
    target[0] = number << 3 | LENGTH
    target = write_varint(target + 1, size)
    memcpy(target, text, size)
    return target + size
