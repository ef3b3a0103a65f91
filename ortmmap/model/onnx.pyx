"""Where an ``.onnx`` file keeps its weights, and the skeleton of the model without them.

One pass over the wire format of a ModelProto finds the tensors whose ``raw_data`` can stay in the
file and notes an edit for each, and for the length of every message around it. Copying the bytes
between the edits then gives the skeleton, in which those tensors refer to the file by its name, an
offset and a length. The format: https://protobuf.dev/programming-guides/encoding/, onnx.proto3.
"""

from collections import namedtuple

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcmp, memcpy, memset

import sys

from ortmmap.errors import from_status

DEFAULT_THRESHOLD = 4096   # a page: mapping less takes longer and saves next to nothing
PLACES = ("mapped", "inline", "external")
INVALID_PROTOBUF, INVALID_GRAPH = 7, 10
# Where ONNX Runtime notes its own tensors' addresses; a file that says so points anywhere.
MEMORY_MARKER = b"*/_ORT_"

TensorBytes = namedtuple("TensorBytes", "place start stop data nbytes")
TensorBytes.__doc__ = """A TensorProto and its data: where, in bytes from the file's beginning."""
Field = namedtuple("Field", "number wire value start stop")
Field.__doc__ = """A field: its number and wire type, a varint's value, where its bytes are."""

cdef enum:
    DEEPEST = 100                  # messages within messages, as protobuf counts them
    LONGEST = 0x7fffffff - 16      # bytes of a message or string, as protobuf counts them
    MOST_REFERENCES = 16384        # ONNX Runtime maps each, and Linux allows 65530 in a process
    MOST_SHAPE_BYTES = 64 * 1024   # integers of rank 0 or 1 up to here may be a shape

cdef enum:
    VARINT = 0
    FIXED64 = 1
    LENGTH = 2
    GROUP = 3
    END_GROUP = 4
    FIXED32 = 5

cdef enum:
    SCALAR = 0   # a number or a string: nothing to look into
    PACKED       # numbers, as varints, one or packed
    MODEL
    GRAPH
    NODE
    ATTRIBUTE
    TENSOR
    SPARSE_TENSOR
    FUNCTION
    TRAINING
    VALUE_INFO
    TYPE
    TENSOR_TYPE
    SEQUENCE_TYPE
    MAP_TYPE
    SHAPE
    DIMENSION
    ENTRY        # a StringStringEntryProto
    ANNOTATION
    OPERATOR_SET
    KINDS

cdef enum:
    REPLACE    # tensors may become references
    KEEP_ALL

cdef enum:
    UNKNOWN = -1

cdef enum:
    MAPPED
    INLINE
    EXTERNAL

cdef struct Rule:
    uint8_t kind
    uint8_t keep

cdef struct Span:
    size_t start, stop

cdef struct Token:             # one field as it is written
    size_t at                  # of its tag
    uint32_t number
    uint32_t wire
    uint64_t value             # of a varint
    size_t prefix              # of its length
    Span body

cdef struct Edit:
    size_t at, stop            # the bytes that go
    uint64_t value             # the new length, or the length of the tensor's data
    size_t data                # of the tensor; 0: a length is written

cdef struct Name:              # of an initializer, or of a Constant's output
    size_t graph
    Span name

cdef struct Owner:             # what is being visited
    size_t graph               # where the attribute or function begins that has it; 0: the model
    Span node
    Span attribute             # 0, 0: a graph's own tensors
    int constant               # whether the node is a Constant, asked for once a node
    int single                 # whether the attribute has one tensor, asked for once an attribute

cdef struct Scan:
    const uint8_t *data
    size_t size
    size_t threshold           # the least bytes of a tensor that is to be a reference
    size_t spare               # how many of half as many bytes may be one
    size_t location_size
    int64_t growth             # of the skeleton against the file, so far
    Owner owner
    size_t references
    size_t[64] sizes           # the same, by the power of two in their bytes
    Edit *edits
    size_t edit_count, edit_room
    Tensor *tensors
    size_t tensor_count, tensor_room
    Span *locations            # of external data, one for each run of tensors in the same file
    size_t location_count, location_room
    Name *names
    size_t name_count, name_room
    bint oversized
    const char *reason         # what is wrong, NULL so far
    size_t at                  # and where

cdef struct TensorFields:      # what decides about a tensor
    Span whole
    uint32_t raw_count
    Token raw
    bint typed                 # has data in float_data, int32_data …
    bint segmented
    bint has_location
    bint external
    int32_t data_type
    uint64_t rank
    uint64_t elements          # the product of the dimensions
    bint countable             # the dimensions are not negative, their product fits
    uint64_t typed_bytes
    Span name
    Span location
    Span length

