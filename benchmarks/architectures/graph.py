"""An ONNX graph that is written node by node, its weights drawn at random."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from benchmarks.inputs import SEED, Input, Shape

OPSET = 17
IR_VERSION = 8  # that of opset 17; every supported onnxruntime reads it


@dataclass(frozen=True)
class Model:
    """A model that can be generated."""

    build: Callable[[], ModelProto]
    inputs: tuple[Input, ...]
    sizes: dict[str, int] = field(default_factory=dict)  # of symbolic dimensions, over the default
    quantize: bool = False  # to int8 after building; activations are quantized at run time


class Graph:
    """Nodes and initializers; every method that adds something returns the name of its output."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._nodes: list[NodeProto] = []
        self._initializers: dict[str, TensorProto] = {}
        self._rng = np.random.default_rng(SEED)

    def floats(self, name: str, values: ArrayLike) -> str:
        """Add a float32 constant."""
        return self._initializer(name, np.asarray(values, np.float32))

    def integers(self, name: str, values: ArrayLike) -> str:
        """Add an int64 constant."""
        return self._initializer(name, np.asarray(values, np.int64))

    def normal(self, name: str, shape: Sequence[int], deviation: float, mean: float = 0.0) -> str:
        """Add a weight of normally distributed float32 values."""
        values = self._rng.standard_normal(shape, np.float32)
        values *= np.float32(deviation)
        values += np.float32(mean)
        return self._initializer(name, values)

    def transposed(self, name: str, matrix: str) -> str:
        """Add a transposed copy of an initializer."""
        values = numpy_helper.to_array(self._initializers[matrix])
        return self._initializer(name, np.ascontiguousarray(values.T))

    def _initializer(self, name: str, values: np.ndarray) -> str:
        self._initializers[name] = numpy_helper.from_array(values, name)
        return name

    def node(self, op: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Add a node with one output, named `output` or after the operator."""
        output = output or f"/{op}_{len(self._nodes)}_output_0"
        name = output.removesuffix("_output_0")
        self._nodes.append(helper.make_node(op, inputs, [output], name=name, **attributes))
        return output

    def model(
        self, inputs: Iterable[Input], outputs: Mapping[str, Shape], dtype: str = "float32"
    ) -> ModelProto:
        """Return the model; all outputs have the given dtype."""
        graph = helper.make_graph(
            self._nodes,
            self._name,
            [_value_info(one.name, one.dtype, one.shape) for one in inputs],
            [_value_info(name, dtype, shape) for name, shape in outputs.items()],
            list(self._initializers.values()),
        )
        opsets = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)


def _value_info(name: str, dtype: str, shape: Shape) -> ValueInfoProto:
    strings = dtype == "str"
    element = TensorProto.STRING if strings else helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    return helper.make_tensor_value_info(name, element, list(shape))
