"""What a program does after a session was opened changes neither the session nor the cache."""

import os
import sys
from pathlib import Path

import models
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from support import assert_same, configured, run_python

import ortmmap

WIDTH = 512
FEED = {"x": np.ones((2, WIDTH), "f4")}


def write(folder: Path, activation: str) -> Path:
    """Write a model with a free dimension and with external data."""
    weights = np.linspace(-1, 1, WIDTH * WIDTH, dtype="f4").reshape(WIDTH, WIDTH)
    graph = helper.make_graph(
        [models.node("MatMul", "x w", "h"), models.node(activation, "h", "y")],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", WIDTH])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", WIDTH])],
        [models.constant("w", weights)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    folder.mkdir()
    path = folder / "model.onnx"
    onnx.save(model, path, save_as_external_data=True, location="data", size_threshold=0)
    return path


@pytest.fixture
def model(tmp_path) -> Path:
    return write(tmp_path / "model", "Relu")


def options() -> ortmmap.SessionOptions:
    return configured(ortmmap.SessionOptions())


def opened(model: Path | str, folder: Path, **settings: object) -> ortmmap.Session:
    session = ortmmap.Session(model, options(), cache=folder, **settings)
    assert session.cached.wait(60)
    return session


def test_changed_options_are_those_of_other_sessions(model, tmp_path):
    theirs = options()
    session = ortmmap.Session(model, theirs, cache=tmp_path / "cache")
    theirs.add_free_dimension_override_by_name("batch", 4)
    theirs.logid = "changed"
    session.get_session_options().logid = "changed too"
    assert session.cached.wait(60)
    assert session.get_session_options().logid == ""
    later = opened(model, tmp_path / "cache")
    assert later.cached.state == "shared"
    assert later.get_inputs()[0].shape == ["batch", WIDTH]
    assert_same(later.run(None, FEED), session.run(None, FEED))


def test_the_cache_is_filled_from_the_model_that_a_relative_path_named(tmp_path, monkeypatch):
    one, other = (write(tmp_path / name, op) for name, op in (("one", "Relu"), ("other", "Neg")))
    expected = ortmmap.Session(one, options(), cache=False).run(None, FEED)
    monkeypatch.chdir(one.parent)
    session = ortmmap.Session("model.onnx", options(), cache=tmp_path / "cache")
    monkeypatch.chdir(other.parent)
    assert session.cached.wait(60)
    later = opened(one, tmp_path / "cache")
    assert later.cached.state == "shared"
    assert_same(later.run(None, FEED), expected)
    assert_same(session.run(None, FEED), expected)


@pytest.mark.skipif(sys.platform == "win32", reason="the current folder cannot be removed")
def test_an_absolute_path_needs_no_current_folder(model, tmp_path, monkeypatch):
    expected = ortmmap.Session(model, options(), cache=False).run(None, FEED)
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for cache in (False, tmp_path / "cache"):
        session = ortmmap.Session(model, options(), cache=cache)
        assert_same(session.run(None, FEED), expected)
        session.cached.wait(60)


REOPENED = """
import os, sys
import numpy as np
import ortmmap

os.chdir(sys.argv[1])
options = ortmmap.SessionOptions()
options.intra_op_num_threads = 2
cache = sys.argv[2] if sys.argv[2] else False
session = ortmmap.Session("model.onnx", options, cache=cache)
session.cached.wait(60)
feed = {"x": np.ones((2, 512), "f4")}
expected = session.run(None, feed)[0].tobytes()
os.chdir("/")
import warnings
warnings.simplefilter("ignore")  # Python 3.12 warns of threads
child = os.fork()
if child == 0:
    os._exit(session.run(None, feed)[0].tobytes() != expected)
sys.exit(os.waitpid(child, 0)[1] != 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.parametrize("cached", [True, False])
def test_a_child_reopens_the_model_in_another_folder(model, tmp_path, cached):
    run_python(REOPENED, model.parent, tmp_path / "cache" if cached else "")