cdef const char *TOO_DEEP = b"Messages nest more than 100 deep"
cdef uint64_t MOST_ELEMENTS = <uint64_t>1 << 56   # so that their bits can be counted
cdef Rule[KINDS][32] RULES     # filled when the module is imported, constant from then on

# Bits of an element, by TensorProto.DataType; 0: its tensors stay in the model.
cdef uint8_t[27] ELEMENT_BITS = [
    0, 32, 8, 8, 16, 16, 32, 64, 0, 8, 16, 64, 32, 64, 0, 0, 16, 8, 8, 8, 8, 4, 4, 4, 8, 2, 2,
]
cdef enum:
    INT32_TYPE = 6
    INT64_TYPE = 7


# The fields of onnx.proto3 (IR 10) that are looked into; what is not here is for ONNX Runtime.
MESSAGES = {
    MODEL: {7: GRAPH, 8: OPERATOR_SET, 14: ENTRY, 20: TRAINING, 25: FUNCTION},
    GRAPH: {
        1: NODE,
        5: TENSOR,
        11: VALUE_INFO,
        12: VALUE_INFO,
        13: VALUE_INFO,
        14: ANNOTATION,
        15: SPARSE_TENSOR,
    },
    ATTRIBUTE: {
        5: TENSOR,
        6: GRAPH,
        8: PACKED,
        10: TENSOR,
        11: GRAPH,
        14: TYPE,
        15: TYPE,
        22: SPARSE_TENSOR,
        23: SPARSE_TENSOR,
    },
    SPARSE_TENSOR: {1: TENSOR, 2: TENSOR, 3: PACKED},
    FUNCTION: {7: NODE, 9: OPERATOR_SET, 11: ATTRIBUTE, 12: VALUE_INFO},
    TRAINING: {1: GRAPH, 2: GRAPH, 3: ENTRY, 4: ENTRY},
    VALUE_INFO: {2: TYPE},
    TYPE: {1: TENSOR_TYPE, 4: SEQUENCE_TYPE, 5: MAP_TYPE, 8: TENSOR_TYPE, 9: SEQUENCE_TYPE},
    TENSOR_TYPE: {2: SHAPE},
    SEQUENCE_TYPE: {1: TYPE},
    MAP_TYPE: {2: TYPE},
    SHAPE: {1: DIMENSION},
    ANNOTATION: {2: ENTRY},
}
# What ONNX Runtime does not resolve external data in: training_info, the attributes tensors,
# graphs and sparse_tensors, defaults of a function's attributes; 1.23 neither in sparse indices.
KEPT = (
    (MODEL, 20), (ATTRIBUTE, 10), (ATTRIBUTE, 11), (ATTRIBUTE, 23), (FUNCTION, 11),
    (SPARSE_TENSOR, 2),
)


cdef int _set_rules() except -1:
    cdef int parent, number
    for parent, children in MESSAGES.items():
        for number, kind in children.items():
            RULES[parent][number].kind = kind
    for parent, number in KEPT:
        RULES[parent][number].keep = KEEP_ALL
    return 0


_set_rules()


cdef class Skeleton:
    """An ONNX model without the weights that its file keeps for it.

    Attributes
    ----------
    model : bytes or None
        A ModelProto to create a session of; None where the file's own bytes will do, since no
        tensor of it can be a reference.
    externalized : int
        How many tensors refer into the file.
    mapped_bytes, inline_bytes, external_bytes : int
        Bytes of tensors' data: referred to in the file, kept in `model`, in other files.
    external_locations : tuple of bytes
        The other files, as the model names them, relative to its folder.
    oversized : bool
        Whether the file is beyond the 2 GiB that protobuf, and so ONNX Runtime, reads.
    """

    def __dealloc__(self):
        free(self._tensors)

    @property
    def tensors(self) -> list:
        """Every tensor of the model with its place, in the file's order."""
        cdef size_t index
        cdef Tensor *tensor
        made = []
        for index in range(self._count):
            tensor = &self._tensors[index]
            made.append(
                TensorBytes(
                    PLACES[tensor.place], tensor.start, tensor.stop, tensor.data, tensor.nbytes
                )
            )
        return made


def scan(data, bytes location not None, str path=None, size_t threshold=DEFAULT_THRESHOLD):
    """Find the weights in an ONNX model's bytes, and make the skeleton of the model.

    Parameters
    ----------
    data : buffer
        A serialized ModelProto.
    location : bytes
        The name, within its folder, of the file that holds `data`.
    path : str, optional
        What errors call the file.
    threshold : int
        Tensors of fewer bytes stay in the model.

    Returns
    -------
    Skeleton

    Raises
    ------
    InvalidProtobuf
        Where the bytes are not a message; the text names the offset.
    InvalidGraph
        Where a tensor refers to a file outside the model's folder.
    """
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        return scan_onnx(<const uint8_t *>view.buf, view.len, path, location, threshold)
    finally:
        PyBuffer_Release(&view)


