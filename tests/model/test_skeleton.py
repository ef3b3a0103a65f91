"""The skeleton: the tensors that become references, and sessions of it compared with the file's."""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Callable
from pathlib import Path

import models
import numpy as np
import onnx_zoo
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper
from onnx import numpy_helper as numpy_onnx
from onnx_verdict import LEVELS, scan_file, skeleton_verdict, verdict
from support import status
from wire import LENGTH, group, integer, tag, text, varint

from benchmarks import page_cache
from ortmmap.model.mapping import Mapping
from ortmmap.model.skeleton import DEFAULT_THRESHOLD, scan

GIB = 1 << 30
MOST_REFERENCES = 16384


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def references(skeleton: ModelProto, location: str = "model.onnx") -> list[TensorProto]:
    found = onnx_zoo.tensors_of(skeleton)
    return [tensor for tensor in found if entries(tensor).get("location") == location]


def entries(tensor: TensorProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in tensor.external_data}


def restored(skeleton: bytes, content: bytes) -> ModelProto:
    """Parse a skeleton, with data in place of its references."""
    made = ModelProto.FromString(skeleton)
    for tensor in references(made):
        assert tensor.data_location == TensorProto.EXTERNAL
        assert not tensor.raw_data
        offset, length = (int(entries(tensor)[key]) for key in ("offset", "length"))
        tensor.ClearField("external_data")
        tensor.ClearField("data_location")
        tensor.raw_data = content[offset : offset + length]
    return made


def initializers_of(*tensors: TensorProto) -> bytes:
    """Make a model with initializers that no node uses."""
    return onnx_zoo.model([models.node("Identity", "x", "y")], tensors).SerializeToString()


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", onnx_zoo.CASES)
def test_the_skeleton_runs_as_the_file_does(tmp_path: Path, name: str, level: object) -> None:
    case = onnx_zoo.CASES[name]()
    path = write(tmp_path / "model.onnx", case.content)
    if case.externalized is not None:
        assert scan_file(path).externalized == case.externalized
    expected = verdict(path, case.feeds, level)
    assert skeleton_verdict(path, case.feeds, level) == expected
    assert skeleton_verdict(path, case.feeds, level, threshold=1) == expected


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("data_type", onnx_zoo.DATA_TYPES, ids=TensorProto.DataType.Name)
def test_every_element_type(tmp_path: Path, data_type: int, level: object) -> None:
    case = onnx_zoo.of_type(data_type)
    path = write(tmp_path / "model.onnx", case.content)
    expected = verdict(path, case.feeds, level)
    assert skeleton_verdict(path, case.feeds, level, threshold=1) == expected
    if not expected.refused:
        assert scan_file(path, threshold=1).externalized == 1


@pytest.mark.parametrize("name", onnx_zoo.CASES)
def test_nothing_but_the_references_changes(name: str) -> None:
    content = onnx_zoo.CASES[name]().content + text(1000, b"unknown field")
    skeleton = scan(content, b"model.onnx", threshold=64)
    if skeleton.model is not None:
        assert restored(skeleton.model, content) == ModelProto.FromString(content)


def test_the_rest_is_the_same_to_the_byte() -> None:
    data = onnx_zoo.weight("w").raw_data

    def model(value: bytes) -> bytes:
        tensor = text(8, b"w", 5) + integer(1, 8, 10) + value + integer(2, 1) + integer(1, 8)
        graph = text(2, b"graph") + group(99, text(3, b"a")) + text(5, tensor) + text(10, b"doc")
        return text(2, b"me") + text(7, graph) + integer(1, 10) + text(2000, b"unknown")

    content = model(text(9, data))
    reference = b"".join(
        text(13, text(1, key) + text(2, value))
        for key, value in (
            (b"location", b"m.onnx"),
            (b"offset", b"%d" % content.index(data)),
            (b"length", b"256"),
        )
    )
    skeleton = scan(content, b"m.onnx", threshold=64)
    assert skeleton.model == model(reference + integer(14, TensorProto.EXTERNAL))


