"""The scan of an ONNX model: its tensors, and the edits that make its skeleton.

One pass over a ModelProto finds the tensors whose ``raw_data`` can stay in the file. It notes an
edit for each of them, and one for the length of every message around it. The messages and fields
are those of onnx.proto3, IR version 10.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memset

from ortmmap.model.tensor_proto cimport (
    TensorProto, data_size, external_size, is_raw_data_alone, raw_size, read_tensor,
)
from ortmmap.model.wire cimport (
    DEEPEST, LENGTH, Token, begin_reading, check_packed, equals, fail_too_deep, read_token,
)
from ortmmap.values.element_types cimport onnx_bits

cdef enum:
    MOST_REFERENCES = 16384        # ONNX Runtime maps each; Linux allows a process 65530 mappings
    MOST_SHAPE_BYTES = 64 * 1024   # integers of rank 0 or 1 up to this size may be a shape

cdef enum:
    SCALAR = 0   # a number or a string: nothing to look into
    PACKED       # varints, one or packed
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
    REPLACE      # tensors may become references
    KEEP_ALL

cdef enum:
    UNKNOWN = -1

cdef enum:       # TensorProto.DataType
    INT32_TYPE = 6
    INT64_TYPE = 7
    COMPLEX64_TYPE = 14
    COMPLEX128_TYPE = 15

cdef struct Rule:
    uint8_t kind
    uint8_t keep

cdef Rule[KINDS][32] RULES     # by field number; filled at import, constant from then on

# Kinds of the fields that are looked into. ONNX Runtime's parser checks the others.
cdef dict FIELDS = {
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
# Fields in which ONNX Runtime does not resolve external data: training_info, the attributes
# tensors, graphs and sparse_tensors, the defaults of a function's attributes; and the indices of
# sparse tensors, which 1.23 refuses.
cdef tuple KEPT = (
    (MODEL, 20), (ATTRIBUTE, 10), (ATTRIBUTE, 11), (ATTRIBUTE, 23), (FUNCTION, 11),
    (SPARSE_TENSOR, 2),
)


cdef int fill_rules() except -1:
    cdef int parent, number
    for parent, children in FIELDS.items():
        for number, kind in children.items():
            RULES[parent][number].kind = kind
    for parent, number in KEPT:
        RULES[parent][number].keep = KEEP_ALL
    return 0


fill_rules()


cdef void begin_scan(
    Scan *scan,
    const uint8_t *data,
    size_t size,
    size_t threshold,
    bint relocating,
    const ortmmap_mapping *mapping,
) noexcept nogil:
    memset(scan, 0, sizeof(Scan))
    begin_reading(&scan.reader, data, mapping)
    scan.size = size
    scan.threshold = threshold
    scan.relocating = relocating


cdef void free_scan(Scan *scan) noexcept nogil:
    free(scan.edits)
    free(scan.tensors)
    free(scan.locations)
    free(scan.names)


cdef int scan_model(Scan *scan) noexcept nogil:
    """Walk the model, a second time with a higher threshold if there are too many references."""
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
    scan.edit_count = scan.tensor_count = scan.location_count = scan.name_count = 0
    return walk(scan, MODEL, whole, DEEPEST, REPLACE)


cdef int walk(Scan *scan, int kind, Span body, int depth, int keep) noexcept nogil:
    """Visit the fields of a message that are messages themselves."""
    cdef Token token
    cdef Rule rule
    while body.start < body.stop:
        if read_token(&scan.reader, body.start, body.stop, depth, &token) < 0:
            return -1
        body.start = token.body.stop
        if token.wire != LENGTH or token.number >= 32:
            continue
        rule = RULES[kind][token.number]
        if rule.kind == SCALAR:
            continue
        if rule.kind == PACKED:
            if check_packed(&scan.reader, token.body) < 0:
                return -1
        elif enter(scan, rule.kind, &token, depth, max(keep, <int>rule.keep)) < 0:
            return -1
    return 0


cdef int enter(Scan *scan, int kind, Token *token, int depth, int keep) noexcept nogil:
    """Visit a message, and note an edit of its length if anything in it is edited."""
    cdef size_t slot = scan.edit_count   # before the edits in the message
    if depth == 0:
        return fail_too_deep(&scan.reader, token.at)
    if reserve_edit(scan) < 0 or visit(scan, kind, token.body, depth - 1, keep) < 0:
        return -1
    if scan.edit_count == slot + 1:
        scan.edit_count = slot
    else:
        note_length(scan, slot, token)
    return 0


cdef int visit(Scan *scan, int kind, Span body, int depth, int keep) noexcept nogil:
    if kind == TENSOR:
        return visit_tensor(scan, body, depth, keep)
    if kind in (GRAPH, FUNCTION, NODE, ATTRIBUTE):
        return visit_owner(scan, kind, body, depth, keep)
    if kind == SPARSE_TENSOR:
        return visit_sparse_tensor(scan, body, depth, keep)
    return walk(scan, kind, body, depth, keep)


cdef int visit_sparse_tensor(Scan *scan, Span body, int depth, int keep) noexcept nogil:
    cdef int status
    if count_fields(scan, body, depth, 1) > 1:
        keep = KEEP_ALL   # protobuf merges several values into one
    scan.owner.sparse = True
    status = walk(scan, SPARSE_TENSOR, body, depth, keep)
    scan.owner.sparse = False   # sparse tensors do not nest
    return status


cdef int visit_owner(Scan *scan, int kind, Span body, int depth, int keep) noexcept nogil:
    """Visit a message as the owner of what is in it."""
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
        owner.constant = scan.owner.constant   # the node's, found out once for all its attributes
    scan.owner = owner
    return status


cdef int visit_node(Scan *scan, Span body, int depth, int keep) noexcept nogil:
    """Visit a node's attributes, and note the name of a Constant's output."""
    cdef Token token
    cdef Span op_type = Span(0, 0)
    cdef Span output = Span(0, 0)
    while body.start < body.stop:
        if read_token(&scan.reader, body.start, body.stop, depth, &token) < 0:
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
    scan.node_count += 1
    scan.convolution_count += equals(&scan.reader, op_type, b"Conv", 4)
    return note_name(scan, output) if equals(&scan.reader, op_type, b"Constant", 8) else 0


cdef int visit_tensor(Scan *scan, Span body, int depth, int keep) noexcept nogil:
    cdef TensorProto tensor
    if read_tensor(&scan.reader, body, depth, &tensor) < 0:
        return -1
    if keep == REPLACE and scan.owner.attribute.stop == 0 and note_name(scan, tensor.name) < 0:
        return -1
    return place_tensor(scan, &tensor, depth, keep)


cdef int place_tensor(Scan *scan, TensorProto *tensor, int depth, int keep) noexcept nogil:
    """Note where the tensor's data is; if it can stay in the file, note a reference to it."""
    cdef int bits = element_bits(tensor.data_type)
    cdef Tensor *noted = reserve_tensor(scan)
    if noted == NULL:
        return -1
    noted.start, noted.stop = tensor.body.start, tensor.body.stop
    noted.data = tensor.raw.body.start
    noted.name = tensor.name if keep == REPLACE and is_own_initializer(scan) else Span(0, 0)
    if tensor.external and not tensor.raw_count:
        noted.place, noted.nbytes = EXTERNAL, external_size(&scan.reader, tensor, bits)
        if keep == REPLACE and is_initializer(scan, depth):
            return note_location(scan, tensor)
        return 0
    noted.place, noted.nbytes = INLINE, tensor.typed_bytes + raw_size(tensor)
    if keep == REPLACE and can_stay_in_file(scan, tensor, bits) and is_initializer(scan, depth):
        if scan.relocating and not is_own_initializer(scan):
            return 0
        noted.place = MAPPED
        return note_reference(scan, &tensor.raw)
    return 0