def fields(data, size_t start=0, stop=None) -> list:
    """Read the fields of one message, not looking into any.

    Parameters
    ----------
    data : buffer
    start, stop : int
        The message, in bytes from the buffer's beginning; by default all of it.

    Returns
    -------
    list of Field
        `value` is 0 where the field is no varint; `start` to `stop` is what comes after the
        tag, and after the length.

    Raises
    ------
    InvalidProtobuf
        Where the bytes are not fields.
    """
    cdef Py_buffer view
    cdef Scan scan
    cdef Token token
    cdef size_t end
    made = []
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        end = view.len if stop is None else stop
        if not start <= end <= <size_t>view.len:
            raise ValueError(f"bytes {start} to {end} are not within {view.len}")
        _begin(&scan, <const uint8_t *>view.buf, view.len, 0, 0)
        while start < end:
            if read_token(&scan, start, end, DEEPEST, &token) < 0:
                _raise(&scan, None)
            made.append(
                Field(token.number, token.wire, token.value, token.body.start, token.body.stop)
            )
            start = token.body.stop
        return made
    finally:
        PyBuffer_Release(&view)


cdef Skeleton scan_onnx(
    const unsigned char *data, size_t size, str path, bytes location, size_t threshold
):
    """Scan a ModelProto; `location` is the base name of the file that holds it."""
    cdef Skeleton skeleton = Skeleton.__new__(Skeleton)
    cdef Scan scan
    cdef int status
    _begin(&scan, data, size, threshold, len(location))
    try:
        with nogil:
            status = walk_model(&scan)
        if status < 0:
            _raise(&scan, path)
        if scan.references and _has_duplicates(&scan):
            _keep_all(&scan)
        _count(skeleton, &scan)
        skeleton.external_locations = _locations(&scan, path)
        skeleton.oversized = scan.oversized or size > LONGEST
        if skeleton.externalized:
            skeleton.model = _write(&scan, location)
        skeleton._tensors, scan.tensors = scan.tensors, NULL
        return skeleton
    finally:
        free(scan.edits)
        free(scan.tensors)
        free(scan.locations)
        free(scan.names)


cdef void _begin(
    Scan *scan, const uint8_t *data, size_t size, size_t threshold, size_t location_size
):
    memset(scan, 0, sizeof(Scan))
    scan.data = data
    scan.size = size
    scan.threshold = threshold
    scan.location_size = location_size


cdef int _raise(Scan *scan, str path) except -1:
    if scan.reason == NULL:
        raise MemoryError("the places of a model's tensors")
    raise from_status(INVALID_PROTOBUF, f"{scan.reason.decode()} at byte {scan.at}", path)


cdef void _count(Skeleton skeleton, Scan *scan):
    cdef size_t index
    cdef Tensor *tensor
    skeleton._count = scan.tensor_count
    for index in range(scan.tensor_count):
        tensor = &scan.tensors[index]
        if tensor.place == MAPPED:
            skeleton.externalized += 1
            skeleton.mapped_bytes += tensor.nbytes
        elif tensor.place == EXTERNAL:
            skeleton.external_bytes += tensor.nbytes
        else:
            skeleton.inline_bytes += tensor.nbytes


cdef bint _has_duplicates(Scan *scan) except -1:
    """Whether two initializers of a graph have one name.

    ONNX Runtime takes the first of two that the model holds, but the last of two references.
    """
    cdef set names = set()
    cdef size_t index
    cdef Name *entry
    for index in range(scan.name_count):
        entry = &scan.names[index]
        name = PyBytes_FromStringAndSize(
            <const char *>scan.data + entry.name.start, entry.name.stop - entry.name.start
        )
        names.add((entry.graph, name) if entry.graph else name)
    return len(names) != <Py_ssize_t>scan.name_count


cdef void _keep_all(Scan *scan):
    cdef size_t index
    for index in range(scan.tensor_count):
        if scan.tensors[index].place == MAPPED:
            scan.tensors[index].place = INLINE


cdef tuple _locations(Scan *scan, str path):
    """Name the files that tensors refer to; refuse those outside the model's folder."""
    cdef dict found = {}
    cdef size_t index
    cdef Span span
    for index in range(scan.location_count):
        span = scan.locations[index]
        name = (<const char *>scan.data)[span.start:span.stop]
        found.setdefault(name, span.start)
    for name, at in found.items():
        reason = _refusal(name)
        if reason:
            raise from_status(
                INVALID_GRAPH,
                f"External data {reason}: {name.decode('utf-8', 'replace')!r} at byte {at}",
                path,
            )
    return tuple(found)


