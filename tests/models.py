"""Small ONNX models, as bytes, and what to feed them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import GraphProto, NodeProto, TensorProto, ValueInfoProto, helper
from onnx import numpy_helper as numpy_onnx

ML = "ai.onnx.ml"
NUMERIC = [
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "float32",
    "float64",
]
ELEMENT_TYPES = {
    np.dtype(name): helper.np_dtype_to_tensor_dtype(np.dtype(name)) for name in NUMERIC
}
ELEMENT_TYPES[np.dtype(object)] = TensorProto.STRING

Dimensions = Sequence[int | str | None] | None


def node(op: str, inputs: str, outputs: str, **attributes: object) -> NodeProto:
    """Make a node; names are separated by spaces, and `_` leaves one out."""
    names = [[name.strip("_") for name in names.split()] for names in (inputs, outputs)]
    return helper.make_node(op, *names, **attributes)


def element_type(dtype: object) -> int:
    return dtype if isinstance(dtype, int) else ELEMENT_TYPES[np.dtype(dtype)]


def tensor(name: str, dtype: object = "float32", shape: Dimensions = None) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, element_type(dtype), shape)


def sequence(name: str, dtype: object = "float32", shape: Dimensions = None) -> ValueInfoProto:
    return helper.make_tensor_sequence_value_info(name, element_type(dtype), shape)


def optional(name: str, dtype: object = "float32", shape: Dimensions = None) -> ValueInfoProto:
    inner = helper.make_tensor_type_proto(element_type(dtype), shape)
    return helper.make_value_info(name, helper.make_optional_type_proto(inner))


def constant(name: str, value: object) -> TensorProto:
    return numpy_onnx.from_array(np.asarray(value), name)


def graph(
    nodes: Sequence[NodeProto],
    inputs: Sequence[ValueInfoProto],
    outputs: Sequence[ValueInfoProto],
    initializers: Sequence[TensorProto] = (),
) -> GraphProto:
    return helper.make_graph(nodes, "graph", inputs, outputs, initializers)


def build(
    nodes: Sequence[NodeProto],
    inputs: Sequence[ValueInfoProto],
    outputs: Sequence[ValueInfoProto],
    initializers: Sequence[TensorProto] = (),
    *,
    opset: int = 18,
    metadata: dict[str, str] | None = None,
    **fields: object,
) -> bytes:
    made = helper.make_model(
        graph(nodes, inputs, outputs, initializers),
        opset_imports=[helper.make_opsetid("", opset), helper.make_opsetid(ML, 3)],
        ir_version=9,
        **fields,
    )
    helper.set_model_props(made, metadata or {})
    return made.SerializeToString()


def one_node(
    op: str, dtypes: Sequence = ("float32",), result: object = None, **attributes: object
) -> bytes:
    """Build a model of one node with one output, of inputs x0, x1 … of any shape."""
    names = [f"x{index}" for index in range(len(dtypes))]
    return build(
        [helper.make_node(op, names, ["y"], **attributes)],
        [tensor(name, dtype) for name, dtype in zip(names, dtypes, strict=True)],
        [tensor("y", dtypes[0] if result is None else result)],
    )


def identity(dtype: object = "float32", shape: Dimensions = None) -> bytes:
    return build(
        [node("Identity", "x", "y")], [tensor("x", dtype, shape)], [tensor("y", dtype, shape)]
    )


def unsqueeze(dtype: object = "float32") -> bytes:
    """Build a model whose kernel copies x, of any shape, into y of one dimension more."""
    return build(
        [node("Unsqueeze", "x axes", "y")],
        [tensor("x", dtype)],
        [tensor("y", dtype)],
        [constant("axes", np.array([0]))],
    )


def affine(seed: int = 0) -> bytes:
    """Build y = relu(x @ w + b), x of shape (batch, 8)."""
    random = np.random.default_rng(seed)
    return build(
        [node("Gemm", "x w b", "h"), node("Relu", "h", "y")],
        [tensor("x", shape=["batch", 8])],
        [tensor("y", shape=["batch", 4])],
        [
            constant("w", random.standard_normal((8, 4), "f4")),
            constant("b", random.standard_normal(4, "f4")),
        ],
        producer_name="ortmmap-tests",
        domain="test.ortmmap",
        model_version=7,
        doc_string="relu of a linear map, größer",
        metadata={"author": "nobody", "größe": "8 · 4"},
    )


def weights(layers: int, width: int, seed: int = 0) -> bytes:
    """Build a chain of `layers` matrix products, 4 * layers * width**2 bytes of weights."""
    random = np.random.default_rng(seed)
    nodes = [node("MatMul", f"h{index} w{index}", f"h{index + 1}") for index in range(layers)]
    return build(
        nodes,
        [tensor("h0", shape=["batch", width])],
        [tensor(f"h{layers}", shape=["batch", width])],
        [
            constant(f"w{index}", random.standard_normal((width, width), "f4") / np.float32(width))
            for index in range(layers)
        ],
    )


def external(folder: Path, layers: int = 2, width: int = 128) -> tuple[Path, Path]:
    """Write a model of `weights` whose data lies in a file beside it; return both paths."""
    path, data = folder / "external.onnx", folder / "external.data"
    model = onnx.load_model_from_string(weights(layers, width))
    onnx.save_model(model, path, save_as_external_data=True, location=data.name, size_threshold=0)
    return path, data


def endless() -> bytes:
    """Build a loop of `rounds` turns over x, of any length: as long a run as is asked for."""
    body = graph(
        [node("Identity", "keep", "keep_on"), node("Sin", "state", "next")],
        [tensor("turn", "int64", []), tensor("keep", "bool", []), tensor("state")],
        [tensor("keep_on", "bool", []), tensor("next")],
    )
    return build(
        [node("Loop", "rounds _ x", "y", body=body)],
        [tensor("rounds", "int64", []), tensor("x", shape=["n"])],
        [tensor("y", shape=["n"])],
    )


def add_many(count: int) -> bytes:
    """Build a model of inputs x0 …, each of which is added to b into y0 …."""
    return build(
        [node("Add", f"x{index} b", f"y{index}") for index in range(count)],
        [tensor(f"x{index}", shape=[3]) for index in range(count)],
        [tensor(f"y{index}", shape=[3]) for index in range(count)],
        [constant("b", np.arange(3, dtype="f4"))],
    )


def overridable() -> bytes:
    """Build y = x * scale, where `scale` may be fed; it is 2 if it is not."""
    return build(
        [node("Mul", "x scale", "y")],
        [tensor("x", shape=["n"]), tensor("scale", shape=[1])],
        [tensor("y", shape=["n"])],
        [constant("scale", np.array([2], "f4"))],
    )


def handed_through() -> bytes:
    """Build a model whose outputs are an input, an initializer and a constant, untouched."""
    return build(
        [
            node("Identity", "x", "same"),
            node("Reshape", "x minus_one", "flat"),
            node("Identity", "w", "w_same"),
            node("Reshape", "w minus_one", "w_flat"),
            node("Constant", "", "c", value=constant("c", np.arange(64, dtype="f4"))),
        ],
        [tensor("x", shape=["n", "m"])],
        [tensor(name) for name in ("x", "same", "flat", "w", "w_same", "w_flat", "c")],
        [
            constant("w", np.arange(4096, dtype="f4").reshape(64, 64)),
            constant("minus_one", np.array([-1])),
        ],
    )


def sequences() -> bytes:
    """Build a sequence of x, of x + x and of a constant; and an empty one."""
    return build(
        [
            node("Add", "x x", "twice"),
            node("SequenceConstruct", "x twice w", "list"),
            node("SequenceEmpty", "", "none", dtype=TensorProto.FLOAT),
            node("SequenceConstruct", "text text", "texts"),
        ],
        [tensor("x", shape=["n"]), tensor("text", object, ["t"])],
        [sequence("list"), sequence("none"), sequence("texts", object)],
        [constant("w", np.arange(5, dtype="f4"))],
    )


def zip_map(*, strings: bool) -> bytes:
    """Build a classifier's last node: a sequence of maps from labels to probabilities."""
    key = TensorProto.STRING if strings else TensorProto.INT64
    labels = (
        {"classlabels_strings": ["null", "één", "二"]}
        if strings
        else {"classlabels_int64s": [7, -1, 2**40]}
    )
    inner = helper.make_map_type_proto(key, helper.make_tensor_type_proto(TensorProto.FLOAT, None))
    output = helper.make_value_info("maps", helper.make_sequence_type_proto(inner))
    return build(
        [node("ZipMap", "x", "maps", domain=ML, **labels)], [tensor("x", shape=["n", 3])], [output]
    )


