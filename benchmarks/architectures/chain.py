"""The plainest model with weights: matrix products one after another, all of them prepacked."""

from __future__ import annotations

from onnx import ModelProto

from benchmarks.architectures.graph import Graph
from benchmarks.inputs import Input

_LAYERS, _WIDTH = 8, 1024

CHAIN_INPUTS = (Input("x", "float32", (1, _WIDTH)),)


def chain() -> ModelProto:
    """Return 8 matrix products of 1024 by 1024, 32 MiB of float32 weights."""
    graph = Graph("chain")
    x = "x"
    for layer in range(_LAYERS):
        weight = graph.normal(f"layer.{layer}.weight", (_WIDTH, _WIDTH), 1 / _WIDTH)
        x = graph.node("MatMul", x, weight, output="y" if layer == _LAYERS - 1 else None)
    return graph.model(CHAIN_INPUTS, {"y": (1, _WIDTH)})