cdef str _refusal(bytes location):
    """Say why a location is refused, as onnxruntime since 1.24 does; None where it is not."""
    cdef int depth = 0
    name = location.replace(b"\\", b"/") if sys.platform == "win32" else location
    if name.startswith(MEMORY_MARKER):
        return "in memory"
    if name.startswith(b"/") or (sys.platform == "win32" and name[1:2] == b":"):
        return "at an absolute path"
    for part in name.split(b"/"):
        if part == b"..":
            depth -= 1
        elif part not in (b"", b"."):
            depth += 1
        if depth < 0:
            return "outside the model's folder"
    return None


cdef inline int fail(Scan *scan, const char *reason, size_t at) noexcept nogil:
    scan.reason = reason
    scan.at = at
    return -1


cdef inline int read_varint(
    Scan *scan, size_t *at, size_t stop, uint64_t *value
) noexcept nogil:
    """Read a varint of at most 10 bytes that ends before `stop`."""
    if at[0] < stop and scan.data[at[0]] < 0x80:
        value[0] = scan.data[at[0]]
        at[0] += 1
        return 0
    return read_long_varint(scan, at, stop, value)


cdef int read_long_varint(
    Scan *scan, size_t *at, size_t stop, uint64_t *value
) noexcept nogil:
    cdef size_t start = at[0]
    cdef size_t index = start
    cdef size_t last = min(stop, start + 10)
    cdef uint64_t made = 0
    while index < last:
        made |= <uint64_t>(scan.data[index] & 0x7f) << (7 * (index - start))
        index += 1
        if scan.data[index - 1] < 0x80:
            at[0] = index
            value[0] = made
            return 0
    if last - start < 10:
        return fail(scan, b"A varint is cut off", start)
    return fail(scan, b"A varint has more than 10 bytes", start)


cdef inline int read_tag(Scan *scan, size_t *at, size_t stop, Token *token) noexcept nogil:
    """Read a tag: a varint of at most 5 bytes, of which 32 bits count."""
    cdef uint64_t value
    token.at = at[0]
    if read_varint(scan, at, stop, &value) < 0:
        return -1
    if at[0] - token.at > 5:
        return fail(scan, b"A field's tag has more than 5 bytes", token.at)
    token.wire = <uint32_t>value & 7
    token.number = <uint32_t>value >> 3
    if token.number == 0:
        return fail(scan, b"A field has the number 0", token.at)
    return 0


cdef inline int read_length(Scan *scan, size_t at, size_t stop, Token *token) noexcept nogil:
    """Read a length, and check that what it is the length of ends before `stop`."""
    cdef uint64_t length
    token.prefix = at
    if read_varint(scan, &at, stop, &length) < 0:
        return -1
    if length > stop - at:
        return fail(scan, b"A length goes beyond the end", token.prefix)
    if length > LONGEST:
        scan.oversized = True
    elif at - token.prefix > 5:
        return fail(scan, b"A length has more than 5 bytes", token.prefix)
    token.body = Span(at, at + length)
    return 0


cdef inline int read_token(
    Scan *scan, size_t at, size_t stop, int depth, Token *token
) noexcept nogil:
    """Read the field at `at` of a message that ends at `stop`, up to its end."""
    cdef size_t width
    if read_tag(scan, &at, stop, token) < 0:
        return -1
    token.value = 0
    if token.wire == LENGTH:
        return read_length(scan, at, stop, token)
    token.body = Span(at, at)
    if token.wire == VARINT:
        return read_varint(scan, &token.body.stop, stop, &token.value)
    if token.wire == GROUP:
        return skip_group(scan, at, stop, depth, token)
    if token.wire == END_GROUP:
        return fail(scan, b"A group ends that did not begin", token.at)
    if token.wire > FIXED32:
        return fail(scan, b"A field has an unknown wire type", token.at)
    width = 8 if token.wire == FIXED64 else 4
    if width > stop - at:
        return fail(scan, b"A number is cut off", at)
    token.body.stop = at + width
    return 0


cdef int skip_group(
    Scan *scan, size_t at, size_t stop, int depth, Token *token
) noexcept nogil:
    """Find the end of a group; ONNX has none, so every group is an unknown field."""
    cdef Token inner
    cdef size_t next_at
    if depth == 0:
        return fail(scan, TOO_DEEP, token.at)
    while at < stop:
        next_at = at
        if read_tag(scan, &next_at, stop, &inner) < 0:
            return -1
        if inner.wire == END_GROUP:
            if inner.number != token.number:
                return fail(scan, b"A group ends that did not begin", at)
            token.body.stop = next_at
            return 0
        if read_token(scan, at, stop, depth - 1, &inner) < 0:
            return -1
        at = inner.body.stop
    return fail(scan, b"A group does not end", token.at)


