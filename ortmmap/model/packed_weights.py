"""Packed weights: those that kernels pack into a layout of their own, and read in no other way."""

from collections.abc import Collection, Iterator, Mapping

from ortmmap.model.message import Message

__all__ = ["packed_weights"]

# Field numbers of onnx.proto.
MODEL_GRAPH = 7
GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_OUTPUT = 1, 5, 12
NODE_INPUT, NODE_OP_TYPE, NODE_ATTRIBUTE, NODE_DOMAIN = 1, 4, 5, 7
ATTRIBUTE_GRAPHS = (6, 11)
TENSOR_DIMS, TENSOR_DATA_TYPE, TENSOR_NAME = 1, 2, 8
VALUE_NAME = 1
# Element types.
FLOAT, UINT8, INT8 = 1, 2, 3
EIGHT_BITS = (UINT8, INT8)

MICROSOFT = "com.microsoft"

# By domain and operator: the inputs that its kernel packs as a whole, with their element types and
# ranks. tests/session/test_stand_in_proof.py has the proof for each of them.
PACKED: Mapping[tuple[str, str], Mapping[int, tuple[Collection[int], Collection[int]]]] = {
    ("", "MatMul"): {1: ((FLOAT,), (2,))},
    ("", "Gemm"): {1: ((FLOAT,), (2,))},
    ("", "MatMulInteger"): {1: (EIGHT_BITS, (2,))},
    ("", "LSTM"): {1: ((FLOAT,), (3,)), 2: ((FLOAT,), (3,))},
    ("", "GRU"): {1: ((FLOAT,), (3,)), 2: ((FLOAT,), (3,))},
    (MICROSOFT, "FusedMatMul"): {1: ((FLOAT,), (2,))},
    (MICROSOFT, "FusedGemm"): {1: ((FLOAT,), (2,))},
    (MICROSOFT, "Attention"): {1: ((FLOAT,), (2,))},
    (MICROSOFT, "MatMulIntegerToFloat"): {1: (EIGHT_BITS, (2,))},
    (MICROSOFT, "DynamicQuantizeMatMul"): {1: (EIGHT_BITS, (2,))},
    (MICROSOFT, "MatMulNBits"): {1: ((UINT8,), (2, 3))},
}


def packed_weights(model: bytes | memoryview) -> list[bytes]:
    """Return the names of the initializers whose every use is an input that a kernel packs.

    Uses in inner graphs do not count as such.

    Parameters
    ----------
    model : buffer
        An ONNX model that is not optimized any more: a later optimizer may use its weights in
        other ways.

    Returns
    -------
    list of bytes
        In the order of the graph.
    """
    data = memoryview(model)
    found = Message(data, 0, len(data))
    if len(graphs := found.messages(MODEL_GRAPH)) != 1:
        return []
    (graph,) = graphs
    shapes = {
        tensor.raw(TENSOR_NAME): (tensor.integer(TENSOR_DATA_TYPE), _rank(tensor))
        for tensor in graph.messages(GRAPH_INITIALIZER)
    }
    packed: set[bytes] = set()
    others = {output.raw(VALUE_NAME) for output in graph.messages(GRAPH_OUTPUT)}
    for node in graph.messages(GRAPH_NODE):
        for name, is_packed in _uses(node, shapes):
            (packed if is_packed else others).add(name)
    return [name for name in shapes if name in packed - others]


def _rank(tensor: Message) -> int:
    return len(tensor.integers(TENSOR_DIMS))


def _uses(node: Message, shapes: Mapping[bytes, tuple[int, int]]) -> Iterator[tuple[bytes, bool]]:
    """Yield each name that a node uses, and whether its kernel packs it."""
    domain = node.text(NODE_DOMAIN)
    inputs = PACKED.get(("" if domain == "ai.onnx" else domain, node.text(NODE_OP_TYPE)), {})
    for index, name in enumerate(node.raws(NODE_INPUT)):
        types, ranks = inputs.get(index, ((), ()))
        data_type, rank = shapes.get(name, (0, 0))
        yield name, data_type in types and rank in ranks
    for attribute in node.messages(NODE_ATTRIBUTE):
        for number in ATTRIBUTE_GRAPHS:
            for graph in attribute.messages(number):
                yield from ((name, False) for name in _names(graph))


def _names(graph: Message) -> Iterator[bytes]:
    """Yield each name that an inner graph uses."""
    yield from (output.raw(VALUE_NAME) for output in graph.messages(GRAPH_OUTPUT))
    for node in graph.messages(GRAPH_NODE):
        yield from (name for name, _ in _uses(node, {}))
