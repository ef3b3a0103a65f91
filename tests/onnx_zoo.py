"""ONNX models with weights in every place that a model can have them, small enough to fuzz."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import models
import numpy as np
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, helper
from onnx import numpy_helper as numpy_onnx

SIZE = 8
DATA_TYPES = sorted(set(TensorProto.DataType.values()) - {TensorProto.UNDEFINED})


@dataclass(frozen=True)
class Case:
    """A model, what to feed it, and how many of its tensors can be references at 64 bytes."""

    model: ModelProto
    feeds: dict[str, np.ndarray] = field(default_factory=dict)
    externalized: int | None = None

    @property
    def content(self) -> bytes:
        return self.model.SerializeToString()


CASES: dict[str, Callable[[], Case]] = {}


def case(build: Callable[[], Case]) -> Callable[[], Case]:
    CASES[build.__name__] = build
    return build


def weight(name: str, seed: int = 0, shape: Sequence[int] = (SIZE, SIZE)) -> TensorProto:
    values = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    return numpy_onnx.from_array(values, name)


def raw_tensor(name: str, data_type: int, dims: Sequence[int], raw: bytes) -> TensorProto:
    made = TensorProto(name=name, data_type=data_type, raw_data=raw)
    made.dims.extend(dims)
    return made


def x_value() -> np.ndarray:
    return np.random.default_rng(9).standard_normal((SIZE, SIZE)).astype(np.float32)


def model(
    nodes: Sequence[NodeProto], initializers: Sequence[TensorProto] = (), **more: object
) -> ModelProto:
    """Make a model from x to y, both SIZE by SIZE."""
    opset = more.pop("opset", 18)
    shape = more.pop("output_shape", [SIZE, SIZE])
    output = more.pop("output_type", TensorProto.FLOAT)
    functions = more.get("functions", ())
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [SIZE, SIZE])],
        [helper.make_tensor_value_info("y", output, shape)],
        initializers,
    )
    imports = [helper.make_opsetid("", opset)]
    imports += [helper.make_opsetid(function.domain, 1) for function in functions]
    return helper.make_model(graph, opset_imports=imports, ir_version=10, **more)


def of_x(made: ModelProto, externalized: int | None = None) -> Case:
    return Case(made, {"x": x_value()}, externalized)


def branch(name: str, body: Sequence[NodeProto], initializers: Sequence[TensorProto] = ()):
    output = helper.make_tensor_value_info(f"{name}_y", TensorProto.FLOAT, [SIZE, SIZE])
    return helper.make_graph(body, name, [], [output], initializers)


def if_nodes(then_branch, else_branch, output: str = "y") -> list[NodeProto]:
    return [
        models.node("ReduceSum", "x", f"{output}_sum", keepdims=0),
        models.node("Cast", f"{output}_sum", f"{output}_condition", to=TensorProto.BOOL),
        models.node(
            "If",
            f"{output}_condition",
            output,
            then_branch=then_branch,
            else_branch=else_branch,
        ),
    ]


def constant(tensor: TensorProto) -> NodeProto:
    return helper.make_node("Constant", [], [tensor.name], value=tensor)


@case
def initializers() -> Case:
    nodes = [models.node("MatMul", "x w", "h"), models.node("Add", "h b", "y")]
    return of_x(model(nodes, [weight("w"), weight("b", 1)]), 2)


@case
def small_initializers() -> Case:
    return of_x(model([models.node("Add", "x b", "y")], [weight("b", 1, (SIZE,))]), 0)


@case
def overridable_initializers() -> Case:
    made = model([models.node("MatMul", "x w", "y")], [weight("w")])
    made.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [SIZE, SIZE]))
    return of_x(made, 1)


@case
def old_ir() -> Case:
    made = overridable_initializers().model
    made.ir_version = 3
    del made.opset_import[:]
    made.opset_import.append(helper.make_opsetid("", 8))
    return of_x(made, 1)


@case
def branches() -> Case:
    parts = [
        branch(name, [models.node("MatMul", f"x {name}_w", f"{name}_y")], [weight(f"{name}_w", 2)])
        for name in ("then", "else")
    ]
    return of_x(model(if_nodes(*parts)), 2)


@case
def nested_branches() -> Case:
    made = branch("leaf", [models.node("MatMul", "x w", "leaf_y")], [weight("w")])
    for level in range(6):
        name = f"level{level}"
        other = branch(f"{name}_else", [constant(weight(f"{name}_else_y", level))])
        made = branch(name, if_nodes(made, other, f"{name}_y"), [weight(f"{name}_unused", level)])
    return of_x(model(if_nodes(made, branch("else", [constant(weight("else_y"))]))))


@case
def loop() -> Case:
    body = helper.make_graph(
        [
            models.node("MatMul", "v w", "product"),
            models.node("Tanh", "product", "next"),
            models.node("Identity", "go", "go_on"),
        ],
        "body",
        [
            helper.make_tensor_value_info("index", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", TensorProto.FLOAT, [SIZE, SIZE]),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, [SIZE, SIZE]),
        ],
        [weight("w")],
    )
    count = [models.constant("count", np.int64(3)), models.constant("go", np.True_)]
    return of_x(model([models.node("Loop", "count go x", "y", body=body)], count), 1)


@case
def scan() -> Case:
    body = helper.make_graph(
        [models.node("MatMul", "row w", "row_y")],
        "body",
        [helper.make_tensor_value_info("row", TensorProto.FLOAT, [SIZE])],
        [helper.make_tensor_value_info("row_y", TensorProto.FLOAT, [SIZE])],
        [weight("w")],
    )
    return of_x(model([models.node("Scan", "x", "y", body=body, num_scan_inputs=1)]), 1)


@case
def constants() -> Case:
    nodes = [constant(weight("w")), models.node("MatMul", "x w", "y")]
    return of_x(model(nodes), 1)


@case
def constant_as_output() -> Case:
    return of_x(model([constant(weight("y"))]), 1)


@case
def tensor_attribute() -> Case:
    """An attribute of another operator than Constant, which kernels read themselves."""
    value = raw_tensor("value", TensorProto.FLOAT, [1], np.float32(3).tobytes())
    nodes = [
        models.node("Shape", "x", "shape"),
        models.node("ConstantOfShape", "shape", "filled", value=value),
        models.node("Add", "x filled", "y"),
    ]
    return of_x(model(nodes), 0)


@case
def function_constant() -> Case:
    function = helper.make_function(
        "local",
        "Product",
        ["a"],
        ["b"],
        [constant(weight("w")), models.node("MatMul", "a w", "b")],
        [helper.make_opsetid("", 18)],
    )
    nodes = [helper.make_node("Product", ["x"], ["y"], domain="local")]
    return of_x(model(nodes, functions=[function]), 1)


@case
def function_branches() -> Case:
    parts = [
        branch(name, [models.node("MatMul", f"x {name}_w", f"{name}_y")], [weight(f"{name}_w", 2)])
        for name in ("then", "else")
    ]
    function = helper.make_function(
        "local", "Choice", ["x"], ["y"], if_nodes(*parts), [helper.make_opsetid("", 18)]
    )
    nodes = [helper.make_node("Choice", ["x"], ["y"], domain="local")]
    return of_x(model(nodes, functions=[function]), 2)


def sparse(name: str) -> tuple:
    rng = np.random.default_rng(5)
    where = np.sort(rng.choice(SIZE * SIZE, 20, replace=False)).astype(np.int64)
    return helper.make_sparse_tensor(
        weight(name, 5, (20,)), numpy_onnx.from_array(where, f"{name}_indices"), [SIZE, SIZE]
    )


@case
def sparse_initializer() -> Case:
    made = model([models.node("MatMul", "x w", "y")])
    made.graph.sparse_initializer.append(sparse("w"))
    return of_x(made, 1)


@case
def sparse_constant() -> Case:
    nodes = [
        helper.make_node("Constant", [], ["w"], sparse_value=sparse("w")),
        models.node("MatMul", "x w", "y"),
    ]
    return of_x(model(nodes), 1)


@case
def typed_fields() -> Case:
    w, b = (numpy_onnx.to_array(weight(name, seed)) for name, seed in (("w", 0), ("b", 1)))
    tensors = [
        helper.make_tensor(name, TensorProto.FLOAT, [SIZE, SIZE], values.ravel().tolist())
        for name, values in (("w", w), ("b", b))
    ]
    nodes = [models.node("MatMul", "x w", "h"), models.node("Add", "h b", "y")]
    return of_x(model(nodes, tensors), 0)


@case
def strings() -> Case:
    names = helper.make_tensor("names", TensorProto.STRING, [SIZE], [b"n" * 40] * SIZE)
    made = model(
        [models.node("Identity", "names", "y")],
        [names],
        output_type=TensorProto.STRING,
        output_shape=[SIZE],
    )
    return of_x(made, 0)


@case
def shape_tensors() -> Case:
    """Integers that shape inference reads: 300 outputs of a Split."""
    sizes = np.ones(300, np.int64)
    nodes = [
        models.node("Split", "w sizes", " ".join(f"s{index}" for index in range(300))),
        models.node("Add", "x s299", "y"),
    ]
    tensors = [weight("w", 3, (300, SIZE)), models.constant("sizes", sizes)]
    return of_x(model(nodes, tensors), 1)


@case
def large_integers() -> Case:
    index = np.arange(10_000, dtype=np.int64) % SIZE
    nodes = [
        models.node("Gather", "x index", "rows"),
        models.node("ReduceMax", "rows axes", "y", keepdims=1),
    ]
    tensors = [models.constant("index", index), models.constant("axes", np.array([0]))]
    return of_x(model(nodes, tensors, output_shape=[1, SIZE]), 1)


@case
def empty_tensor() -> Case:
    nodes = [models.node("Concat", "x none", "y", axis=0)]
    return of_x(model(nodes, [models.constant("none", np.zeros((0, SIZE), np.float32))]), 0)


@case
def scalar_tensor() -> Case:
    return of_x(model([models.node("Mul", "x k", "y")], [models.constant("k", np.float32(2))]), 0)


@case
def quantized() -> Case:
    values = np.random.default_rng(3).integers(-128, 128, (SIZE, SIZE)).astype(np.int8)
    nodes = [
        models.node("DequantizeLinear", "w scale zero", "real"),
        models.node("MatMul", "x real", "y"),
    ]
    tensors = [
        models.constant("w", values),
        models.constant("scale", np.float32(0.1)),
        models.constant("zero", np.int8(3)),
    ]
    return of_x(model(nodes, tensors), 1)


@case
def duplicate_names() -> Case:
    """Twice the same name: onnxruntime takes the first."""
    return of_x(model([models.node("MatMul", "x w", "y")], [weight("w"), weight("w", 7)]), 0)


@case
def duplicate_of_constant() -> Case:
    nodes = [constant(weight("w", 3)), models.node("MatMul", "x w", "y")]
    return of_x(model(nodes, [weight("w")]), 0)


@case
def duplicate_of_small_constant() -> Case:
    nodes = [models.node("Constant", "", "w", value_float=2.0), models.node("Mul", "x w", "y")]
    return of_x(model(nodes, [weight("w")]), 0)


@case
def duplicate_of_sparse() -> Case:
    made = model([models.node("MatMul", "x w", "y")], [weight("w")])
    made.graph.sparse_initializer.append(sparse("w"))
    return of_x(made, 0)


@case
def duplicate_in_branch() -> Case:
    body = [models.node("MatMul", "x w", "then_y")]
    then = branch("then", body, [weight("w", 2), weight("w", 3)])
    return of_x(model(if_nodes(then, branch("else", [constant(weight("else_y"))]))), 0)


@case
def same_name_in_branches() -> Case:
    parts = [
        branch(name, [models.node("MatMul", "x w", f"{name}_y")], [weight("w", seed)])
        for seed, name in enumerate(("then", "else"))
    ]
    return of_x(model(if_nodes(*parts)), 2)


@case
def same_name_outside() -> Case:
    parts = [
        branch(name, [models.node("MatMul", "x w", f"{name}_y")], [weight("w", seed)])
        for seed, name in enumerate(("then", "else"))
    ]
    nodes = [*if_nodes(*parts, output="h"), models.node("MatMul", "h w", "y")]
    return of_x(model(nodes, [weight("w", 3)]), 3)


@case
def initializer_as_output() -> Case:
    return of_x(model([], [weight("y")]), 1)


@case
def unused_and_unnamed() -> Case:
    tensors = [weight("w"), weight("unused", 1), weight("", 2)]
    return of_x(model([models.node("MatMul", "x w", "y")], tensors), 3)


@case
def training_info() -> Case:
    made = initializers().model
    made.training_info.add().algorithm.initializer.append(weight("gradient"))
    return of_x(made, 2)


@case
def metadata() -> Case:
    made = initializers().model
    helper.set_model_props(made, {"key": "value"})
    made.graph.doc_string = "text"
    made.graph.value_info.append(helper.make_tensor_value_info("h", TensorProto.FLOAT, ["n", None]))
    made.graph.initializer[0].doc_string = "after the data"
    return of_x(made, 2)


def bits_of(data_type: int) -> int:
    """Bits of an element; 0 for strings."""
    name = TensorProto.DataType.Name(data_type)
    others = {"STRING": 0, "BOOL": 8, "FLOAT": 32, "DOUBLE": 64}
    if name in others:
        return others[name]
    return int(re.match(r"[A-Z]+(\d+)", name)[1])  # FLOAT8E5M2, INT4, COMPLEX64 ...


def of_type(data_type: int) -> Case:
    """Give a weight of `data_type`, cast to float."""
    bits = bits_of(data_type)
    count = (SIZE * 16 * bits + 7) // 8
    data = bytes(index * 7 % 64 for index in range(count))
    if data_type == TensorProto.BOOL:
        data = bytes(index % 2 for index in range(count))
    nodes = [models.node("Cast", "w", "y", to=TensorProto.FLOAT)]
    tensors = [raw_tensor("w", data_type, [SIZE, 16], data)]
    return of_x(model(nodes, tensors, opset=25 if bits == 2 else 23, output_shape=[SIZE, 16]))


def tensors_of(made: ModelProto) -> list[TensorProto]:
    """List the tensors of a model's graphs, functions and Constant nodes."""
    found = list(made.graph.initializer)
    found += [tensor.values for tensor in made.graph.sparse_initializer]
    nodes = list(made.graph.node) + [node for body in made.functions for node in body.node]
    while nodes:
        for attribute in nodes.pop().attribute:
            if attribute.type == AttributeProto.GRAPH:
                found += attribute.g.initializer
                nodes += attribute.g.node
            elif attribute.type == AttributeProto.TENSOR:
                found.append(attribute.t)
            elif attribute.type == AttributeProto.SPARSE_TENSOR:
                found.append(attribute.sparse_tensor.values)
    return found
