"""The smallest model: what a call costs apart from computing."""

from __future__ import annotations

from onnx import ModelProto

from benchmarks.architectures.graph import Graph
from benchmarks.inputs import Input

ONE_NODE_INPUTS = (Input("x", "float32", (1, 4)),)


def one_node() -> ModelProto:
    """Return a model that is one Relu on float32 of shape (1, 4)."""
    graph = Graph("one_node")
    graph.node("Relu", "x", output="y")
    return graph.model(ONE_NODE_INPUTS, {"y": (1, 4)})
