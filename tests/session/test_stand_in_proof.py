"""The proof that stand-ins rest on: of the weights that may have one, a session keeps nothing but
the blocks that kernels have packed.

``tests/native/weights_proof.c`` creates the same session of the weights and of a pattern, and
compares all memory. It runs with the library that is installed, on the processor that is there.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from itertools import product as product_of
from pathlib import Path

import numpy as np
import onnx
import pytest
from large_models import MICROSOFT, random
from models import build, constant, node, tensor
from onnx import external_data_helper

import ortmmap
from ortmmap.cache.recognition import LEAST_BYTES
from ortmmap.model.packed_weights import PACKED, packed_weights
from ortmmap.runtime.library import get_library_path

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

HIDDEN = 160
# Freed memory is overwritten, and the kernel does not write the processor's number to memory.
TUNABLES = "glibc.malloc.tcache_count=0:glibc.pthread.rseq=0"
HERE = Path(__file__).resolve().parent
ALL_EQUAL, DEPENDS, NOTHING_PACKED, ANOTHER_SEED = 0, 3, 4, 5
SEEDS = 100  # one of a few makes keys of the same lengths


def integers(*shape: int, dtype: str) -> np.ndarray:
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max + 1
    return np.random.default_rng(sum(shape)).integers(low, high, shape, dtype)


def product(op: str, scale: int, domain: str = "", **attributes: object) -> bytes:
    used = node(op, "x w", "y", domain=domain, **attributes)
    return of_x([used], {"w": random(256 * scale, 256 * scale)})


def product_twice(scale: int) -> bytes:
    nodes = [node("MatMul", "x w", "h"), node("MatMul", "h w", "y")]
    return of_x(nodes, {"w": random(256 * scale, 256 * scale)})


def of_x(nodes: list, weights: dict[str, np.ndarray], dtype: str = "float32") -> bytes:
    """Return a model of x to y, the result of the last node."""
    constants = [constant(name, value) for name, value in weights.items()]
    is_sequence = nodes[0].op_type in ("LSTM", "GRU", "Attention")
    shape = [None, None, HIDDEN] if is_sequence else [None, None]
    result = {"uint8": "int32", "float16": "float16"}.get(dtype, "float32")
    result = "float32" if nodes[0].op_type == "MatMulIntegerToFloat" else result
    return build(nodes, [tensor("x", dtype, shape)], [tensor("y", result)], constants)


def recurrent(op: str, gates: int, scale: int, direction: str, **attributes: object) -> bytes:
    count = 2 if direction == "bidirectional" else 1
    units = HIDDEN * scale
    weights = {
        "w": random(count, gates * units, HIDDEN),
        "r": -random(count, gates * units, units),  # equal weights would share a packed buffer
        "b": random(count, 2 * gates * units),
    }
    used = node(op, "x w r b", "y", hidden_size=units, direction=direction, **attributes)
    return of_x([used], weights)


def attention(scale: int, **attributes: object) -> bytes:
    used = node("Attention", "x w b", "y", domain=MICROSOFT, num_heads=8, **attributes)
    size = 3 * HIDDEN * scale
    return of_x([used], {"w": random(HIDDEN, size), "b": random(size)})


def integer_product(scale: int, dtype: str, zero_points: str) -> bytes:
    width = 512 * scale
    inputs = {"": "x w", "scalar": "x w zx zw", "column": "x w zx zw"}[zero_points]
    weights = {"w": integers(width, width, dtype=dtype)}
    if zero_points:
        weights["zx"] = np.uint8(7)
        columns = np.full(width, 3, dtype)
        weights["zw"] = columns if zero_points == "column" else columns[0]
    return of_x([node("MatMulInteger", inputs, "y")], weights, "uint8")


def scaled_product(op: str, scale: int, dtype: str, *, zero_point: bool, columns: bool) -> bytes:
    width = 512 * scale
    size = width if columns else 1
    weights = {"w": integers(width, width, dtype=dtype), "s": random(size)}
    if op == "MatMulIntegerToFloat":
        inputs, weights["sx"], weights["zx"] = "x w sx s zx", np.float32(0.1), np.uint8(7)
    else:
        inputs = "x w s"
    if zero_point:
        inputs += " zw"
        weights["zw"] = np.full(size, 3, dtype)
    of = "uint8" if op == "MatMulIntegerToFloat" else "float32"
    return of_x([node(op, inputs, "y", domain=MICROSOFT)], weights, of)


def of_few_bits(
    scale: int, bits: int, block: int, level: int, *, zero_points: bool, dtype: str
) -> bytes:
    width = (768 if bits == 4 else 512) * scale
    blocks = width // block
    weights = {
        "w": integers(width, blocks, block * bits // 8, dtype="uint8"),
        "s": random(width * blocks, dtype=dtype),
    }
    if zero_points:
        weights["z"] = integers(width * -(-blocks * bits // 8), dtype="uint8")
    inputs = "x w s z" if zero_points else "x w s"
    attributes = {"K": width, "N": width, "bits": bits, "block_size": block}
    used = node("MatMulNBits", inputs, "y", domain=MICROSOFT, accuracy_level=level, **attributes)
    return of_x([used], weights, {"f4": "float32", "f2": "float16"}[dtype])


FLAGS = (False, True)
# Models by name, of weights that have LEAST_BYTES at scale 1.
CASES: dict[str, Callable[[int], bytes]] = {
    "MatMul": lambda scale: product("MatMul", scale),
    "MatMul twice": product_twice,
    "Gemm": lambda scale: product("Gemm", scale),
    "Gemm, transposed": lambda scale: product("Gemm", scale, transB=1, alpha=0.5),
    "Gemm, transposed inputs": lambda scale: product("Gemm", scale, transA=1, transB=1),
    "FusedMatMul": lambda scale: product("FusedMatMul", scale, MICROSOFT, alpha=0.5),
    "FusedMatMul, transposed": lambda scale: product("FusedMatMul", scale, MICROSOFT, transB=1),
    "FusedGemm": lambda scale: product("FusedGemm", scale, MICROSOFT, activation="Relu"),
    "FusedGemm, transposed": lambda scale: product(
        "FusedGemm", scale, MICROSOFT, activation="Tanh", transB=1
    ),
    "Attention": attention,
    "Attention, unidirectional": lambda scale: attention(scale, unidirectional=1),
    "Attention, sizes": lambda scale: attention(scale, qkv_hidden_sizes=3 * [HIDDEN * scale]),
}
for _dtype, _zero in product_of(("int8", "uint8"), ("", "scalar", "column")):
    CASES[f"MatMulInteger, {_dtype}, {_zero}"] = partial(
        integer_product, dtype=_dtype, zero_points=_zero
    )
for _op, _dtype, _zero_point, _columns in product_of(
    ("MatMulIntegerToFloat", "DynamicQuantizeMatMul"), ("int8", "uint8"), FLAGS, FLAGS
):
    CASES[f"{_op}, {_dtype}, {_zero_point}, {_columns}"] = partial(
        scaled_product, _op, dtype=_dtype, zero_point=_zero_point, columns=_columns
    )
for _direction in ("forward", "reverse", "bidirectional"):
    CASES[f"LSTM, {_direction}"] = partial(recurrent, "LSTM", 4, direction=_direction)
    for _before in (0, 1):
        CASES[f"GRU, {_direction}, {_before}"] = partial(
            recurrent, "GRU", 3, direction=_direction, linear_before_reset=_before
        )
for (_bits, _block, _zero_point), _level in product_of(
    ((4, 16, False), (4, 32, True), (4, 128, False), (8, 32, True)), (0, 1, 4)
):
    CASES[f"MatMulNBits, {_bits} bits, {_block}, {_level}, {_zero_point}"] = partial(
        of_few_bits, bits=_bits, block=_block, level=_level, zero_points=_zero_point, dtype="f4"
    )
NOT_ALWAYS_PACKED = {name for name in CASES if name.startswith("MatMulNBits, 8 bits")}
CASES["MatMulNBits, float16"] = partial(
    of_few_bits, bits=4, block=32, level=4, zero_points=True, dtype="f2"
)
LARGER = ("MatMul", "Gemm, transposed", "Attention", "MatMulInteger, int8, scalar", "LSTM, forward")


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("proof") / "weights_proof"
    sources = [HERE.parent / "native" / name for name in ("weights_proof.c", "prepacked_keys.c")]
    command = ["gcc", "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror"]
    command += ["-I", ortmmap.get_include(), *sources, "-o", target, "-ldl", "-Wl,-z,now"]
    subprocess.run(command, check=True)
    return target


def prove(program: Path, folder: Path, content: bytes, names: set[str]) -> tuple[int, str]:
    """Return the program's exit status and output, with patterns for the weights of these names."""
    model = onnx.load_from_string(content)
    data, lines = bytearray(b"."), []
    for each in model.graph.initializer:
        offset, raw = len(data), each.raw_data
        if len(raw) < 1 << 16:
            continue
        external_data_helper.set_external_data(each, "data", offset, len(raw))
        each.ClearField("raw_data")
        each.data_location = onnx.TensorProto.EXTERNAL
        data += raw
        dims = " ".join(map(str, each.dims))
        stands_in = int(each.name in names)
        lines.append(
            f"{each.name} {each.data_type} {offset} {len(raw)} {stands_in} {len(each.dims)} {dims}"
        )
    (folder / "data").write_bytes(data)
    (folder / "weights").write_text("\n".join(lines) + "\n")
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    paths = [folder / name for name in ("model.onnx", "data", "weights")]
    for seed in range(SEEDS):
        done = subprocess.run(
            [program, get_library_path(), *paths, str(seed)],
            env={**os.environ, "GLIBC_TUNABLES": TUNABLES},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != ANOTHER_SEED:
            break
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("case", "scale"), [(case, 1) for case in CASES] + [(case, 4) for case in LARGER]
)
def test_a_session_keeps_nothing_of_its_weights_but_packed_blocks(program, tmp_path, case, scale):
    content = CASES[case](scale)
    names = {name.decode() for name in packed_weights(content)}
    assert "w" in names
    status, output = prove(program, tmp_path, content, names)
    assert status == ALL_EQUAL or (status == NOTHING_PACKED and case in NOT_ALWAYS_PACKED), output