cdef int walk_model(Scan *scan) noexcept nogil:
    """Go through the model, once more where its references would be too many."""
    cdef Span whole = Span(0, scan.size)
    cdef int power = 0
    if walk(scan, MODEL, whole, DEEPEST, REPLACE) < 0:
        return -1
    if scan.references <= MOST_REFERENCES:
        return 0
    while scan.references > MOST_REFERENCES:
        scan.references -= scan.sizes[power]
        power += 1
    scan.threshold = <size_t>1 << power
    scan.spare = MOST_REFERENCES - scan.references
    scan.growth = 0
    scan.edit_count = scan.tensor_count = scan.location_count = scan.name_count = 0
    return walk(scan, MODEL, whole, DEEPEST, REPLACE)


cdef int walk(Scan *scan, int kind, Span body, int depth, int keep) noexcept nogil:
    """Go through the fields of a message, and into those that are messages."""
    cdef Token token
    cdef Rule rule
    while body.start < body.stop:
        if read_token(scan, body.start, body.stop, depth, &token) < 0:
            return -1
        body.start = token.body.stop
        if token.wire != LENGTH or token.number >= 32:
            continue
        rule = RULES[kind][token.number]
        if rule.kind == SCALAR:
            continue
        if rule.kind == PACKED:
            if check_packed(scan, token.body) < 0:
                return -1
        elif enter(scan, rule.kind, &token, depth, max(keep, <int>rule.keep)) < 0:
            return -1
    return 0


cdef int enter(Scan *scan, int kind, Token *token, int depth, int keep) noexcept nogil:
    """Go through a field that is a message, and note its new length if that changes."""
    cdef size_t slot = scan.edit_count
    cdef int64_t growth = scan.growth
    if depth == 0:
        return fail(scan, TOO_DEEP, token.at)
    if reserve_edit(scan) < 0 or visit(scan, kind, token.body, depth - 1, keep) < 0:
        return -1
    if scan.edit_count == slot + 1:
        scan.edit_count = slot   # nothing in it is replaced
    else:
        mend_length(scan, slot, token, scan.growth - growth)
    return 0


cdef int visit(Scan *scan, int kind, Span body, int depth, int keep) noexcept nogil:
    if kind == TENSOR:
        return visit_tensor(scan, body, depth, keep)
    if kind in (GRAPH, FUNCTION, NODE, ATTRIBUTE):
        return visit_owner(scan, kind, body, depth, keep)
    if kind == SPARSE_TENSOR and count_of(scan, body, depth, 1) > 1:
        keep = KEEP_ALL   # protobuf merges several values into one
    return walk(scan, kind, body, depth, keep)


cdef int visit_owner(Scan *scan, int kind, Span body, int depth, int keep) noexcept nogil:
    """Go through what tensors belong to, noting that they do."""
    cdef Owner owner = scan.owner
    cdef int status
    if kind == NODE:
        scan.owner.node, scan.owner.constant = body, UNKNOWN
        status = visit_node(scan, body, depth, keep)
    elif kind == ATTRIBUTE:
        scan.owner.attribute, scan.owner.single = body, UNKNOWN
        status = walk(scan, kind, body, depth, keep)
    else:
        scan.owner.graph = body.start if kind == FUNCTION else owner.attribute.start
        scan.owner.attribute = Span(0, 0)
        status = walk(scan, kind, body, depth, keep)
    if kind == ATTRIBUTE:
        owner.constant = scan.owner.constant
    scan.owner = owner
    return status


cdef int visit_node(Scan *scan, Span body, int depth, int keep) noexcept nogil:
    """Go through a node's attributes, and note what a Constant's output is called."""
    cdef Token token
    cdef Span op_type = Span(0, 0)
    cdef Span output = Span(0, 0)
    while body.start < body.stop:
        if read_token(scan, body.start, body.stop, depth, &token) < 0:
            return -1
        body.start = token.body.stop
        if token.wire != LENGTH:
            continue
        if token.number == 5:
            if enter(scan, ATTRIBUTE, &token, depth, keep) < 0:
                return -1
        elif token.number == 4:
            op_type = token.body
        elif token.number == 2 and output.stop == 0:
            output = token.body
    return note_name(scan, output) if equals(scan, op_type, b"Constant", 8) else 0


cdef int check_packed(Scan *scan, Span body) noexcept nogil:
    cdef uint64_t value
    while body.start < body.stop:
        if read_varint(scan, &body.start, body.stop, &value) < 0:
            return -1
    return 0


cdef bint is_initializer(Scan *scan, int depth) noexcept nogil:
    """Whether ONNX Runtime makes an initializer of the tensor that is being visited.

    It does of a graph's own, and of a Constant with one attribute. That has to be one tensor, too:
    protobuf merges several into one.
    """
    cdef Owner *owner = &scan.owner
    if owner.attribute.stop == 0:
        return True
    if owner.single == UNKNOWN:
        owner.single = 1 == (
            count_of(scan, owner.attribute, depth, 5) + count_of(scan, owner.attribute, depth, 22)
        )
    if owner.single and owner.constant == UNKNOWN:
        owner.constant = is_constant(scan, owner.node, depth)
    return owner.single and owner.constant


