"""A pinned model: recognized by workers, whose copy may be another file."""

import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import models
import pytest
from support import run_python

from ortmmap.engines import Predictor, digest, local_model, pinned
from ortmmap.engines.models import model_files
from ortmmap.errors import InvalidProtobuf, ModelChangedError, NoSuchFile


def test_the_same_file_is_not_read_again(onnx_file, monkeypatch):
    seen = pickle.loads(pickle.dumps(pinned(f"file://{onnx_file}")))
    monkeypatch.setattr("ortmmap.engines.models._digest_of", lambda *_: pytest.fail("read"))
    assert seen.expected() is None
    assert local_model(seen) == os.fspath(seen) == str(onnx_file)


def test_a_copy_of_another_time_is_compared_by_its_bytes(onnx_file):
    seen = pinned(onnx_file)
    os.utime(onnx_file, ns=(1, 1))
    assert seen.expected() == digest(onnx_file)
    assert local_model(seen) == str(onnx_file)


def test_another_version_is_an_error_that_names_file_expected_and_found(onnx_file):
    seen = pinned(onnx_file)
    onnx_file.write_bytes(models.affine(1))
    os.utime(onnx_file, ns=(1, 1))
    wanted = f"{onnx_file}: its digest is {digest(onnx_file)}.*started with {seen.digest}"
    for use in local_model, Predictor:
        with pytest.raises(ModelChangedError, match=wanted):
            use(seen)


def test_another_version_of_external_data_is_an_error(tmp_path):
    model, data = models.external(tmp_path)
    seen = pinned(model)
    data.write_bytes(bytes(data.stat().st_size))
    os.utime(data, ns=(1, 1))
    with pytest.raises(ModelChangedError):
        local_model(seen)


def test_a_model_that_a_worker_lacks_is_an_error(onnx_file):
    seen = pinned(onnx_file)
    onnx_file.unlink()
    assert seen.expected() == seen.digest
    with pytest.raises(NoSuchFile, match=str(onnx_file)):
        local_model(seen)


def test_a_url_is_pinned_by_its_bytes(tmp_path):
    fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")
    system = fsspec.filesystem("memory")
    system.pipe("/bucket/pinned.onnx", models.affine())
    seen = pinned("memory://bucket/pinned.onnx", cache=tmp_path)
    assert local_model(seen, cache=tmp_path).startswith(str(tmp_path))
    system.pipe("/bucket/pinned.onnx", models.affine(1))
    with pytest.raises(ModelChangedError, match=r"memory://bucket/pinned\.onnx: its digest is"):
        local_model(seen, cache=tmp_path)


def test_a_model_that_the_driver_cannot_read_is_an_error(tmp_path):
    with pytest.raises(NoSuchFile):
        pinned(tmp_path / "absent.onnx")
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(InvalidProtobuf):
        pinned(tmp_path / "model.onnx")


def test_a_model_that_stays_is_read_once_a_node(onnx_file, tmp_path, monkeypatch):
    monkeypatch.setattr("ortmmap.engines.models.SETTLED_NS", 0)
    wanted = digest(onnx_file, cache=tmp_path / "cache")
    with monkeypatch.context() as context:
        context.setattr("ortmmap.engines.models._digest_of", lambda *_: pytest.fail("read"))
        assert local_model(onnx_file, cache=tmp_path / "cache", digest=wanted) == str(onnx_file)
    times = onnx_file.stat()
    onnx_file.write_bytes(models.affine(1))  # of the same size
    os.utime(onnx_file, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(ModelChangedError):
        local_model(onnx_file, cache=tmp_path / "cache", digest=wanted)


def test_a_model_that_was_fetched_is_not_read_for_its_digest(tmp_path, monkeypatch):
    fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")
    fsspec.filesystem("memory").pipe("/bucket/fetched.onnx", models.affine())
    path = local_model("memory://bucket/fetched.onnx", cache=tmp_path)
    wanted = digest(path, cache=False)
    monkeypatch.setattr("ortmmap.engines.models._digest_of", lambda *_: pytest.fail("read"))
    assert pinned("memory://bucket/fetched.onnx", cache=tmp_path).digest == wanted
    assert digest(path, cache=tmp_path) == wanted


def test_the_files_of_a_model_are_listed_once(tmp_path, monkeypatch):
    model, _ = models.external(tmp_path)
    listed = []
    monkeypatch.setattr("ortmmap.engines.models.SETTLED_NS", 0)
    monkeypatch.setattr(
        "ortmmap.engines.models.model_files",
        lambda path, original=model_files: listed.append(path) or original(path),
    )
    for cache in (False, tmp_path / "cache"):
        listed.clear()
        pinned(model, cache=cache)
        assert listed == [str(model)]


def test_processes_that_pin_a_model_at_once_read_it_once(tmp_path, onnx_file):
    """The digest takes half a second here, in which all of them look for it."""
    code = """
import sys, time
from ortmmap.engines import models, pinned
models.SETTLED_NS = 0
original = models._digest_of
def slow(path, names):
    print("read", flush=True)
    time.sleep(0.5)
    return original(path, names)
models._digest_of = slow
print(pinned(sys.argv[1], cache=sys.argv[2]).digest)
"""
    with ThreadPoolExecutor(4) as pool:
        ended = [pool.submit(run_python, code, onnx_file, tmp_path / "cache") for _ in range(4)]
    lines = [line for one in ended for line in one.result().stdout.split()]
    assert lines.count("read") == 1
    assert lines.count(digest(onnx_file)) == 4