def test_a_threshold_is_the_least_size_of_a_reference() -> None:
    content = initializers_of(onnx_zoo.weight("w"))
    assert scan(content, b"m", threshold=256).externalized == 1
    assert scan(content, b"m", threshold=257).model is None
    page = onnx_zoo.weight("w", shape=(DEFAULT_THRESHOLD // 4,))
    assert scan(initializers_of(page), b"m").externalized == 1


def test_integers_that_may_be_a_shape_stay_inside() -> None:
    for dtype, count, externalized in (
        (np.int64, 8192, 0),
        (np.int64, 8193, 1),
        (np.int32, 16384, 0),
        (np.uint64, 8192, 1),
    ):
        content = initializers_of(models.constant("w", np.zeros(count, dtype)))
        assert scan(content, b"m").externalized == externalized
    table = models.constant("w", np.zeros((64, 64), np.int64))
    assert scan(initializers_of(table), b"m").externalized == 1


def test_counts_and_places() -> None:
    content = initializers_of(
        onnx_zoo.weight("w"),
        onnx_zoo.weight("small", shape=(2,)),
        helper.make_tensor("typed", TensorProto.FLOAT, [3], [1.0, 2.0, 3.0]),
    )
    skeleton = scan(content, b"m", threshold=64)
    assert [tensor.place for tensor in skeleton.tensors] == ["mapped", "inline", "inline"]
    assert (skeleton.mapped_bytes, skeleton.inline_bytes, skeleton.external_bytes) == (256, 20, 0)
    assert skeleton.external_locations == ()
    assert not skeleton.oversized
    for tensor in skeleton.tensors[:2]:
        assert content[tensor.start : tensor.stop].endswith(
            content[tensor.data : tensor.data + tensor.nbytes]
        )


def with_other_file(folder: Path) -> tuple[ModelProto, np.ndarray]:
    """Make a model of x @ w + b, with w in another file."""
    case = onnx_zoo.initializers()
    w = case.model.graph.initializer[0]
    (folder / "w.bin").write_bytes(bytes(64) + w.raw_data)
    w.ClearField("raw_data")
    w.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "w.bin"), ("offset", "64"), ("length", "256")):
        w.external_data.add(key=key, value=value)
    return case.model, case.feeds


@pytest.mark.parametrize("level", LEVELS)
def test_a_model_with_external_data_keeps_it(tmp_path: Path, level: object) -> None:
    model, feeds = with_other_file(tmp_path)
    path = write(tmp_path / "model.onnx", model.SerializeToString())
    skeleton = scan_file(path)
    assert skeleton.external_locations == (b"w.bin",)
    assert (skeleton.externalized, skeleton.mapped_bytes, skeleton.external_bytes) == (1, 256, 256)
    expected = verdict(path, feeds, level)
    assert not expected.refused
    assert skeleton_verdict(path, feeds, level) == expected


def test_external_data_without_a_length_counts_as_its_shape_says(tmp_path: Path) -> None:
    model, _ = with_other_file(tmp_path)
    del model.graph.initializer[0].external_data[2]
    assert scan(model.SerializeToString(), b"m").external_bytes == 256


@pytest.mark.parametrize(
    "name",
    ["ünï 名.onnx", " spaces .onnx", "*?%20:.onnx", os.fsdecode(b"\xff\xfe.onnx"), "a" * 240],
)
def test_file_names(tmp_path: Path, name: str) -> None:
    case = onnx_zoo.initializers()
    folder = tmp_path / "ünï folder"
    folder.mkdir()
    path = write(folder / name, case.content)
    found = skeleton_verdict(path, case.feeds)
    assert not found.refused
    assert found.outputs == verdict(case.content, case.feeds).outputs


def test_a_link_is_resolved(tmp_path: Path) -> None:
    """As in the cache of a model hub, where a link and its file have different names."""
    case = onnx_zoo.initializers()
    (tmp_path / "blobs").mkdir()
    (tmp_path / "snapshots").mkdir()
    write(tmp_path / "blobs" / "0123abcd", case.content)
    link = tmp_path / "snapshots" / "model.onnx"
    link.symlink_to(Path("..", "blobs", "0123abcd"))
    found = skeleton_verdict(link, case.feeds)
    assert not found.refused
    assert found == verdict(link, case.feeds)


@pytest.mark.parametrize("seen", [bytes, bytearray, memoryview])
def test_any_buffer(seen: Callable[[bytes], object]) -> None:
    content = onnx_zoo.initializers().content
    assert scan(seen(content), b"m", threshold=64).externalized == 2


def test_references_are_not_too_many_for_a_process() -> None:
    def tensors(count: int, size: int, first: int) -> list[TensorProto]:
        data = bytes(size)
        names = (f"w{index}" for index in range(first, first + count))
        return [onnx_zoo.raw_tensor(name, TensorProto.UINT8, [size], data) for name in names]

    content = initializers_of(*tensors(20_000, 64, 0), *tensors(50, 512, 20_000))
    skeleton = scan(content, b"m", threshold=1)
    assert skeleton.externalized == MOST_REFERENCES
    assert (
        sum(tensor.nbytes == 512 for tensor in skeleton.tensors if tensor.place == "mapped") == 50
    )
    assert restored(skeleton.model, content).graph.initializer[0].raw_data == b""
    assert len(ModelProto.FromString(skeleton.model).graph.initializer) == 20_050


def test_a_hundred_thousand_nodes() -> None:
    count = 100_000
    weights = [onnx_zoo.weight(f"w{index}", shape=(4, 4)) for index in range(1000)]
    nodes = [
        helper.make_node(
            "Add", [f"h{index}", f"w{index % 1000}"], [f"h{index + 1}"], f"add {index}"
        )
        for index in range(count)
    ]
    nodes[0].input[0], nodes[-1].output[0] = "x", "y"
    content = onnx_zoo.model(nodes, weights).SerializeToString()
    times = []
    for _ in range(5):
        started = time.perf_counter()
        skeleton = scan(content, b"model.onnx", threshold=64)
        times.append(time.perf_counter() - started)
    assert skeleton.externalized == 1000
    assert min(times) < 0.5  # 0.005 s on two idle cores
    assert restored(skeleton.model, content) == ModelProto.FromString(content)