def test_each_kernel_of_the_list_has_a_case():
    proven = {
        (each.domain, each.op_type)
        for make in CASES.values()
        for each in onnx.load_from_string(make(1)).graph.node
    }
    assert proven == set(PACKED)


@pytest.mark.parametrize("case", CASES)
def test_a_weight_of_the_least_size_has_a_case(case):
    """It might be packed into parts that are too small to be recorded as blocks."""
    sizes = [
        len(each.raw_data)
        for each in onnx.load_from_string(CASES[case](1)).graph.initializer
        if each.name == "w"
    ]
    assert LEAST_BYTES <= sizes[0] < 2 * LEAST_BYTES * (2 if "bidirectional" in case else 1)


def test_a_kernel_that_keeps_sums_of_its_weights_is_found_out(program, tmp_path):
    weights = {"w": integers(512, 512, 3, 3, dtype="int8"), "s": np.float32(0.1)}
    weights |= {"zx": np.uint8(7), "zw": np.int8(0)}
    nodes = [node("QLinearConv", "x s zx w s zw s zx", "y")]
    constants = [constant(name, value) for name, value in weights.items()]
    inputs = [tensor("x", "uint8", ["n", 512, 8, 8])]
    content = build(nodes, inputs, [tensor("y", "uint8")], constants)
    assert packed_weights(content) == []
    status, output = prove(program, tmp_path, content, {"w"})
    assert status == DEPENDS, output


def test_a_kernel_that_packs_nothing_is_found_out(program, tmp_path):
    content = build(
        [node("Gather", "w x", "y")],
        [tensor("x", "int64", ["n"])],
        [tensor("y")],
        [constant("w", random(1024, 1024))],
    )
    assert packed_weights(content) == []
    status, output = prove(program, tmp_path, content, {"w"})
    assert status == NOTHING_PACKED, output
