"""Models that no exporter writes: scanned as protobuf and onnxruntime read them, or refused."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import onnx_zoo
import pytest
from onnx import AttributeProto, ModelProto, TensorProto, helper
from onnx_verdict import LEVELS, scan_file, skeleton_verdict, verdict
from wire import (
    FIXED32,
    FIXED64,
    GROUP,
    LENGTH,
    VARINT,
    group,
    integer,
    nested_groups,
    tag,
    text,
    varint,
)

import ortmmap
from ortmmap.model.skeleton import scan

X = {"x": onnx_zoo.x_value()}
RAW = onnx_zoo.weight("w").raw_data
DIMS = integer(1, 8) * 2
FLOAT = integer(2, TensorProto.FLOAT)
NAME = text(8, b"w")
DATA = text(9, RAW)
TENSOR = DIMS + FLOAT + NAME + DATA
OTHER = onnx_zoo.weight("w", 5).raw_data


def without_graph(made: ModelProto) -> bytes:
    rest = ModelProto.FromString(made.SerializeToString())
    rest.ClearField("graph")
    return rest.SerializeToString()


def product(tensor: bytes | None = TENSOR, graph: bytes = b"", model: bytes = b"") -> bytes:
    """Encode y = x @ w with this TensorProto for w, and more fields in the graph and model."""
    made = onnx_zoo.model([helper.make_node("MatMul", ["x", "w"], ["y"])])
    content = made.graph.SerializeToString()
    if tensor is not None:
        content += text(5, tensor)
    return without_graph(made) + text(7, content + graph) + model


def with_constant(attribute: bytes, node: bytes = b"") -> bytes:
    """Encode y = x @ w with w from a Constant of this AttributeProto."""
    made = onnx_zoo.model([helper.make_node("MatMul", ["x", "w"], ["y"])])
    constant = text(2, b"w") + text(4, b"Constant") + text(5, attribute) + node
    content = text(1, constant) + made.graph.SerializeToString()
    return without_graph(made) + text(7, content)


def branches(depth: int) -> bytes:
    """Encode, as fields of a graph, a node with a graph with a node and so on."""
    content = b""
    for _ in range(depth):
        content = text(1, text(5, text(6, content)))
    return content


def alternating(depth: int) -> bytes:
    """Encode a sequence of sequences: types within types, `depth` messages in all."""
    content = b""
    for index in range(depth):
        content = text(4 if (depth - index) % 2 else 1, content)
    return content


VALUE = text(1, b"value") + integer(20, AttributeProto.TENSOR)
HALF = len(RAW) // 2

# Unusual encodings that protobuf accepts, and ONNX Runtime with it.
ODD = {
    "unknown varint": product(model=integer(1000, 5)),
    "unknown fixed": product(model=tag(1000, FIXED64) + bytes(8) + tag(1001, FIXED32) + bytes(4)),
    "unknown text": product(model=text(1000, b"\xff" * 200)),
    "unknown group": product(model=group(1000, integer(1, 2) + text(3, b"abc"))),
    "unknown groups": product(graph=nested_groups(99, 50)),
    "largest number": product(model=integer((1 << 29) - 1, 1)),
    "group in a tensor": product(TENSOR + group(31)),
    "known number, other wire": product(TENSOR + integer(9, 7) + text(2, b"abc") + integer(8, 3)),
    "group of a known number": product(TENSOR + group(9, DATA)),
    "tag of five bytes": product(TENSOR + tag(12, LENGTH, 5) + varint(3) + b"doc"),
    "tag of more than 32 bits": product(TENSOR + varint(1 << 34 | 12 << 3 | LENGTH) + b"\3doc"),
    "length of five bytes": product(DIMS + FLOAT + NAME + text(9, RAW, 5)),
    "tensor's length of five bytes": product(None, graph=text(5, TENSOR, 5)),
    "value of ten bytes": product(integer(1, 8, 10) * 2 + FLOAT + NAME + DATA),
    "any order": product(DATA + NAME + FLOAT + DIMS),
    "packed dimensions": product(text(1, bytes([8, 8])) + FLOAT + NAME + DATA),
    "mixed dimensions": product(integer(1, 8) + FLOAT + text(1, bytes([8])) + NAME + DATA),
    "long packed dimensions": product(text(1, varint(8, 10) * 2) + FLOAT + NAME + DATA),
    "empty packed dimensions": product(text(1, b"") + TENSOR),
    "data twice": product(DIMS + FLOAT + NAME + text(9, OTHER) + DATA),
    "data then shorter data": product(TENSOR + text(9, RAW[:HALF])),
    "data then empty data": product(TENSOR + text(9, b"")),
    "data type twice": product(DIMS + integer(2, 11) + FLOAT + NAME + DATA),
    "wrong data type last": product(TENSOR + integer(2, 11)),
    "data type of 64 bits": product(DIMS + integer(2, 1 | 1 << 40) + NAME + DATA),
    "name twice": product(DIMS + FLOAT + text(8, b"v") + NAME + DATA),
    "location as default": product(TENSOR + integer(14, 0)),
    "location that is none": product(TENSOR + integer(14, 7)),
    "location external, with data": product(TENSOR + integer(14, 1)),
    "entry without location": product(TENSOR + text(13, text(1, b"key") + text(2, b"value"))),
    "segment": product(TENSOR + text(3, integer(1, 0) + integer(2, 9))),
    "typed data too": product(TENSOR + text(4, RAW)),
    "empty typed data too": product(TENSOR + text(4, b"")),
    "wrong typed data too": product(TENSOR + text(4, RAW[:3])),
    "no dimensions": product(FLOAT + NAME + DATA),
    "negative dimension": product(integer(1, -8) * 2 + FLOAT + NAME + DATA),
    "huge dimensions": product(integer(1, 1 << 62) * 4 + FLOAT + NAME + DATA),
    "dimensions whose product wraps": product(integer(1, 1 << 33) * 2 + DIMS + FLOAT + NAME + DATA),
    "zero dimension": product(integer(1, 0) + FLOAT + NAME + DATA),
    "data too short": product(DIMS + FLOAT + NAME + text(9, RAW[:-1])),
    "data too long": product(DIMS + FLOAT + NAME + text(9, RAW + b"\0")),
    "no data": product(DIMS + FLOAT + NAME),
    "no data type": product(DIMS + NAME + DATA),
    "unknown data type": product(DIMS + integer(2, 99) + NAME + DATA),
    "negative data type": product(DIMS + integer(2, -1) + NAME + DATA),
    "graph in two parts": product(None, model=text(7, text(5, TENSOR))),
    "graph in two parts, one name": product(
        TENSOR, model=text(7, text(5, DIMS + FLOAT + NAME + text(9, OTHER)))
    ),
    "constant": with_constant(VALUE + text(5, TENSOR)),
    "constant in two parts": with_constant(VALUE + text(5, DIMS + FLOAT + DATA) + text(5, NAME)),
    "constant in two parts, data twice": with_constant(
        VALUE + text(5, TENSOR) + text(5, text(9, OTHER))
    ),
    "constant, dimensions twice": with_constant(VALUE + text(5, TENSOR) + text(5, integer(1, 1))),
    "constant of another type": with_constant(
        text(1, b"value") + integer(20, AttributeProto.FLOAT) + text(5, TENSOR)
    ),
    "constant without a type": with_constant(text(1, b"value") + text(5, TENSOR)),
    "constant by another name": with_constant(
        text(1, b"what") + integer(20, AttributeProto.TENSOR) + text(5, TENSOR)
    ),
    "constant with two values": with_constant(
        VALUE + text(5, TENSOR), text(5, text(1, b"value_float") + integer(20, 1))
    ),
    "constant's name twice": with_constant(VALUE + text(5, TENSOR), text(4, b"Constant")),
    "constant's name changed": with_constant(VALUE + text(5, TENSOR), text(4, b"Identity")),
    "constant of ONNX's domain": with_constant(VALUE + text(5, TENSOR), text(7, b"ai.onnx")),
    "constant of another domain": with_constant(VALUE + text(5, TENSOR), text(7, b"other")),
    "two tensors in a sparse one": product(
        None, graph=text(15, text(1, TENSOR) * 2 + text(2, TENSOR) + DIMS)
    ),
    "name that is not UTF-8": product(TENSOR + text(12, b"\xff\xfe\0")),
    "packed tensors": product(None, graph=text(5, TENSOR + text(1, b""))),
    "deepest types": product(graph=text(13, text(1, b"v") + text(2, alternating(96)))),
    "deep branches": product(graph=branches(32)),
    "deepest groups": product(TENSOR + nested_groups(99, 98)),
    "no graph": without_graph(onnx_zoo.model([])),
    "empty graph": without_graph(onnx_zoo.model([])) + text(7, b""),
}

# Encodings that protobuf refuses.
BROKEN = {
    "varint of 11 bytes": product(model=tag(1000, VARINT) + b"\x80" * 10 + b"\0"),
    "value of 11 bytes": product(b"\x08" + b"\xff" * 10 + b"\1" + TENSOR),
    "tag of 6 bytes": product(TENSOR + tag(12, LENGTH, 6) + b"\0"),
    "length of 6 bytes": product(TENSOR + text(12, b"doc", 6)),
    "length of 11 bytes": product(TENSOR + tag(12, LENGTH) + varint(3, 11) + b"doc"),
    "length beyond the message": product(DIMS + FLOAT + NAME + tag(9, LENGTH) + varint(5000) + RAW),
    "length beyond everything": product(TENSOR + tag(12, LENGTH) + varint((1 << 64) - 1)),
    "length of 2 GiB": product(TENSOR + tag(12, LENGTH) + varint(1 << 31)),
    "inner length longer than outer": product(
        None, graph=tag(5, LENGTH) + varint(len(TENSOR) + 1) + TENSOR, model=integer(1000, 1)
    ),
    "packed varint cut off": product(TENSOR + text(1, b"\x80")),
    "number 0": product(model=tag(0, VARINT) + b"\0"),
    "number 0, length": product(TENSOR + tag(0, LENGTH) + b"\0"),
    "wire type 6": product(TENSOR + tag(12, 6) + b"\0"),
    "wire type 7": product(model=tag(12, 7)),
    "group that does not end": product(model=tag(1000, GROUP)),
    "group that does not begin": product(model=tag(1000, 4)),
    "group that ends in a tensor": product(TENSOR + tag(1000, 4)),
    "group that ends as another": product(model=group(1000, end=1001)),
    "group beyond its message": product(TENSOR + tag(1000, GROUP), graph=tag(1000, 4)),
    "fixed cut off": product(TENSOR + tag(1000, FIXED64) + bytes(7)),
    "fixed32 cut off": product(model=tag(1000, FIXED32) + bytes(3)),
    "tag cut off": product(model=b"\x80"),
    "types beyond sense": product(graph=text(13, text(2, alternating(4000)))),
    "groups beyond sense": product(model=nested_groups(99, 100_000)),
    "branches beyond sense": product(graph=branches(40)),
}


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", ODD)
def test_odd_files_are_read_as_onnxruntime_reads_them(
    tmp_path: Path, name: str, level: object
) -> None:
    path = write(tmp_path / "odd.onnx", ODD[name])
    scan_file(path)
    assert skeleton_verdict(path, X, level) == verdict(path, X, level)


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_refused_at_the_offset(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "broken.onnx", BROKEN[name])
    assert verdict(path, X).error is not None
    with pytest.raises(ortmmap.errors.InvalidProtobuf) as caught:
        scan_file(path)
    assert str(path) in str(caught.value)
    assert caught.value.code == 7
    offset = int(re.search(r"at byte (\d+)", str(caught.value))[1])
    assert 0 <= offset <= path.stat().st_size


@pytest.mark.parametrize("depth", [97, 98, 99, 100, 101])
@pytest.mark.parametrize(
    "build",
    [
        lambda depth: product(model=nested_groups(99, depth)),
        lambda depth: product(graph=nested_groups(99, depth - 1)),
        lambda depth: product(graph=text(13, text(1, b"v") + text(2, alternating(depth - 3)))),
    ],
    ids=["groups", "groups in the graph", "types"],
)
def test_nesting_ends_where_protobufs_does(
    tmp_path: Path, build: Callable[[int], bytes], depth: int
) -> None:
    path = write(tmp_path / "deep.onnx", build(depth))
    refused = "protobuf" in str(verdict(path, X).error).lower()
    try:
        scan_file(path)
    except ortmmap.errors.InvalidProtobuf:
        assert refused
    else:
        assert not refused


def test_truncated_at_every_byte(tmp_path: Path) -> None:
    content = onnx_zoo.CASES["branches"]().content
    path = tmp_path / "cut.onnx"
    for size in range(1, len(content)):
        write(path, content[:size])
        expected, found = verdict(path, X), skeleton_verdict(path, X)
        assert found == expected, size
        if isinstance(found.error, ortmmap.errors.OrtError):
            assert str(path) in str(found.error)
            assert "at byte" in str(found.error)


@pytest.mark.parametrize("value", [0, 0x7F, 0x80, 0xFF])
def test_every_byte_changed(tmp_path: Path, value: int) -> None:
    content = onnx_zoo.CASES["constants"]().content
    start = content.index(RAW)
    path = tmp_path / "changed.onnx"
    for index in [*range(start), *range(start + len(RAW), len(content))]:
        write(path, content[:index] + bytes([value]) + content[index + 1 :])
        assert skeleton_verdict(path, X) == verdict(path, X), index


def external(*entries: tuple[str, str]) -> bytes:
    pairs = [text(1, key.encode()) + text(2, value.encode()) for key, value in entries]
    return DIMS + FLOAT + NAME + integer(14, 1) + b"".join(text(13, pair) for pair in pairs)


@pytest.mark.parametrize(
    "location",
    [
        "../w.bin",
        "a/../../w.bin",
        "..",
        "./../w.bin",
        "/etc/passwd",
        "//etc/passwd",
        "*/_ORT_MEM_ADDR_/*",
        "*/_ORT_NATIVE_ENDIAN_/*",
    ],
)
@pytest.mark.parametrize("constant", [False, True])
def test_external_data_outside_the_folder_is_refused(
    tmp_path: Path, location: str, constant: bool
) -> None:
    tensor = external(("location", location), ("offset", "0"), ("length", str(len(RAW))))
    content = with_constant(VALUE + text(5, tensor)) if constant else product(tensor)
    path = write(tmp_path / "escapes.onnx", content)
    with pytest.raises(ortmmap.errors.InvalidGraph, match=r"at byte \d+") as caught:
        scan_file(path)
    assert str(path) in str(caught.value)
    assert repr(location) in str(caught.value)


@pytest.mark.parametrize(
    "entries",
    [
        [("location", "w.bin")],
        [("location", "w.bin"), ("offset", "0"), ("length", "256")],
        [("location", "a/../w.bin"), ("offset", "0"), ("length", "256")],
        [("location", "./w.bin"), ("offset", "16")],
        [("location", "w.bin"), ("offset", "256"), ("length", "256")],
        [("location", "w.bin"), ("offset", "9223372036854775807"), ("length", "256")],
        [("location", "w.bin"), ("offset", "99999999999999999999999"), ("length", "256")],
        [("location", "w.bin"), ("offset", "-4"), ("length", "256")],
        [("location", "w.bin"), ("offset", "0"), ("length", "200")],
        [("location", "w.bin"), ("offset", "0x0"), ("length", "256")],
        [("location", "w.bin"), ("offset", ""), ("length", "")],
        [("location", "missing.bin"), ("offset", "0"), ("length", "256")],
        [("location", "")],
        [("offset", "0")],
        [],
        [("location", "missing.bin"), ("location", "w.bin")],
    ],
)
def test_external_data_is_read_as_onnxruntime_reads_it(
    tmp_path: Path, entries: list[tuple[str, str]]
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "w.bin").write_bytes(RAW)
    in_file = DIMS + FLOAT + text(8, b"unused") + DATA
    path = write(tmp_path / "mixed.onnx", product(external(*entries), graph=text(5, in_file)))
    assert scan_file(path).externalized == 1
    assert skeleton_verdict(path, X) == verdict(path, X)


def test_many_tensors_of_one_attribute_take_linear_time() -> None:
    tensor = text(5, TENSOR)
    attribute = VALUE + tensor * 2 + integer(1000, 1) * 200_000 + tensor * 20_000
    started = time.perf_counter()
    assert scan(with_constant(attribute), b"m", threshold=64).externalized == 0
    assert time.perf_counter() - started < 2


def test_many_attributes_of_one_node_take_linear_time() -> None:
    attributes = text(5, VALUE + text(5, TENSOR)) * 20_000
    node = text(2, b"v") * 200_000 + attributes
    started = time.perf_counter()
    assert scan(with_constant(VALUE, node), b"m", threshold=64).externalized == 0
    assert time.perf_counter() - started < 2


def test_colliding_names_take_linear_time() -> None:
    tensors = b"".join(
        text(5, DIMS + FLOAT + text(8, b"%d" % index) + DATA) for index in range(20_000)
    )
    started = time.perf_counter()
    assert scan(product(None, graph=tensors), b"m", threshold=64).externalized == 16384
    assert time.perf_counter() - started < 2
