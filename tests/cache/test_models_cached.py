"""Models of every kind through the cache: outputs equal those of the file, bit for bit."""

from __future__ import annotations

import re
from pathlib import Path

import large_models
import models
import numpy as np
import onnx_zoo
import pytest
from support import assert_same, configured, onnxruntime_session

import ortmmap
import ortmmap.session.optimizing
from ortmmap.cache import recognition
from ortmmap.cache.store import Store
from ortmmap.session.filing import wait_for_all

CATALOGUE = models.catalogue()


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let blocks be recognized whatever the size of weights is."""
    monkeypatch.setattr(recognition, "LEAST_BYTES", 1 << 16)
    monkeypatch.setattr(recognition, "LEAST_TOTAL", 0)


REFUSED = ("duplicate_of_small_constant", "duplicate_in_branch")  # ONNX Runtime refuses them too
# Models that some or all versions of ONNX Runtime cannot read back after writing them: weights of
# inner graphs as external data. Sessions are created from the model's own file.
UNREADABLE = {"duplicate_of_sparse"}
UNREADABLE_COPIES = UNREADABLE | {
    *("branch", "branch not", "branches", "nested_branches", "loop", "scan", "function_branches"),
    *("same_name_in_branches", "same_name_outside"),
}


@pytest.fixture(params=[False, True], ids=["in place", "copied"])
def copied(request, monkeypatch) -> bool:
    """Whether the cache stores all weights, as if the optimizer had rewritten all of them."""
    if request.param:
        monkeypatch.setattr(ortmmap.session.optimizing, "MOST_REWRITTEN", -1)
    return request.param


def model_files(folder: Path) -> list[str]:
    """Return the names of the files in the only entry of an optimized model."""
    [entry] = (found for found in Store(str(folder)).entries() if found.kind == "model")
    return sorted({path.name for path in Path(folder, entry.name).iterdir()} - {"header"})


def opened(path: Path, cache: object) -> ortmmap.Session:
    return ortmmap.Session(path, configured(ortmmap.SessionOptions()), cache=cache)


def check(path: Path, feeds: dict[str, np.ndarray], folder: Path) -> list[str]:
    """Compare sessions with no, an empty and a filled cache; return the files in the cache."""
    plain = opened(path, False)
    expected = plain.run(None, feeds)
    for _ in range(2):
        session = opened(path, folder)
        assert [arg.name for arg in session.get_inputs()] == [a.name for a in plain.get_inputs()]
        assert_same(session.run(None, feeds), expected)
        assert session.cached.wait(60)
        assert_same(session.run(None, feeds), expected)
        assert wait_for_all(60)  # the second session recognizes its blocks
    return model_files(folder)


def assert_kept(files: list[str], name: str, copied: bool) -> None:
    if not files:
        assert name in (UNREADABLE_COPIES if copied else UNREADABLE)
        return
    assert ("model.onnx" in files) == copied
    assert ("graph.onnx" in files) != copied


@pytest.mark.parametrize("name", CATALOGUE)
def test_models_of_the_catalogue(name, copied, tmp_path):
    content, feeds = CATALOGUE[name]
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    files = check(path, feeds, tmp_path / "cache")
    assert_kept(files, name, copied)


@pytest.mark.parametrize("name", [name for name in onnx_zoo.CASES if name not in REFUSED])
def test_models_with_weights_in_every_place(name, copied, tmp_path):
    case = onnx_zoo.CASES[name]()
    path = tmp_path / "model.onnx"
    path.write_bytes(case.content)
    assert_kept(check(path, case.feeds, tmp_path / "cache"), name, copied)


@pytest.mark.parametrize("name", large_models.CASES)
def test_kernels_share_the_weights_that_they_keep_in_a_form_of_their_own(name, tmp_path):
    content, feeds = large_models.CASES[name]()
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    expected = onnxruntime_session(path).run(None, feeds)
    assert any(output.any() for output in expected)
    for _ in range(2):
        session = opened(path, tmp_path / "cache")
        assert_same(session.run(None, feeds), expected)
        assert session.cached.wait(60)
        assert_same(session.run(None, feeds), expected)
        memory = session.memory()
        assert memory.private_blocks == 0
        if memory.shared_blocks == 0:
            assert large_models.may_be_read_in_place(name)
            continue
        assert memory.shared >= 1 << 17
        assert wait_for_all(60)


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_model_is_an_error_and_no_warning(name, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(onnx_zoo.CASES[name]().content)
    with pytest.raises(ortmmap.errors.OrtError) as plain:
        opened(path, False)
    with pytest.raises(type(plain.value), match=re.escape(str(plain.value))):
        opened(path, tmp_path / "cache")
    assert Store(str(tmp_path / "cache")).entries() == []