def make_optional() -> bytes:
    """Build an optional with x in it and an empty one, which are outputs."""
    inner = helper.make_tensor_type_proto(TensorProto.FLOAT, None)
    return build(
        [
            node("Optional", "x", "some"),
            node("Optional", "", "nothing", type=inner),
            node("OptionalHasElement", "some", "has_some"),
            node("OptionalHasElement", "nothing", "has_nothing"),
        ],
        [tensor("x", shape=["n"])],
        [
            optional("some"),
            optional("nothing"),
            tensor("has_some", "bool", []),
            tensor("has_nothing", "bool", []),
        ],
    )


def lstm() -> bytes:
    """Build an LSTM: optional inputs left out, three outputs."""
    random = np.random.default_rng(3)
    return build(
        [node("LSTM", "x w r _ lengths", "y h c", hidden_size=4)],
        [tensor("x", shape=["steps", "batch", 3]), tensor("lengths", "int32", ["batch"])],
        [tensor("y"), tensor("h"), tensor("c")],
        [
            constant("w", random.standard_normal((1, 16, 3), "f4")),
            constant("r", random.standard_normal((1, 16, 4), "f4")),
        ],
    )


def convolution() -> bytes:
    random = np.random.default_rng(4)
    one = np.ones(6, "f4")
    return build(
        [
            node("Conv", "x w b", "c", pads=[1, 1, 1, 1]),
            node("BatchNormalization", "c scale shift mean var", "n"),
            node("Relu", "n", "r"),
            node("MaxPool", "r", "p", kernel_shape=[2, 2], strides=[2, 2]),
            node("GlobalAveragePool", "p", "g"),
            node("Flatten", "g", "f"),
            node("Softmax", "f", "y"),
        ],
        [tensor("x", shape=["batch", 3, 8, 8])],
        [tensor("y", shape=["batch", 6]), tensor("p")],
        [
            constant("w", random.standard_normal((6, 3, 3, 3), "f4")),
            constant("b", random.standard_normal(6, "f4")),
            constant("scale", one * 3),
            constant("shift", one),
            constant("mean", one / 2),
            constant("var", one * 2),
        ],
    )


