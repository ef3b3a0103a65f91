"""Models of any size in one respect: bytes of weights, nodes, inputs, or strings."""

from math import isqrt, sqrt

from onnx import ModelProto

from benchmarks.architectures.graph import Graph, Model
from benchmarks.inputs import Input

_MEBIBYTE, _FLOAT = 2**20, 4


def weights(mebibytes: int) -> Model:
    """Return 16 square MatMuls that have so many MiB of random float32 weights in all."""
    width = isqrt(mebibytes * _MEBIBYTE // (16 * _FLOAT))
    return chained("weights", "MatMul", 16, width, 1 / sqrt(width))


def nodes(count: int) -> Model:
    """Return a chain of so many Tanh on float32 of shape (1, 4)."""
    return chained("nodes", "Tanh", count, 4)


def chained(name: str, op: str, count: int, width: int, deviation: float = 0.0) -> Model:
    """Return a chain of nodes on float32 of shape (1, width).

    With a deviation, each node has a random square weight, which is prepacked.
    """
    given = (Input("x", "float32", (1, width)),)

    def build() -> ModelProto:
        graph = Graph(name)
        x = ["x"]
        for index in range(count):
            if deviation:
                x.append(graph.normal(f"weight_{index}", (width, width), deviation))
            x = [graph.node(op, *x, output="y" if index == count - 1 else None)]
        return graph.model(given, {"y": (1, width)})

    return Model(build, given)


def inputs(count: int, elements: int = 4) -> Model:
    """Return the sum of so many float32 inputs of shape (1, elements)."""
    summed = tuple(Input(f"x{index}", "float32", (1, elements)) for index in range(count))
    graph = Graph("inputs")
    graph.node("Sum", *(one.name for one in summed), output="y")
    return Model(lambda: graph.model(summed, {"y": (1, elements)}), summed)


def strings(count: int) -> Model:
    """Return the identity of so many strings of 18 digits."""
    given = (Input("x", "str", (count,), high=10**18),)
    graph = Graph("strings")
    graph.node("Identity", "x", output="y")
    return Model(lambda: graph.model(given, {"y": (count,)}, "str"), given)