def test_a_sparse_file_of_ten_gigabytes(tmp_path: Path) -> None:
    """Time and memory depend on the number of tensors, not on their bytes."""
    path = tmp_path / "large.onnx"
    heads = [
        integer(1, GIB // 4)
        + integer(2, TensorProto.FLOAT)
        + text(8, b"w%d" % index)
        + tag(9, LENGTH)
        + varint(GIB)
        for index in range(10)
    ]
    tensors = [tag(5, LENGTH) + varint(len(head) + GIB) + head for head in heads]
    size = sum(len(tensor) + GIB for tensor in tensors)
    with path.open("wb") as file:
        file.write(integer(1, 10) + tag(7, LENGTH) + varint(size))
        for tensor in tensors:
            file.write(tensor)
            file.seek(GIB, os.SEEK_CUR)
        file.truncate(file.tell())
        end = file.tell()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        before, started = status("VmRSS"), time.perf_counter()
        skeleton = scan(data, b"large.onnx")
        taken, grown = time.perf_counter() - started, status("VmRSS") - before
    assert skeleton.externalized == 10
    assert skeleton.mapped_bytes == 10 * GIB
    assert skeleton.oversized
    assert len(skeleton.model) < 2000
    assert taken < 0.5
    assert grown < 16 << 20
    last = ModelProto.FromString(skeleton.model).graph.initializer[-1]
    assert int(entries(last)["offset"]) == end - GIB


def test_oversized_is_what_protobuf_does_not_read(tmp_path: Path) -> None:
    limit = (1 << 31) - 1 - 16
    for rest, oversized in ((limit, False), (limit + 1, True)):
        path = tmp_path / "large.onnx"
        head = integer(1, 10)
        padding = 1 << 30
        with path.open("wb") as file:
            file.write(head + tag(100, LENGTH) + varint(padding))
            file.seek(padding, os.SEEK_CUR)
            left = rest - file.tell() - len(tag(100, LENGTH)) - 5
            file.write(tag(100, LENGTH) + varint(left, 5))
            file.truncate(rest)
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            assert scan(data, b"large.onnx").oversized == oversized


SHAPES = st.lists(st.integers(0, 9), max_size=3)
DTYPES = st.sampled_from(["float32", "float16", "int8", "int64", "bool", "float64", "uint16"])


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(SHAPES, DTYPES, st.booleans()), max_size=6),
    st.integers(1, 500),
    st.binary(min_size=1, max_size=200),
)
def test_any_tensors_are_restored(
    tensors: list[tuple[list[int], str, bool]], threshold: int, location: bytes
) -> None:
    made = []
    for index, (shape, dtype, raw) in enumerate(tensors):
        values = (np.arange(np.prod(shape, dtype=int)) % 2).reshape(shape).astype(dtype)
        tensor = numpy_onnx.from_array(values, f"w{index}")
        if not raw and dtype != "float16":
            tensor = helper.make_tensor(
                f"w{index}", tensor.data_type, shape, values.ravel().tolist()
            )
        made.append(tensor)
    content = initializers_of(*made)
    skeleton = scan(content, b"model.onnx", threshold=threshold)
    large = sum(len(tensor.raw_data) >= threshold for tensor in made)
    assert skeleton.externalized <= large
    if skeleton.model is not None:
        assert restored(skeleton.model, content) == ModelProto.FromString(content)
        other = scan(content, location, threshold=threshold)
        assert other.externalized == skeleton.externalized


def test_nodes_and_convolutions_are_counted() -> None:
    branch = models.graph([models.node("Conv", "x w", "c")], [], [models.tensor("c")])
    content = models.build(
        [
            models.node("Conv", "x w", "h"),
            models.node("ConvTranspose", "h w", "t"),
            models.node("If", "b", "y", then_branch=branch, else_branch=branch),
        ],
        [models.tensor("x"), models.tensor("w"), models.tensor("b", "bool")],
        [models.tensor("y")],
    )
    skeleton = scan(content, b"m")
    assert (skeleton.nodes, skeleton.convolutions) == (5, 3)


@pytest.mark.skipif(not page_cache.DROPS, reason="the system drops no file from memory")
def test_a_scan_of_a_mapped_file_reads_none_of_its_weights_from_the_disk(tmp_path):
    weights = [numpy_onnx.from_array(np.ones((1 << 19,), "f4"), f"w{n}") for n in range(16)]
    path = write(tmp_path / "model.onnx", initializers_of(*weights))
    page_cache.drop([path])
    with Mapping(path) as mapping, memoryview(mapping) as data:
        if mapping.resident() > 0:
            pytest.skip("the file system keeps files in memory")
        found = scan(data, b"model.onnx")
        assert mapping.resident() < mapping.nbytes // 32
    assert found.mapped_bytes == 16 << 21