cdef bint is_constant(Scan *scan, Span body, int depth) noexcept nogil:
    cdef Token token
    cdef Span op_type = Span(0, 0)
    cdef Span domain = Span(0, 0)
    cdef int attributes = 0
    while body.start < body.stop:
        if read_token(scan, body.start, body.stop, depth, &token) < 0:
            return False   # walk() comes upon it, and says so
        if token.wire == LENGTH:
            if token.number == 4:
                op_type = token.body
            elif token.number == 7:
                domain = token.body
            attributes += token.number == 5
        body.start = token.body.stop
    return (
        attributes == 1
        and equals(scan, op_type, b"Constant", 8)
        and (domain.start == domain.stop or equals(scan, domain, b"ai.onnx", 7))
    )


cdef int count_of(Scan *scan, Span body, int depth, uint32_t number) noexcept nogil:
    cdef Token token
    cdef int count = 0
    while body.start < body.stop:
        if read_token(scan, body.start, body.stop, depth, &token) < 0:
            return 0   # walk() comes upon it, and says so
        count += token.wire == LENGTH and token.number == number
        body.start = token.body.stop
    return count


cdef inline bint equals(Scan *scan, Span span, const char *text, size_t size) noexcept nogil:
    return span.stop - span.start == size and memcmp(scan.data + span.start, text, size) == 0


cdef int visit_tensor(Scan *scan, Span body, int depth, int keep) noexcept nogil:
    """Go through a TensorProto, and replace its raw_data where that can stay in the file."""
    cdef TensorFields tensor
    cdef Token token
    memset(&tensor, 0, sizeof(tensor))
    tensor.whole = body
    tensor.elements = tensor.countable = 1
    while body.start < body.stop:
        if read_token(scan, body.start, body.stop, depth, &token) < 0:
            return -1
        if note_tensor_field(scan, &token, depth, &tensor) < 0:
            return -1
        body.start = token.body.stop
    if keep == REPLACE and scan.owner.attribute.stop == 0 and note_name(scan, tensor.name) < 0:
        return -1
    return place_tensor(scan, &tensor, depth, keep)


cdef int note_tensor_field(
    Scan *scan, Token *token, int depth, TensorFields *tensor
) noexcept nogil:
    """Note what a field of a TensorProto says, if its wire type is one that protobuf takes."""
    cdef size_t size = token.body.stop - token.body.start
    if token.number == 1:
        return note_dimensions(scan, token, tensor)
    if token.number in (4, 5, 6, 7, 10, 11):
        tensor.typed = True
        tensor.typed_bytes += size
    elif token.wire == VARINT:
        if token.number == 2:
            tensor.data_type = <int32_t>token.value
        elif token.number == 14:
            tensor.has_location = True
            if token.value <= 1:   # another value counts as an unknown field
                tensor.external = token.value == 1
    elif token.wire == LENGTH:
        if token.number == 3:
            tensor.segmented = True
        elif token.number == 8:
            tensor.name = token.body
        elif token.number == 9:
            tensor.raw = token[0]
            tensor.raw_count += 1
        elif token.number == 13:
            tensor.has_location = True
            return note_entry(scan, token, depth, tensor)
    return 0


cdef int note_dimensions(Scan *scan, Token *token, TensorFields *tensor) noexcept nogil:
    cdef uint64_t value
    cdef Span body = token.body
    if token.wire == VARINT:
        note_dimension(token.value, tensor)
    elif token.wire == LENGTH:
        while body.start < body.stop:
            if read_varint(scan, &body.start, body.stop, &value) < 0:
                return -1
            note_dimension(value, tensor)
    return 0


cdef inline void note_dimension(uint64_t value, TensorFields *tensor) noexcept nogil:
    tensor.rank += 1
    if value and tensor.elements > MOST_ELEMENTS // value:   # a negative value is a large one here
        tensor.countable = False
    else:
        tensor.elements *= value


cdef int note_entry(Scan *scan, Token *token, int depth, TensorFields *tensor) noexcept nogil:
    """Note an entry of external_data: a key and a value."""
    cdef Span body = token.body
    cdef Span key = Span(0, 0)
    cdef Span value = Span(0, 0)
    cdef Token part
    if depth == 0:
        return fail(scan, TOO_DEEP, token.at)
    while body.start < body.stop:
        if read_token(scan, body.start, body.stop, depth - 1, &part) < 0:
            return -1
        if part.wire == LENGTH and part.number == 1:
            key = part.body
        elif part.wire == LENGTH and part.number == 2:
            value = part.body
        body.start = part.body.stop
    if equals(scan, key, b"location", 8):
        tensor.location = value
    elif equals(scan, key, b"length", 6):
        tensor.length = value
    return 0