def large_convolution() -> bytes:
    """Build a convolution of 9 MiB, which the optimizer makes anew with the normalization."""
    random = np.random.default_rng(5)
    one = np.ones(512, "f4")
    return build(
        [
            node("Conv", "x w", "c", pads=[1, 1, 1, 1]),
            node("BatchNormalization", "c scale shift mean var", "y"),
        ],
        [tensor("x", shape=["batch", 512, 3, 3])],
        [tensor("y", shape=["batch", 512, 3, 3])],
        [
            constant("w", random.standard_normal((512, 512, 3, 3), "f4")),
            *(constant(name, one) for name in ("scale", "shift", "mean", "var")),
        ],
    )


def branch() -> bytes:
    """Build y = x + 1 where `flag`, else x - 1, and a loop that sums up what it scans."""
    one = constant("one", np.array([1], "f4"))
    branches = [
        graph([node(op, "x one", name)], [], [tensor(name)], [one])
        for op, name in (("Add", "more"), ("Sub", "less"))
    ]
    body = graph(
        [node("Add", "sum item", "total"), node("Identity", "total", "partial")],
        [tensor("sum", shape=[]), tensor("item", shape=[])],
        [tensor("total", shape=[]), tensor("partial", shape=[])],
    )
    return build(
        [
            node("If", "flag", "y", then_branch=branches[0], else_branch=branches[1]),
            node("Scan", "zero x", "sum_of_x partial_sums", body=body, num_scan_inputs=1),
        ],
        [tensor("x", shape=["n"]), tensor("flag", "bool", [])],
        [tensor("y"), tensor("sum_of_x"), tensor("partial_sums")],
        [constant("zero", np.float32(0))],
    )