cdef int element_bits(int data_type) noexcept nogil:
    """Return the size of an element; 0 if tensors of the type stay in the model."""
    return 0 if data_type in (COMPLEX64_TYPE, COMPLEX128_TYPE) else onnx_bits(data_type)


cdef bint can_stay_in_file(Scan *scan, const TensorProto *tensor, int bits) noexcept nogil:
    """Whether raw_data is all of the tensor's data, complete, large, and not a shape."""
    cdef uint64_t size = raw_size(tensor)
    if not is_raw_data_alone(tensor):
        return False
    if tensor.rank <= 1 and tensor.data_type in (INT32_TYPE, INT64_TYPE):
        if size <= MOST_SHAPE_BYTES:
            return False
    return size > 0 and size == data_size(tensor, bits) and is_large(scan, size)


cdef bint is_large(Scan *scan, uint64_t size) noexcept nogil:
    if size >= scan.threshold:
        return True
    if scan.spare == 0 or size < scan.threshold // 2:
        return False
    scan.spare -= 1
    return True


cdef bint is_own_initializer(const Scan *scan) noexcept nogil:
    """Whether the tensor that is being visited is an initializer of the model's own graph."""
    return not (scan.owner.graph or scan.owner.attribute.stop or scan.owner.sparse)


cdef bint is_initializer(Scan *scan, int depth) noexcept nogil:
    """Whether ONNX Runtime makes an initializer of the tensor that is being visited.

    It does so for a graph's own tensors, and for a Constant with one attribute. That attribute
    must have one tensor, since protobuf merges several into one.
    """
    cdef Owner *owner = &scan.owner
    if owner.attribute.stop == 0:
        return True
    if owner.single == UNKNOWN:
        owner.single = 1 == (
            count_fields(scan, owner.attribute, depth, 5)
            + count_fields(scan, owner.attribute, depth, 22)
        )
    if owner.single and owner.constant == UNKNOWN:
        owner.constant = is_constant(scan, owner.node, depth)
    return owner.single and owner.constant


