"""Models whose kernels keep weights of 128 KiB and more in a form of their own, with feeds."""

from collections.abc import Callable

import numpy as np
from models import build, constant, node, tensor

from ortmmap.cache.cpu_class import cpu_class

Case = tuple[bytes, dict[str, np.ndarray]]
MICROSOFT = "com.microsoft"
WIDTH = 512


def random(*shape: int, dtype: str = "f4") -> np.ndarray:
    return (np.random.default_rng(sum(shape)).standard_normal(shape) / 16).astype(dtype)


def of_x(nodes: list, weights: dict[str, np.ndarray], dtype: str = "float32") -> Case:
    """Give a model of x, (3, 512), to y."""
    constants = [constant(name, value) for name, value in weights.items()]
    content = build(nodes, [tensor("x", dtype, ["n", WIDTH])], [tensor("y", dtype)], constants)
    return content, {"x": random(3, WIDTH, dtype=dtype)}


def int4(accuracy_level: int) -> Case:
    """Multiply by weights of four bits, blocks of 32 with a scale each."""
    packed = np.random.default_rng(1).integers(0, 256, (WIDTH, WIDTH // 32, 16), "u1")
    attributes = {"K": WIDTH, "N": WIDTH, "bits": 4, "block_size": 32}
    attributes["accuracy_level"] = accuracy_level
    multiply = node("MatMulNBits", "x w scales", "y", domain=MICROSOFT, **attributes)
    return of_x([multiply], {"w": packed, "scales": random(WIDTH * WIDTH // 32)})


def float32() -> Case:
    return of_x([node("MatMul", "x w", "y")], {"w": random(WIDTH, WIDTH)})


def gemm() -> Case:
    weights = {"w": random(WIDTH, WIDTH), "b": random(WIDTH)}
    return of_x([node("Gemm", "x w b", "y", transB=1)], weights)


def float16() -> Case:
    return of_x([node("MatMul", "x w", "y")], {"w": random(WIDTH, WIDTH, dtype="f2")}, "float16")


def dynamic_int8() -> Case:
    nodes = [
        node("DynamicQuantizeLinear", "x", "q scale zero"),
        node("MatMulInteger", "q w zero", "product"),
        node("Cast", "product", "real", to=1),
        node("Mul", "real scale", "y"),
    ]
    weights = np.random.default_rng(2).integers(-127, 128, (WIDTH, WIDTH), "i1")
    return of_x(nodes, {"w": weights})


def dynamic_int8_at_once() -> Case:
    """Quantize and multiply by the one operator that the optimizer fuses the others to."""
    weights = np.random.default_rng(2).integers(-127, 128, (WIDTH, WIDTH), "i1")
    multiply = node("DynamicQuantizeMatMul", "x w scale", "y", domain=MICROSOFT)
    return of_x([multiply], {"w": weights, "scale": np.full(1, 0.02, "f4")})


def qdq_int8() -> Case:
    nodes = [
        node("QuantizeLinear", "x s zx", "qx"),
        node("DequantizeLinear", "qx s zx", "dx"),
        node("DequantizeLinear", "w s zw", "dw"),
        node("MatMul", "dx dw", "m"),
        node("QuantizeLinear", "m s zx", "qm"),
        node("DequantizeLinear", "qm s zx", "y"),
    ]
    weights = np.random.default_rng(2).integers(-127, 128, (WIDTH, WIDTH), "i1")
    constants = {"w": weights, "s": np.float32(0.02), "zx": np.uint8(128), "zw": np.int8(0)}
    return of_x(nodes, constants)


def convolution() -> Case:
    """Convolve by 3x3 with 128 channels; not every CPU's kernel keeps these weights otherwise."""
    content = build(
        [node("Conv", "x w", "y", pads=[1, 1, 1, 1])],
        [tensor("x", shape=["n", 128, 14, 14])],
        [tensor("y")],
        [constant("w", random(128, 128, 3, 3))],
    )
    return content, {"x": random(1, 128, 14, 14)}


def recurrent(op: str, gates: int) -> Case:
    """Run an LSTM or a GRU of 256 units over 4 steps."""
    weights = [("w", random(1, gates * 256, 128)), ("r", random(1, gates * 256, 256))]
    content = build(
        [node(op, "x w r", "y h", hidden_size=256)],
        [tensor("x", shape=["steps", "batch", 128])],
        [tensor("y"), tensor("h")],
        [constant(name, value) for name, value in weights],
    )
    return content, {"x": random(4, 2, 128)}


def attention() -> Case:
    """Attend with 8 heads: the operator that the optimizer fuses BERT's layers to."""
    content = build(
        [node("Attention", "x w b", "y", domain=MICROSOFT, num_heads=8)],
        [tensor("x", shape=["batch", "length", WIDTH])],
        [tensor("y")],
        [constant("w", random(WIDTH, 3 * WIDTH)), constant("b", random(3 * WIDTH))],
    )
    return content, {"x": random(2, 5, WIDTH)}


CASES: dict[str, Callable[[], Case]] = {
    "int4": lambda: int4(0),
    "int4, computed in int8": lambda: int4(4),
    "float32": float32,
    "Gemm": gemm,
    "float16": float16,
    "dynamic int8": dynamic_int8,
    "dynamic int8 at once": dynamic_int8_at_once,
    "int8 by QDQ": qdq_int8,
    "LSTM": lambda: recurrent("LSTM", 4),
    "GRU": lambda: recurrent("GRU", 3),
    "attention": attention,
}


def may_be_read_in_place(name: str) -> bool:
    """Whether kernels of this machine's CPU may read the weights of a case from the model's file.

    ARM's kernels for half precision do, unless KleidiAI replaces them, which depends on more than
    the features that ONNX Runtime chooses its own kernels by.
    """
    return name == "float16" and "fp16" in cpu_class().features
