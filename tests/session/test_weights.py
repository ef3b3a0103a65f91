"""Sessions of the cache's graphs, whose weights are used in one mapping of each file."""

from __future__ import annotations

from pathlib import Path

import large_models
import models
import numpy as np
import onnx
import onnx_zoo
import pytest
from onnx import TensorProto
from support import assert_same, configured, maps, onnxruntime_session, run_python

import ortmmap
import ortmmap.model.skeleton
import ortmmap.session.opening
from ortmmap.cache.store import Store
from ortmmap.session.filing import wait_for_all

LAYERS, WIDTH = 4, 256  # 1 MiB of weights
PLAIN = {"session.disable_prepacking": "1"}  # kernels read the weights themselves


def feed() -> dict[str, np.ndarray]:
    return {"h0": np.linspace(-1, 1, WIDTH, dtype="f4").reshape(1, WIDTH)}


def opened(path: Path, cache: object, **arguments: object) -> ortmmap.Session:
    """Open a session, and wait until the cache has what belongs to it."""
    options = configured(ortmmap.SessionOptions(), config=PLAIN)
    session = ortmmap.Session(path, options, cache=cache, **arguments)
    assert session.cached.wait(60)
    return session


def warm(path: Path, cache: object, **arguments: object) -> ortmmap.Session:
    opened(path, cache).close()
    return opened(path, cache, **arguments)


def expected(path: Path) -> list[np.ndarray]:
    return onnxruntime_session(path, config=PLAIN).run(None, feed())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "zoë 日.onnx"
    path.write_bytes(models.weights(LAYERS, WIDTH))
    return path


def with_external_data(folder: Path, location: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / location).parent.mkdir(parents=True, exist_ok=True)
    path = folder / "model.onnx"
    proto = onnx.load_from_string(models.weights(LAYERS, WIDTH))
    onnx.save(proto, path, save_as_external_data=True, location=location)
    return path


def graphs(folder: Path) -> list[str]:
    return [path.name for path in folder.glob("model-*/*.onnx")]


def test_the_weights_are_in_one_mapping_of_the_models_file(path, folder):
    assert len(maps(path)) == 0
    session = warm(path, folder)
    assert len(maps(path)) == 1
    assert_same(session.run(None, feed()), expected(path))
    assert graphs(folder) == ["graph.onnx"]


def test_opening_reads_no_page_of_a_model_that_the_cache_has(path, folder):
    path.write_bytes(models.weights(8, 512))
    opened(path, folder).close()
    session = opened(path, folder)
    assert size_of(path, "Rss") <= 2 << 20  # one access, of the format's identifier
    session.run(None, {"h0": np.zeros((1, 512), "f4")})
    assert size_of(path, "Rss") >= 8 << 20


def size_of(path: Path, name: str) -> int:
    """Return an entry of /proc/self/smaps in bytes, for the only mapping of a file."""
    [line] = maps(path)
    _, _, entry = Path("/proc/self/smaps").read_text().partition(f"{line}\n")
    found = dict(line.split(":", 1) for line in entry.splitlines()[:24] if ":" in line)
    return int(found[name].split()[0]) << 10


def test_a_renamed_copy_of_a_model_uses_its_graph(path, folder, tmp_path):
    opened(path, folder).close()
    assert wait_for_all(60)  # for the digest too, by which copies are found
    copy = tmp_path / "copy.onnx"
    copy.write_bytes(path.read_bytes())
    path.unlink()
    session = warm(copy, folder)  # the first session's thread finds out that it is the same model
    assert len(maps(copy)) == 1
    assert_same(session.run(None, feed()), expected(copy))
    assert len(Store(str(folder)).entries()) == 1


@pytest.mark.parametrize("location", ["weights.bin", "part/of the/model.data"])
def test_external_data_is_mapped_once(folder, tmp_path, location):
    path = with_external_data(tmp_path / "model", location)
    data = path.parent / location
    session = warm(path, folder)
    assert len(maps(data)) == 1
    assert session.memory().mapped == data.stat().st_size
    assert_same(session.run(None, feed()), expected(path))


def test_links_to_a_model_and_its_data_as_in_a_hubs_cache(folder, tmp_path):
    path = with_external_data(tmp_path / "snapshots" / "x", "model.onnx_data")
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    for file in list(path.parent.iterdir()):
        file.rename(blobs / f"hash of {file.name}")
        file.symlink_to(Path("..", "..", "blobs", f"hash of {file.name}"))
    session = warm(path, folder)
    assert len(maps(blobs / "hash of model.onnx_data")) == 1
    assert_same(session.run(None, feed()), expected(path))
    assert graphs(folder) == ["graph.onnx"]


def test_prefaulting_and_locking_act_on_what_kernels_read(path, folder):
    session = warm(path, folder, prefault=True, lock=True)
    assert size_of(path, "Rss") == size_of(path, "Locked") == size_of(path, "Size")
    assert_same(session.run(None, feed()), expected(path))