cdef bint is_constant(Scan *scan, Span body, int depth) noexcept nogil:
    """Whether a node is ONNX's Constant, with one attribute."""
    cdef Token token
    cdef Span op_type = Span(0, 0)
    cdef Span domain = Span(0, 0)
    cdef int attributes = 0
    while body.start < body.stop:
        if read_token(&scan.reader, body.start, body.stop, depth, &token) < 0:
            return False   # visit_node() will report the error
        if token.wire == LENGTH:
            if token.number == 4:
                op_type = token.body
            elif token.number == 7:
                domain = token.body
            attributes += token.number == 5
        body.start = token.body.stop
    return (
        attributes == 1
        and equals(&scan.reader, op_type, b"Constant", 8)
        and (domain.start == domain.stop or equals(&scan.reader, domain, b"ai.onnx", 7))
    )


cdef int count_fields(Scan *scan, Span body, int depth, uint32_t number) noexcept nogil:
    """Count the strings or messages of a number in a message."""
    cdef Token token
    cdef int count = 0
    while body.start < body.stop:
        if read_token(&scan.reader, body.start, body.stop, depth, &token) < 0:
            return 0   # walk() will report the error
        count += token.wire == LENGTH and token.number == number
        body.start = token.body.stop
    return count


cdef int note_name(Scan *scan, Span name) noexcept nogil:
    cdef Name *noted
    if make_room(
        <void **>&scan.names, &scan.name_room, scan.name_count, sizeof(Name)
    ) < 0:
        return -1
    noted = &scan.names[scan.name_count]
    noted.graph, noted.name = scan.owner.graph, name
    scan.name_count += 1
    return 0


cdef int note_location(Scan *scan, const TensorProto *tensor) noexcept nogil:
    """Note the file of a tensor's external data and, if relocating, an edit that renames it."""
    cdef Span last
    cdef Span location = tensor.location
    cdef size_t size = location.stop - location.start
    if scan.relocating and location.stop and note_relocation(scan, tensor.location_entry) < 0:
        return -1
    if scan.location_count:
        last = scan.locations[scan.location_count - 1]
        if equals(&scan.reader, last, <const char *>scan.reader.data + location.start, size):
            return 0
    if make_room(
        <void **>&scan.locations, &scan.location_room, scan.location_count, sizeof(Span)
    ) < 0:
        return -1
    scan.locations[scan.location_count] = location
    scan.location_count += 1
    return 0


cdef int note_reference(Scan *scan, const Token *raw) noexcept nogil:
    """Note that a reference replaces a raw_data field."""
    cdef size_t slot = scan.edit_count
    cdef Edit *edit
    if reserve_edit(scan) < 0:
        return -1
    edit = &scan.edits[slot]
    edit.at, edit.stop, edit.content = raw.at, raw.body.stop, raw.body
    edit.inner_stop = 0
    scan.references += 1
    scan.sizes[binary_logarithm(raw.body.stop - raw.body.start)] += 1
    return 0


cdef int note_relocation(Scan *scan, Span entry) noexcept nogil:
    """Note that another location replaces an entry of external_data."""
    cdef size_t slot = scan.edit_count
    if reserve_edit(scan) < 0:
        return -1
    scan.edits[slot].at, scan.edits[slot].stop = entry.start, entry.stop
    scan.edits[slot].content = Span(0, 0)
    scan.edits[slot].inner_stop = 0
    return 0


cdef void note_length(Scan *scan, size_t slot, const Token *token) noexcept nogil:
    """Note that a message gets a new length, by the edits after `slot`."""
    cdef Edit *edit = &scan.edits[slot]
    edit.at, edit.stop, edit.content = token.prefix, token.body.start, token.body
    edit.inner_stop = scan.edit_count


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
    """Make room for one item more than `count` in an array, which may move."""
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


cdef int binary_logarithm(uint64_t value) noexcept nogil:
    """Logarithm of a number above 0, rounded down."""
    cdef int power = 0
    while value >> 1:
        value >>= 1
        power += 1
    return power