cdef int place_tensor(Scan *scan, TensorFields *tensor, int depth, int keep) noexcept nogil:
    cdef Tensor *made = reserve_tensor(scan)
    if made == NULL:
        return -1
    made.start, made.stop = tensor.whole.start, tensor.whole.stop
    made.data = tensor.raw.body.start if tensor.raw_count else 0
    if tensor.external and not tensor.raw_count:
        made.place, made.nbytes = EXTERNAL, external_size(scan, tensor)
        if keep == REPLACE and is_initializer(scan, depth):
            return note_location(scan, tensor.location)
        return 0
    made.place, made.nbytes = INLINE, tensor.typed_bytes
    if tensor.raw_count:
        made.nbytes += tensor.raw.body.stop - tensor.raw.body.start
    if keep == REPLACE and can_stay_in_file(scan, tensor) and is_initializer(scan, depth):
        made.place = MAPPED
        return replace_data(scan, &tensor.raw)
    return 0


cdef bint can_stay_in_file(Scan *scan, TensorFields *tensor) noexcept nogil:
    """Whether a tensor is just its raw_data, of the size it should have, and of no shape."""
    cdef uint64_t size
    if tensor.raw_count != 1 or tensor.typed or tensor.segmented or tensor.has_location:
        return False
    size = tensor.raw.body.stop - tensor.raw.body.start
    if tensor.rank <= 1 and tensor.data_type in (INT32_TYPE, INT64_TYPE):
        if size <= MOST_SHAPE_BYTES:
            return False
    return size > 0 and size == data_size(tensor) and is_large(scan, size)


cdef bint is_large(Scan *scan, uint64_t size) noexcept nogil:
    if size >= scan.threshold:
        return True
    if scan.spare == 0 or size < scan.threshold // 2:
        return False
    scan.spare -= 1
    return True


cdef uint64_t data_size(TensorFields *tensor) noexcept nogil:
    """How many bytes a tensor's elements take; 0 where that is unknown."""
    if not tensor.countable or not 0 < tensor.data_type < <int32_t>sizeof(ELEMENT_BITS):
        return 0
    return (tensor.elements * ELEMENT_BITS[tensor.data_type] + 7) // 8


cdef uint64_t external_size(Scan *scan, TensorFields *tensor) noexcept nogil:
    """How many bytes of its file a tensor takes: as it says, or else as its shape says."""
    cdef size_t at
    cdef uint64_t size = 0
    if not 0 < tensor.length.stop - tensor.length.start < 19:
        return data_size(tensor)
    for at in range(tensor.length.start, tensor.length.stop):
        if not 48 <= scan.data[at] < 58:
            return data_size(tensor)
        size = size * 10 + (scan.data[at] - 48)
    return size


cdef int note_name(Scan *scan, Span name) noexcept nogil:
    cdef Name *entry
    if make_room(
        <void **>&scan.names, &scan.name_room, scan.name_count, sizeof(Name)
    ) < 0:
        return -1
    entry = &scan.names[scan.name_count]
    entry.graph, entry.name = scan.owner.graph, name
    scan.name_count += 1
    return 0


cdef int note_location(Scan *scan, Span location) noexcept nogil:
    cdef Span last
    cdef size_t size = location.stop - location.start
    if scan.location_count:
        last = scan.locations[scan.location_count - 1]
        if equals(scan, last, <const char *>scan.data + location.start, size):
            return 0
    if make_room(
        <void **>&scan.locations, &scan.location_room, scan.location_count, sizeof(Span)
    ) < 0:
        return -1
    scan.locations[scan.location_count] = location
    scan.location_count += 1
    return 0


cdef int replace_data(Scan *scan, Token *raw) noexcept nogil:
    """Note that a reference takes the place of a raw_data field."""
    cdef size_t index = scan.edit_count
    cdef Edit *edit
    if reserve_edit(scan) < 0:
        return -1
    edit = &scan.edits[index]
    edit.at, edit.stop = raw.at, raw.body.stop
    edit.data = raw.body.start
    edit.value = raw.body.stop - raw.body.start
    scan.references += 1
    scan.sizes[power_of_two(edit.value)] += 1
    scan.growth += <int64_t>reference_size(scan, edit) - <int64_t>(edit.stop - edit.at)
    return 0


cdef void mend_length(Scan *scan, size_t slot, Token *token, int64_t growth) noexcept nogil:
    """Note the new length of a message of which something was replaced."""
    cdef Edit *edit = &scan.edits[slot]
    edit.at, edit.stop = token.prefix, token.body.start
    edit.data = 0
    edit.value = <uint64_t>(<int64_t>(token.body.stop - token.body.start) + growth)
    scan.growth += <int64_t>varint_size(edit.value) - <int64_t>(edit.stop - edit.at)


