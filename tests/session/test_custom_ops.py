"""Libraries of custom operators: with the cache, and without."""

import json
import shutil
from pathlib import Path

import models
import numpy as np
import onnx
import onnxruntime
import pytest
from support import ask_python, configured

import ortmmap
from ortmmap.cache.store import Store

extensions = pytest.importorskip("onnxruntime_extensions")

LAYERS, WIDTH = 4, 256  # 1 MiB of weights, each of them prepacked
DOMAIN = "ai.onnx.contrib"

OPEN = """
import json, sys, warnings
import numpy as np
import ortmmap
from support import configured
warnings.simplefilter("error")
path, library, cache = sys.argv[1:]
options = configured(ortmmap.SessionOptions())
options.register_custom_ops_library(library)
session = ortmmap.Session(path, options, cache=json.loads(cache))
feed = {"h0": np.linspace(-1, 1, 256, dtype="f4").reshape(1, 256)}
outputs = [output.tobytes().hex() for output in session.run(None, feed)]
print(json.dumps([outputs, session.memory()._asdict()]))
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """Build matrix products whose result goes through a custom operator."""
    path = tmp_path_factory.mktemp("models") / "custom.onnx"
    proto = onnx.load_from_string(models.weights(LAYERS, WIDTH))
    last = proto.graph.output.pop().name
    proto.graph.node.append(models.node("NegPos", last, "neg pos", domain=DOMAIN))
    proto.graph.output.extend(models.tensor(name) for name in ("neg", "pos"))
    proto.opset_import.append(onnx.helper.make_opsetid(DOMAIN, 1))
    onnx.save(proto, path)
    return path


@pytest.fixture(scope="module")
def expected(model) -> list[str]:
    options = configured(onnxruntime.SessionOptions())
    options.register_custom_ops_library(extensions.get_library_path())
    session = onnxruntime.InferenceSession(model, options)
    feed = {"h0": np.linspace(-1, 1, WIDTH, dtype="f4").reshape(1, WIDTH)}
    return [output.tobytes().hex() for output in session.run(None, feed)]


def opened(model: Path, cache: object, library: object = None) -> tuple[list[str], dict]:
    """Open and run in a fresh process; return the outputs and `memory()`."""
    library = library or extensions.get_library_path()
    return tuple(ask_python(OPEN, model, library, json.dumps(cache, default=str)))


def kinds(folder: Path) -> list[str]:
    return sorted(entry.kind for entry in Store(str(folder)).entries())


def test_a_model_of_custom_operators_is_cached_and_computes_the_same(model, expected, tmp_path):
    assert opened(model, False)[0] == expected
    cold, _ = opened(model, tmp_path)
    assert kinds(tmp_path) == ["model", "pages"]
    warm, memory = opened(model, tmp_path)
    assert cold == warm == expected
    assert (memory["shared_blocks"], memory["private_blocks"]) == (LAYERS, 0)
    assert memory["recognized_blocks"] == 0  # the operators may write to memory that they allocate
    assert kinds(tmp_path) == ["model", "pages"]


def test_the_cached_graph_is_the_optimized_one_with_its_custom_operators(model, tmp_path):
    opened(model, tmp_path)
    (graph,) = tmp_path.glob("model-*/graph.onnx")
    nodes = onnx.load(graph, load_external_data=False).graph.node
    assert [node.op_type for node in nodes if node.domain == DOMAIN] == ["NegPos"]


def test_another_library_has_entries_of_its_own(model, expected, tmp_path):
    opened(model, tmp_path / "cache")
    library = tmp_path / "copy.so"
    shutil.copy(extensions.get_library_path(), library)
    assert opened(model, tmp_path / "cache", library)[0] == expected
    assert kinds(tmp_path / "cache") == ["model", "model", "pages", "pages"]


def test_a_library_that_the_loader_searches_for_is_not_cached(tmp_path, monkeypatch):
    """Its file, which the key would have to name, is not known."""
    (tmp_path / "libops.so").write_bytes(b"1")
    monkeypatch.chdir(tmp_path)
    options = ortmmap.SessionOptions()
    options.register_custom_ops_library("libops.so")
    assert not options._is_cacheable()
    options = ortmmap.SessionOptions()
    options.register_custom_ops_library("./libops.so")
    assert options._is_cacheable()


def test_custom_operators_of_constants_are_computed_by_every_run(tmp_path):
    """A cached graph would otherwise keep the results of an operator that may change."""
    model = models.build(
        [
            models.node("NegPos", "c", "neg pos", domain=DOMAIN),
            models.node("Add", "x pos", "y"),
        ],
        [models.tensor("x", shape=[3])],
        [models.tensor("y", shape=[3])],
        [models.constant("c", np.array([-1, 0, 1], "f4"))],
    )
    proto = onnx.load_from_string(model)
    proto.opset_import.append(onnx.helper.make_opsetid(DOMAIN, 1))
    onnx.save(proto, tmp_path / "model.onnx")
    options = configured(
        ortmmap.SessionOptions(), optimized_model_filepath=tmp_path / "optimized.onnx"
    )
    options.register_custom_ops_library(extensions.get_library_path())
    ortmmap.Session(tmp_path / "model.onnx", options)
    optimized = onnx.load(tmp_path / "optimized.onnx")
    assert [node.op_type for node in optimized.graph.node] == ["NegPos", "Add"]
