"""An ONNX graph that is written node by node, its weights drawn at random."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from benchmarks.inputs import SEED, Input

OPSET = 17
IR_VERSION = 8  # the one of opset 17; every supported onnxruntime reads it

Shape = tuple[int | str | None, ...]


class Graph:
    """Nodes and initializers in the order in which they are added.

    Parameters
    ----------
    name : str
        The graph's name.
    data : binary file, optional
        Where the weights go, as external data named after the file, instead of into the model.
    """

    def __init__(self, name: str, data: BinaryIO | None = None) -> None:
        self._name = name
        self._data = data
        self._nodes: list[NodeProto] = []
        self._initializers: list[TensorProto] = []
        self._rng = np.random.default_rng(SEED)

    def floats(self, name: str, values: ArrayLike) -> str:
        """Add a float32 constant; return its name."""
        return self._initializer(name, np.asarray(values, np.float32))

    def integers(self, name: str, values: ArrayLike) -> str:
        """Add an int64 constant; return its name."""
        return self._initializer(name, np.asarray(values, np.int64))

    def normal(self, name: str, shape: Sequence[int], deviation: float, mean: float = 0.0) -> str:
        """Add a weight with normally distributed float32 values; return its name."""
        values = self._rng.standard_normal(shape, np.float32)
        values *= np.float32(deviation)
        values += np.float32(mean)
        return self._initializer(name, values)

    def node(self, op: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Add a node with one output, named `output` or after the operator; return that name."""
        output = output or f"/{op}_{len(self._nodes)}_output_0"
        name = output.removesuffix("_output_0")
        self._nodes.append(helper.make_node(op, inputs, [output], name=name, **attributes))
        return output

    def transposed(self, name: str, matrix: str) -> str:
        """Add a copy of an initializer, transposed; return its name."""
        [found] = (one for one in self._initializers if one.name == matrix)
        return self._initializer(name, np.ascontiguousarray(numpy_helper.to_array(found).T))

    def _initializer(self, name: str, values: np.ndarray) -> str:
        """Add a tensor, its bytes in ``raw_data`` or in the file of external data."""
        if self._data is None:
            self._initializers.append(numpy_helper.from_array(values, name))
            return name
        tensor = TensorProto(
            name=name,
            dims=values.shape,
            data_type=helper.np_dtype_to_tensor_dtype(values.dtype),
            data_location=TensorProto.EXTERNAL,
        )
        location = {
            "location": Path(self._data.name).name,
            "offset": str(self._data.tell()),
            "length": str(values.nbytes),
        }
        for key, value in location.items():
            tensor.external_data.add(key=key, value=value)
        self._data.write(values.data)
        self._initializers.append(tensor)
        return name

    def model(
        self, inputs: Iterable[Input], outputs: Mapping[str, Shape], dtype: str = "float32"
    ) -> ModelProto:
        """Return the model; its outputs are of one dtype, and of the shapes given."""
        graph = helper.make_graph(
            self._nodes,
            self._name,
            [_value_info(one.name, one.dtype, one.shape) for one in inputs],
            [_value_info(name, dtype, shape) for name, shape in outputs.items()],
            self._initializers,
        )
        opset = helper.make_opsetid("", OPSET)
        return helper.make_model(
            graph, opset_imports=[opset], ir_version=IR_VERSION, producer_name="ortmmap benchmarks"
        )


def _value_info(name: str, dtype: str, shape: Shape) -> ValueInfoProto:
    strings = dtype == "str"
    element = TensorProto.STRING if strings else helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    return helper.make_tensor_value_info(name, element, list(shape))