def quantized() -> bytes:
    random = np.random.default_rng(5)
    return build(
        [
            node("DynamicQuantizeLinear", "x", "q scale zero"),
            node("MatMulInteger", "q w zero", "product"),
            node("QuantizeLinear", "x s z", "ql"),
            node("DequantizeLinear", "ql s z", "dq"),
        ],
        [tensor("x", shape=["n", 8])],
        [
            tensor("q", "uint8"),
            tensor("scale"),
            tensor("zero", "uint8"),
            tensor("product", "int32"),
            tensor("ql", "int8"),
            tensor("dq"),
        ],
        [
            constant("w", random.integers(-128, 127, (8, 5), "i1")),
            constant("s", np.float32(0.05)),
            constant("z", np.int8(3)),
        ],
    )


def transformer() -> bytes:
    random = np.random.default_rng(6)
    ones = np.ones(16, "f4")
    return build(
        [
            node("Gather", "table ids", "x"),
            node("LayerNormalization", "x scale shift", "n", axis=-1),
            node("MatMul", "n wq", "q"),
            node("MatMul", "n wk", "k"),
            node("Transpose", "k", "kt", perm=[0, 2, 1]),
            node("MatMul", "q kt", "scores"),
            node("Softmax", "scores", "attention", axis=-1),
            node("MatMul", "attention n", "mixed"),
            node("Erf", "mixed", "e"),
            node("Tanh", "e", "y"),
        ],
        [tensor("ids", "int64", ["batch", "length"])],
        [tensor("y"), tensor("attention")],
        [
            constant("table", random.standard_normal((50, 16), "f4")),
            constant("scale", ones),
            constant("shift", ones / 3),
            constant("wq", random.standard_normal((16, 16), "f4")),
            constant("wk", random.standard_normal((16, 16), "f4")),
        ],
    )


def shapes_from_data() -> bytes:
    """Build outputs whose shapes depend on values: nonzero, unique, top k, compress, shape."""
    return build(
        [
            node("NonZero", "x", "where"),
            node("Unique", "x", "unique first inverse counts", sorted=1),
            node("TopK", "x k", "top positions", axis=0),
            node("Greater", "x zero", "positive"),
            node("Compress", "x positive", "compressed"),
            node("Shape", "x", "shape"),
        ],
        [tensor("x", shape=["n"]), tensor("k", "int64", [1])],
        [
            *(
                tensor(name, "int64")
                for name in ["where", "first", "inverse", "counts", "positions", "shape"]
            ),
            tensor("unique"),
            tensor("top"),
            tensor("positive", "bool"),
            tensor("compressed"),
        ],
        [constant("zero", np.float32(0))],
    )


def text() -> bytes:
    labels = {"keys_strings": ["a", "é"], "values_int64s": [1, 2], "default_int64": -1}
    return build(
        [
            node("StringConcat", "words words", "twice"),
            node("LabelEncoder", "words", "codes", domain=ML, **labels),
            node("Equal", "codes one", "is_a"),
            node("Cast", "codes", "digits", to=TensorProto.STRING),
        ],
        [tensor("words", object, ["n"])],
        [
            tensor("twice", object),
            tensor("codes", "int64"),
            tensor("is_a", "bool"),
            tensor("digits", object),
        ],
        [constant("one", np.int64(1))],
        opset=20,
    )