cdef int reserve_edit(Scan *scan) noexcept nogil:
    if make_room(<void **>&scan.edits, &scan.edit_room, scan.edit_count, sizeof(Edit)) < 0:
        return -1
    scan.edit_count += 1
    return 0


cdef Tensor *reserve_tensor(Scan *scan) noexcept nogil:
    if make_room(
        <void **>&scan.tensors, &scan.tensor_room, scan.tensor_count, sizeof(Tensor)
    ) < 0:
        return NULL
    scan.tensor_count += 1
    return &scan.tensors[scan.tensor_count - 1]


cdef int make_room(void **items, size_t *room, size_t count, size_t item_size) noexcept nogil:
    """Let an array hold one item more than `count`."""
    cdef size_t wanted = room[0]
    cdef void *moved
    if count < wanted:
        return 0
    wanted = 2 * wanted if wanted else 64
    moved = realloc(items[0], wanted * item_size)
    if moved == NULL:
        return -1
    items[0], room[0] = moved, wanted
    return 0


cdef bytes _write(Scan *scan, bytes location):
    """Copy the file but for the edits."""
    cdef size_t size = <size_t>(<int64_t>scan.size + scan.growth)
    cdef bytes made = PyBytes_FromStringAndSize(NULL, size)
    cdef uint8_t *target = <uint8_t *>PyBytes_AS_STRING(made)
    cdef const char *name = location
    with nogil:
        write_skeleton(scan, target, name)
    return made


cdef void write_skeleton(Scan *scan, uint8_t *target, const char *location) noexcept nogil:
    cdef size_t done = 0
    cdef size_t index
    cdef Edit *edit
    for index in range(scan.edit_count):
        edit = &scan.edits[index]
        memcpy(target, scan.data + done, edit.at - done)
        target += edit.at - done
        if edit.data:
            target = write_reference(scan, target, edit, location)
        else:
            target = write_varint(target, edit.value)
        done = edit.stop
    memcpy(target, scan.data + done, scan.size - done)


cdef size_t reference_size(Scan *scan, Edit *edit) noexcept nogil:
    cdef char[20] digits
    return (
        entry_size(8, scan.location_size)
        + entry_size(6, write_decimal(digits, edit.data))
        + entry_size(6, write_decimal(digits, edit.value))
        + 2
    )


cdef uint8_t *write_reference(
    Scan *scan, uint8_t *target, Edit *edit, const char *location
) noexcept nogil:
    """Write external_data with the location, offset and length, and data_location."""
    cdef char[20] digits
    cdef size_t size
    target = write_entry(target, b"location", 8, location, scan.location_size)
    size = write_decimal(digits, edit.data)
    target = write_entry(target, b"offset", 6, digits, size)
    size = write_decimal(digits, edit.value)
    target = write_entry(target, b"length", 6, digits, size)
    target[0], target[1] = 14 << 3 | VARINT, 1
    return target + 2


cdef size_t entry_size(size_t key_size, size_t value_size) noexcept nogil:
    cdef size_t body = string_size(key_size) + string_size(value_size)
    return string_size(body)


cdef size_t string_size(size_t size) noexcept nogil:
    return 1 + varint_size(size) + size


cdef uint8_t *write_entry(
    uint8_t *target, const char *key, size_t key_size, const char *value, size_t value_size
) noexcept nogil:
    target[0] = 13 << 3 | LENGTH
    target = write_varint(target + 1, string_size(key_size) + string_size(value_size))
    target = write_string(target, 1, key, key_size)
    return write_string(target, 2, value, value_size)


cdef uint8_t *write_string(
    uint8_t *target, uint8_t number, const char *text, size_t size
) noexcept nogil:
    target[0] = number << 3 | LENGTH
    target = write_varint(target + 1, size)
    memcpy(target, text, size)
    return target + size


cdef int power_of_two(uint64_t value) noexcept nogil:
    """Give the largest power that is not above `value`, which is not 0."""
    cdef int power = 0
    while value >> 1:
        value >>= 1
        power += 1
    return power


cdef size_t varint_size(uint64_t value) noexcept nogil:
    cdef size_t size = 1
    while value >= 0x80:
        value >>= 7
        size += 1
    return size


cdef uint8_t *write_varint(uint8_t *target, uint64_t value) noexcept nogil:
    while value >= 0x80:
        target[0] = <uint8_t>(value & 0x7f | 0x80)
        target += 1
        value >>= 7
    target[0] = <uint8_t>value
    return target + 1


cdef size_t write_decimal(char *digits, uint64_t value) noexcept nogil:
    """Write `value` into `digits`, of 20 bytes, and give how many it took."""
    cdef size_t size = 1
    cdef size_t index
    cdef uint64_t rest = value
    while rest >= 10:
        rest //= 10
        size += 1
    for index in range(size):
        digits[size - 1 - index] = <char>(48 + value % 10)
        value //= 10
    return size
