"""inspect and `python -m ortmmap info`: the contents of model files and their places."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import models
import numpy as np
import onnx
import onnx_zoo
import onnxruntime
import pytest
from onnx import TensorProto, helper
from support import caught, onnxruntime_session, to_ort

import ortmmap
from ortmmap.model.inspect import Initializer, Value, inspect

REPOSITORY = Path(__file__).resolve().parents[2]


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def large() -> bytes:
    """Make a model of x @ w + b + sum(c): w has 64 KiB, c has typed data."""
    c = helper.make_tensor("c", TensorProto.FLOAT, [2], [1.0, 2.0])
    return models.build(
        [
            models.node("MatMul", "x w", "h"),
            models.node("Add", "h b", "i"),
            models.node("ReduceSum", "c", "s"),
            models.node("Add", "i s", "y"),
        ],
        [models.tensor("x", "float32", ["n", 128])],
        [models.tensor("y", "float32", ["n", None])],
        [onnx_zoo.weight("w", shape=(128, 128)), onnx_zoo.weight("b", shape=(128,)), c],
        producer_name="tests",
        producer_version="7",
    )


def command(*arguments: object, **environment: str) -> subprocess.CompletedProcess:
    folders = os.pathsep.join([str(Path(ortmmap.__file__).parent.parent)])
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "ortmmap", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": folders, "COLUMNS": "80", **environment},
    )


def test_an_onnx_file(tmp_path: Path) -> None:
    content = large()
    found = inspect(write(tmp_path / "model.onnx", content))
    weight = onnx_zoo.weight("w", shape=(128, 128)).raw_data
    assert (found.format, found.ir_version, found.producer) == ("ONNX", 9, "tests 7")
    assert found.opsets == {"ai.onnx": 18, "ai.onnx.ml": 3}
    assert found.inputs == [Value("x", "tensor(float)", ["n", 128])]
    assert found.outputs == [Value("y", "tensor(float)", ["n", None])]
    assert (found.nodes, found.initializers, found.file_bytes) == (4, 3, len(content))
    assert (found.mapped_bytes, found.inline_bytes, found.external_bytes) == (65536, 520, 0)
    assert found.structure_bytes == len(content) - 65536 - 520
    offset = content.index(weight)
    assert found.largest == [
        Initializer("w", "float", [128, 128], 65536, "mapped", offset),
        Initializer("b", "float", [128], 512, "inline", found.largest[1].offset),
        Initializer("c", "float", [2], 8, "inline", None),
    ]
    assert sum(found.alignment.values()) == 1
    assert all(offset % multiple == 0 for multiple in found.alignment)
    assert "1 tensor " in found.session


def test_external_files(tmp_path: Path) -> None:
    made = onnx_zoo.initializers().model
    w = made.graph.initializer[0]
    w.ClearField("raw_data")
    w.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "ünï.bin"), ("offset", "64"), ("length", "256")):
        w.external_data.add(key=key, value=value)
    found = inspect(write(tmp_path / "model.onnx", made.SerializeToString()))
    assert found.external_files == ["ünï.bin"]
    assert found.external_bytes == 256
    assert Initializer("w", "float", [8, 8], 256, "external", 64, "ünï.bin") in found.largest
    assert "external" in found.session


@pytest.mark.parametrize("level", [0, 99])
def test_an_ort_file(tmp_path: Path, level: int) -> None:
    content = to_ort(large(), level)
    found = inspect(write(tmp_path / "model.ort", content))
    assert (found.format, found.ir_version, found.producer) == ("ORT", 9, "tests 7")
    assert found.opsets["ai.onnx"] == 18
    assert found.inputs == [Value("x", "tensor(float)", ["n", 128])]
    assert found.outputs[0].name == "y"
    assert found.mapped_bytes >= 65536
    assert found.structure_bytes + found.mapped_bytes + found.inline_bytes == len(content)
    w = found.largest[0]
    assert (w.dtype, w.dims, w.place) == ("float", [128, 128], "mapped")
    stored = np.frombuffer(content, np.float32, 128 * 128, w.offset)
    np.testing.assert_array_equal(np.sort(stored), np.sort(onnx_weight()))


def onnx_weight() -> np.ndarray:
    return np.frombuffer(onnx_zoo.weight("w", shape=(128, 128)).raw_data, np.float32)


@pytest.mark.parametrize("name", onnx_zoo.CASES)
@pytest.mark.parametrize("ort_format", [False, True])
def test_inputs_and_outputs_are_onnxruntimes(tmp_path: Path, name: str, ort_format: bool) -> None:
    content = onnx_zoo.CASES[name]().content
    try:
        content = to_ort(content, 0) if ort_format else content
        session = onnxruntime_session(content)
    except Exception:
        pytest.skip("not a model for onnxruntime")
    found = inspect(write(tmp_path / "model", content))
    for values, args in (
        (found.inputs, session.get_inputs()),
        (found.outputs, session.get_outputs()),
    ):
        assert [(value.name, value.type) for value in values] == [
            (arg.name, arg.type) for arg in args
        ]


@pytest.mark.parametrize(
    "entry",
    [
        models.tensor("v", "int64", []),
        models.tensor("v", "int64", ["n", None, 3]),
        models.tensor("v", "float16"),
        models.sequence("v", "float32"),
        models.optional("v", "float64"),
        helper.make_value_info(
            "v",
            helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(1, [])),
        ),
        helper.make_sparse_tensor_value_info("v", TensorProto.FLOAT, [2, "m"]),
    ],
)
def test_types_are_named_as_onnxruntime_names_them(tmp_path: Path, entry: object) -> None:
    content = models.build(
        [models.node("Identity", "x", "y")], [models.tensor("x"), entry], [models.tensor("y")]
    )
    found = inspect(write(tmp_path / "model.onnx", content)).inputs[1]
    try:
        session = onnxruntime_session(content)
    except onnxruntime.capi.onnxruntime_pybind11_state.Fail:
        assert found.type == "map(int64,tensor(float))"  # onnxruntime has no such inputs
        return
    expected = session.get_inputs()[1]
    assert found.type == expected.type
    if found.shape is not None:
        assert found.shape == expected.shape


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    path = write(tmp_path / "model.onnx", b"\xff" * 40)
    with pytest.raises(ortmmap.errors.InvalidProtobuf, match=r"at byte 0") as caught:
        inspect(path)
    assert str(path) in str(caught.value)
    with pytest.raises(FileNotFoundError):
        inspect(tmp_path / "missing.onnx")


def test_a_damaged_ort_file_is_refused_or_read(tmp_path: Path) -> None:
    content = to_ort(models.affine(), 0)
    path = tmp_path / "model.ort"
    wrong = struct.pack("<I", 0xFFFFFFF0)
    damaged = [
        content[:index] + wrong + content[index + 4 :]
        for index in [0, *range(8, len(content) - 4, 3)]
    ]
    damaged += [content[:size] for size in range(8, len(content), 7)]
    found = [caught(inspect, write(path, changed)) for changed in damaged]
    refused = [error for error in found if error is not None]
    assert len(refused) > 10
    for error in refused:
        assert isinstance(error, ortmmap.errors.InvalidProtobuf)
        assert str(path) in str(error)


def test_json(tmp_path: Path) -> None:
    path = write(tmp_path / "model.onnx", large())
    done = command("info", path, "--json", "--largest", 1)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads(json.dumps(inspect(path, largest=1).to_dict()))


def test_tables_that_are_piped_are_not_wrapped(tmp_path: Path) -> None:
    path = write(tmp_path / "model [bold].onnx", large())
    done = command("info", path)
    assert done.returncode == 0, done.stderr
    assert str(path) in done.stdout.splitlines()
    for part in ("tensor(float)", "n x 128", "65,536", "64.0 KiB", "128 x 128", "mapped"):
        assert part in done.stdout


@pytest.mark.parametrize("convert", [bytes, to_ort], ids=["ONNX", "ORT"])
def test_a_zip_map_is_noted_with_the_ways_around(tmp_path: Path, convert: Callable) -> None:
    path = write(tmp_path / "model", convert(models.zip_map(strings=True)))
    (note,) = inspect(path).notes
    for part in ('output "maps"', "{'zipmap': False}", 'make the tensor "x" an output'):
        assert part in note
    printed = " ".join(command("info", path).stdout.split())
    assert note in printed


def test_the_output_that_a_zip_map_reads_is_named(tmp_path: Path) -> None:
    proto = onnx.load_from_string(models.zip_map(strings=False))
    proto.graph.output.append(models.tensor("x", shape=["n", 3]))
    path = write(tmp_path / "model", proto.SerializeToString())
    (note,) = inspect(path).notes
    assert 'take output "x" instead' in note
    # What the note says works, and has the values of the dicts.
    maps, scores = ortmmap.Session(path).run(None, {"x": np.eye(3, dtype="f4")})
    assert [list(each.values()) for each in maps] == scores[:, [1, 0, 2]].tolist()


def test_other_models_have_no_notes(tmp_path: Path) -> None:
    for name, content in (("large", large()), ("sequences", models.sequences())):
        assert inspect(write(tmp_path / name, content)).notes == []


def test_errors_of_the_command(tmp_path: Path) -> None:
    path = write(tmp_path / "model.onnx", b"\xff" * 40)
    for arguments, said in (
        (("info", path), "at byte 0"),
        (("info", tmp_path / "missing"), "No such file"),
        (("info",), "Missing argument"),
    ):
        done = command(*arguments)
        assert done.returncode != 0
        assert said in done.stderr
        assert "Traceback" not in done.stderr