def cast_to_all(dtype: object) -> bytes:
    """Build one output of each numeric dtype, named after it, from x."""
    return build(
        [node("Cast", "x", name, to=element_type(name)) for name in NUMERIC],
        [tensor("x", dtype, ["n"])],
        [tensor(name, name, ["n"]) for name in NUMERIC],
    )


def _floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(11).standard_normal(shape, "f4")


def catalogue() -> dict[str, tuple[bytes, dict[str, np.ndarray]]]:
    """Give models by name, each with a feed."""
    words = np.array(["a", "é", "", "zoë"], object)
    return {
        "affine": (affine(), {"x": _floats(5, 8)}),
        "weights": (weights(3, 32), {"h0": _floats(2, 32)}),
        "convolution": (convolution(), {"x": _floats(2, 3, 8, 8)}),
        "lstm": (lstm(), {"x": _floats(5, 2, 3), "lengths": np.array([5, 2], "i4")}),
        "branch": (branch(), {"x": _floats(4), "flag": np.array(True)}),
        "branch not": (branch(), {"x": _floats(4), "flag": np.array(False)}),
        "quantized": (quantized(), {"x": _floats(3, 8)}),
        "transformer": (transformer(), {"ids": np.arange(12).reshape(2, 6)}),
        "shapes from data": (
            shapes_from_data(),
            {"x": np.array([1, -2, 0, 1, 3], "f4"), "k": np.array([2])},
        ),
        "text": (text(), {"words": words}),
        "handed through": (handed_through(), {"x": _floats(2, 3)}),
        "sequences": (sequences(), {"x": _floats(3), "text": words}),
        "maps of strings": (zip_map(strings=True), {"x": _floats(2, 3)}),
        "maps of integers": (zip_map(strings=False), {"x": _floats(2, 3)}),
        "many": (add_many(40), {f"x{index}": _floats(3) for index in range(40)}),
        "loop": (endless(), {"rounds": np.array(3), "x": _floats(4)}),
        "overridable": (overridable(), {"x": _floats(4)}),
        "overridden": (overridable(), {"x": _floats(4), "scale": np.array([5], "f4")}),
        "einsum": (
            one_node("Einsum", ["float32"] * 2, equation="ij,kj->ik"),
            {"x0": _floats(3, 4), "x1": _floats(2, 4)},
        ),
        "double": (one_node("Exp", ["float64"]), {"x0": _floats(3).astype("f8")}),
        "half": (
            one_node("Add", ["float16"] * 2),
            {name: _floats(3).astype("f2") for name in ("x0", "x1")},
        ),
        "modulo": (
            one_node("Mod", ["int64"] * 2),
            {"x0": np.array([7, -7, 9]), "x1": np.array([3, 3, -4])},
        ),
        "shift": (
            one_node("BitShift", ["uint8"] * 2, direction="LEFT"),
            {"x0": np.arange(3, dtype="u1"), "x1": np.ones(3, "u1")},
        ),
        "and": (
            one_node("And", ["bool"] * 2),
            {"x0": np.array([True, False]), "x1": np.array([True, True])},
        ),
        "compare": (
            one_node("Less", ["int32"] * 2, "bool"),
            {"x0": np.arange(3, dtype="i4"), "x1": np.ones(3, "i4")},
        ),
        "where": (
            one_node("Where", ["bool", "float32", "float32"], "float32"),
            {"x0": np.array([True, False]), "x1": _floats(2), "x2": _floats(2)},
        ),
        "argmax": (one_node("ArgMax", ["float32"], "int64", axis=0), {"x0": _floats(3, 2)}),
        "concat": (
            one_node("Concat", ["int16"] * 3, axis=0),
            {f"x{index}": np.arange(index, dtype="i2") for index in range(3)},
        ),
        "reduce": (one_node("ReduceMean", ["float32"], keepdims=0), {"x0": _floats(3, 2)}),
        "ones": (one_node("ConstantOfShape", ["int64"], "float32"), {"x0": np.array([2, 0, 3])}),
        "size": (one_node("Size", ["float32"], "int64"), {"x0": _floats(3, 2)}),
    }
