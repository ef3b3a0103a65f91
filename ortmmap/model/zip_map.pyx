"""ZipMap: the nodes that end a classifier, and their inputs as further outputs of the model.

A ZipMap makes a map of each row of a tensor. The C API copies each map that is read from it, and
nothing of the tensor. Protobuf merges the graphs of two models whose bytes follow each other, so
the outputs are added by bytes behind the model's own.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint64_t

from ortmmap.model.wire cimport (
    VARINT, equals, read_varint, string_size, write_string,
)

cdef enum:                     # field numbers of onnx.proto3
    MODEL_FUNCTION = 25
    GRAPH_NODE = 1
    NODE_INPUT = 1
    NODE_OUTPUT = 2
    NODE_OP_TYPE = 4
    NODE_ATTRIBUTE = 5
    NODE_DOMAIN = 7
    ATTRIBUTE_NAME = 1
    ATTRIBUTE_INTEGERS = 8
    ATTRIBUTE_STRINGS = 9
    VALUE_INFO_NAME = 1

cdef bytes FLOAT_TENSOR = b"\x0a\x02\x08\x01"   # a TypeProto: tensor_type, its elem_type FLOAT


@cython.final
@cython.auto_pickle(False)
cdef class ZipMap:
    """A ZipMap whose output is an output of the model.

    Attributes
    ----------
    output : str
    tensor : str
        Its input, of one row for each map and one column for each label.
    labels : list of int or of str
        The maps' keys.
    added : bool
        Whether `tensor` is no output of the model itself.
    """

    cdef readonly str output
    cdef readonly str tensor
    cdef readonly list labels
    cdef readonly bint added

    def __repr__(self):
        return f"<ZipMap of {self.tensor!r} to {self.output!r}, {len(self.labels)} labels>"


def find_zip_maps(data) -> list:
    """Find the nodes of an ONNX model's main graph that are a ZipMap and make an output.

    A node is left out if ONNX Runtime may refuse it, or may run another operator for it: it has
    other attributes than its labels, a name or label is not UTF-8, or the model has functions.

    Parameters
    ----------
    data : buffer
        A serialized ModelProto.

    Returns
    -------
    list of ZipMap
    """
    cdef Py_buffer view
    cdef Reader reader
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        begin_reading(&reader, <const uint8_t *>view.buf, NULL)
        return zip_maps_of(&reader, Span(0, view.len))
    finally:
        PyBuffer_Release(&view)


def added_outputs(list zip_maps not None) -> bytes:
    """Return the bytes that, behind a model's own, make the ZipMaps' inputs outputs of it.

    Parameters
    ----------
    zip_maps : list of ZipMap

    Returns
    -------
    bytes
        A ModelProto; empty if all inputs are outputs already.
    """
    names = dict.fromkeys(each.tensor.encode() for each in zip_maps if each.added)
    outputs = [
        field(GRAPH_OUTPUT, field(VALUE_INFO_NAME, name) + field(VALUE_INFO_TYPE, FLOAT_TENSOR))
        for name in names
    ]
    return field(MODEL_GRAPH, b"".join(outputs)) if outputs else b""


cdef bytes field(uint8_t number, bytes content):
    """Return a field that holds a string or message, for numbers below 16."""
    cdef bytes made = PyBytes_FromStringAndSize(NULL, string_size(len(content)))
    write_string(<uint8_t *>PyBytes_AS_STRING(made), number, content, len(content))
    return made


cdef list zip_maps_of(Reader *reader, Span model):
    cdef Span rest = model
    cdef Token graph, node
    cdef set outputs = set()
    cdef list found = []
    if has_field(reader, model, MODEL_FUNCTION):
        return []
    while next_field(reader, &rest, MODEL_GRAPH, &graph):
        outputs.update(output_names(reader, graph.body))
        while next_field(reader, &graph.body, GRAPH_NODE, &node):
            if is_zip_map(reader, node.body):
                found.append(zip_map_of(reader, node.body))
    found = [each for each in found if each is not None and each.output.encode() in outputs]
    for zip_map in found:
        (<ZipMap>zip_map).added = zip_map.tensor.encode() not in outputs
    return found


cdef list output_names(Reader *reader, Span graph):
    cdef Token output
    cdef list names = []
    while next_field(reader, &graph, GRAPH_OUTPUT, &output):
        names.append(bytes_of(reader, last_span(reader, output.body, VALUE_INFO_NAME)))
    return names


cdef bint is_zip_map(Reader *reader, Span node) noexcept:
    cdef Span op_type = last_span(reader, node, NODE_OP_TYPE)
    if not equals(reader, op_type, b"ZipMap", 6):
        return False
    return equals(reader, last_span(reader, node, NODE_DOMAIN), b"ai.onnx.ml", 10)


cdef ZipMap zip_map_of(Reader *reader, Span node):
    """Read a ZipMap; return None if it is not to be used."""
    cdef ZipMap made = ZipMap.__new__(ZipMap)
    for number in (NODE_INPUT, NODE_OUTPUT, NODE_ATTRIBUTE):
        if has_two(reader, node, number):
            return None
    try:
        made.tensor = last_text(reader, node, NODE_INPUT)
        made.output = last_text(reader, node, NODE_OUTPUT)
        made.labels = labels_of(reader, last_span(reader, node, NODE_ATTRIBUTE))
    except UnicodeDecodeError:
        return None
    return made if made.tensor and made.output and made.labels else None


cdef bint has_two(Reader *reader, Span body, uint32_t number) noexcept:
    """Whether a message has more than one string or message of a number."""
    cdef Token found
    return next_field(reader, &body, number, &found) and has_field(reader, body, number)


cdef list labels_of(Reader *reader, Span attribute):
    """Read the labels of a ZipMap's one attribute; return an empty list if it is another."""
    cdef Span name = last_span(reader, attribute, ATTRIBUTE_NAME)
    if equals(reader, name, b"classlabels_int64s", 18):
        return integers(reader, attribute)
    if equals(reader, name, b"classlabels_strings", 19):
        return texts(reader, attribute)
    return []


cdef list integers(Reader *reader, Span attribute):
    """Read the attribute's integers, which may be packed."""
    cdef Token token
    cdef uint64_t value
    cdef list found = []
    while attribute.start < attribute.stop:
        if read_token(reader, attribute.start, attribute.stop, DEEPEST, &token) < 0:
            return []
        attribute.start = token.body.stop
        if token.number != ATTRIBUTE_INTEGERS:
            continue
        if token.wire == VARINT:
            found.append(<int64_t>token.value)
        while token.wire == LENGTH and token.body.start < token.body.stop:
            if read_varint(reader, &token.body.start, token.body.stop, &value) < 0:
                return []
            found.append(<int64_t>value)
    return found


cdef list texts(Reader *reader, Span attribute):
    cdef Token token
    cdef list found = []
    while next_field(reader, &attribute, ATTRIBUTE_STRINGS, &token):
        found.append(bytes_of(reader, token.body).decode())
    return found


cdef str last_text(Reader *reader, Span body, uint32_t number):
    return bytes_of(reader, last_span(reader, body, number)).decode()


cdef bytes bytes_of(Reader *reader, Span span):
    return (<const char *>reader.data)[span.start : span.stop]


cdef Span last_span(Reader *reader, Span body, uint32_t number) noexcept:
    """Find the last of the strings of a number, the one that protobuf keeps; else an empty span."""
    cdef Token found
    cdef Span span = Span(0, 0)
    while next_field(reader, &body, number, &found):
        span = found.body
    return span
