"""Models of any size in one respect: bytes of weights, nodes, inputs, or strings."""

from __future__ import annotations

from math import isqrt, sqrt
from typing import BinaryIO

from onnx import ModelProto

from benchmarks.architectures.graph import Graph
from benchmarks.inputs import Input

_LAYERS = 16
_MEBIBYTE, _FLOAT = 2**20, 4

NODES_INPUTS = (Input("x", "float32", (1, 4)),)


def weights_inputs(mebibytes: int) -> tuple[Input, ...]:
    """Return the input of `weights`."""
    return (Input("x", "float32", (1, _side(mebibytes))),)


def weights(mebibytes: int, data: BinaryIO | None = None) -> ModelProto:
    """Return 16 square MatMuls with so many MiB of random weights in all.

    With `data`, weights are written to that file, which becomes the model's external data.
    """
    side = _side(mebibytes)
    graph = Graph("weights", data)
    x = "x"
    for layer in range(_LAYERS):
        weight = graph.normal(f"weight_{layer}", (side, side), 1 / sqrt(side))
        x = graph.node("MatMul", x, weight, output="y" if layer == _LAYERS - 1 else None)
    return graph.model(weights_inputs(mebibytes), {"y": (1, side)})


def _side(mebibytes: int) -> int:
    return isqrt(mebibytes * _MEBIBYTE // (_LAYERS * _FLOAT))


def nodes(count: int) -> ModelProto:
    """Return a chain of so many Tanh on float32 of shape (1, 4)."""
    graph = Graph("nodes")
    x = "x"
    for index in range(count):
        x = graph.node("Tanh", x, output="y" if index == count - 1 else None)
    return graph.model(NODES_INPUTS, {"y": (1, 4)})


def many_inputs_inputs(count: int, elements: int) -> tuple[Input, ...]:
    """Return the inputs of `many_inputs`."""
    return tuple(Input(f"x{index}", "float32", (1, elements)) for index in range(count))


def many_inputs(count: int, elements: int) -> ModelProto:
    """Return the sum of so many float32 inputs of shape (1, elements)."""
    graph = Graph("inputs")
    inputs = many_inputs_inputs(count, elements)
    graph.node("Sum", *(one.name for one in inputs), output="y")
    return graph.model(inputs, {"y": (1, elements)})


def strings_inputs(count: int) -> tuple[Input, ...]:
    """Return the input of `strings`."""
    return (Input("x", "str", (count,), high=10**18),)


def strings(count: int) -> ModelProto:
    """Return the identity of so many strings."""
    graph = Graph("strings")
    graph.node("Identity", "x", output="y")
    return graph.model(strings_inputs(count), {"y": (count,)}, "str")
