"""ZipMap: the nodes that end a classifier, and their inputs as further outputs of the model.

The search for a model's sequences is inline, so that a model without any imports nothing for it.
"""

from libc.stdint cimport uint8_t, uint32_t

from ortmmap.abi.mapping cimport ortmmap_mapping
from ortmmap.model.wire cimport DEEPEST, LENGTH, Reader, Span, Token, begin_reading, read_token

cdef enum:                     # field numbers of onnx.proto3
    MODEL_GRAPH = 7
    GRAPH_OUTPUT = 12
    VALUE_INFO_TYPE = 2
    TYPE_SEQUENCE = 4


cdef inline bint has_sequence_output(
    const uint8_t *data, size_t size, const ortmmap_mapping *mapping
) noexcept nogil:
    """Whether an output of an ONNX model is declared as a sequence, as a ZipMap's is."""
    cdef Reader reader
    cdef Token graph, output, type_
    cdef Span model = Span(0, size)
    begin_reading(&reader, data, mapping)
    while next_field(&reader, &model, MODEL_GRAPH, &graph):
        while next_field(&reader, &graph.body, GRAPH_OUTPUT, &output):
            while next_field(&reader, &output.body, VALUE_INFO_TYPE, &type_):
                if has_field(&reader, type_.body, TYPE_SEQUENCE):
                    return True
    return False


cdef inline bint next_field(
    Reader *reader, Span *rest, uint32_t number, Token *found
) noexcept nogil:
    """Find the next string or message of a number, and move the start of `rest` behind it.

    Return False at the end of the message, and at an error, which the scan or ONNX Runtime reports.
    """
    while rest.start < rest.stop:
        if read_token(reader, rest.start, rest.stop, DEEPEST, found) < 0:
            rest.start = rest.stop
            return False
        rest.start = found.body.stop
        if found.number == number and found.wire == LENGTH:
            return True
    return False


cdef inline bint has_field(Reader *reader, Span body, uint32_t number) noexcept nogil:
    cdef Token found
    return next_field(reader, &body, number, &found)