def test_an_external_file_of_another_time_is_not_used(folder, tmp_path):
    path = with_external_data(tmp_path / "model", "data")
    opened(path, folder).close()
    data = path.parent / "data"
    (np.fromfile(data, "f4") * 2).tofile(data)
    session = opened(path, folder)
    assert_same(session.run(None, feed()), expected(path))
    assert len(Store(str(folder)).entries()) == 2


def test_external_data_that_is_truncated_meanwhile_raises(folder, tmp_path):
    path = with_external_data(tmp_path / "model", "data")
    code = """
import os, sys, numpy as np, ortmmap
from support import caught, configured
path, cache = sys.argv[1:]
options = configured(ortmmap.SessionOptions(), config={"session.disable_prepacking": "1"})
for _ in range(2):
    session = ortmmap.Session(path, options, cache=cache)
    assert session.cached.wait(60)
feed = {"h0": np.linspace(-1, 1, 256, dtype="f4").reshape(1, 256)}
session.run(None, feed)
data = os.path.join(os.path.dirname(path), "data")
os.truncate(data, 4096)
error = caught(session.run, None, feed)
assert isinstance(error, ortmmap.errors.ModelChangedError) and data in str(error), repr(error)
"""
    run_python(code, path, folder)


def square(name: str) -> TensorProto:
    return onnx_zoo.weight(name, 1, (64, 64))


def transposing() -> bytes:
    """Build a sum whose weight an optimizer transposes under its name."""
    nodes = [
        models.node("Transpose", "x", "t", perm=[1, 0]),
        models.node("Add", "t b", "a"),
        models.node("Transpose", "a", "y", perm=[1, 0]),
    ]
    made = onnx_zoo.model(nodes, [square("b")], output_shape=[64, 64])
    for value in made.graph.input[0].type.tensor_type.shape.dim:
        value.dim_value = 64
    return made.SerializeToString()


def test_a_weight_that_an_optimizer_transposes_under_its_name(folder, tmp_path):
    """ONNX Runtime would take a value by name for what the optimizer has made of it."""
    path = tmp_path / "model.onnx"
    path.write_bytes(transposing())
    x = {"x": np.arange(64 * 64, dtype="f4").reshape(64, 64)}
    wanted = onnxruntime_session(path).run(None, x)
    for cache in (False, folder, folder):
        session = ortmmap.Session(path, configured(ortmmap.SessionOptions()), cache=cache)
        assert_same(session.run(None, x), wanted)
        session.cached.wait(60)


@pytest.fixture
def every_tensor(monkeypatch) -> None:
    """Leave tensors of any size in their files."""
    monkeypatch.setattr(ortmmap.model.skeleton, "DEFAULT_THRESHOLD", 1)
    monkeypatch.setattr(ortmmap.session.opening, "DEFAULT_THRESHOLD", 1)


def cases() -> dict[str, object]:
    found = {f"catalogue {name}": lambda case=case: case for name, case in CATALOGUE.items()}
    for name in onnx_zoo.CASES:
        found[f"place {name}"] = lambda name=name: zoo(onnx_zoo.CASES[name]())
    for number in onnx_zoo.DATA_TYPES:
        name = TensorProto.DataType.Name(number)
        found[f"type {name}"] = lambda number=number: zoo(onnx_zoo.of_type(number))
    return found


def zoo(case: onnx_zoo.Case) -> tuple[bytes, dict]:
    return case.content, case.feeds


CATALOGUE = models.catalogue()
CASES = cases()


@pytest.mark.usefixtures("every_tensor")
@pytest.mark.parametrize("name", CASES)
def test_tensors_of_every_size_type_and_place(name, folder, tmp_path):
    content, feeds = CASES[name]()
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    try:
        wanted = onnxruntime_session(path).run(None, feeds)
    except Exception:
        with pytest.raises(ortmmap.errors.OrtError):
            ortmmap.Session(path, configured(ortmmap.SessionOptions()), cache=folder)
        return
    for _ in range(2):
        session = ortmmap.Session(path, configured(ortmmap.SessionOptions()), cache=folder)
        assert session.cached.wait(60)
        assert_same(session.run(None, feeds), wanted)
        session.close()


@pytest.mark.usefixtures("every_tensor")
@pytest.mark.parametrize("name", large_models.CASES)
def test_large_models_with_every_tensor_in_its_file(name, folder, tmp_path):
    content, feeds = large_models.CASES[name]()
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    wanted = onnxruntime_session(path).run(None, feeds)
    for _ in range(2):
        session = ortmmap.Session(path, configured(ortmmap.SessionOptions()), cache=folder)
        assert session.cached.wait(60)
        assert_same(session.run(None, feeds), wanted)
        session.close()
