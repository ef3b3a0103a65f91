"""A model as a driver has seen it: recognized by workers, whose copy may be another file."""

import os
import pickle
import shutil

import models
import pytest

from ortmmap.engines import digest, local_model
from ortmmap.engines.seen import Seen
from ortmmap.errors import ModelChangedError


def test_the_same_file_is_not_read_again(onnx_file, monkeypatch):
    seen = pickle.loads(pickle.dumps(Seen.of(onnx_file)))
    monkeypatch.setattr("ortmmap.engines.seen.digest", lambda _: pytest.fail("read"))
    assert seen.expected(onnx_file) is None
    assert seen.expected(f"file://{onnx_file}") is None


def test_a_copy_of_another_time_is_compared_by_its_bytes(onnx_file, tmp_path):
    seen = Seen.of(onnx_file)
    copy = tmp_path / "copy.onnx"
    shutil.copyfile(onnx_file, copy)
    os.utime(copy, ns=(1, 1))
    assert seen.expected(copy) == digest(onnx_file)
    assert local_model(copy, digest=seen.expected(copy)) == str(copy)


def test_another_version_is_an_error(onnx_file):
    seen = Seen.of(onnx_file)
    onnx_file.write_bytes(models.affine(1))
    os.utime(onnx_file, ns=(1, 1))
    with pytest.raises(ModelChangedError, match=f"the job was started with {seen.digest}"):
        local_model(onnx_file, digest=seen.expected(onnx_file))


def test_another_version_of_external_data_is_an_error(tmp_path):
    model, data = models.external(tmp_path)
    seen = Seen.of(model)
    data.write_bytes(bytes(data.stat().st_size))
    os.utime(data, ns=(1, 1))
    with pytest.raises(ModelChangedError):
        local_model(model, digest=seen.expected(model))


def test_a_model_that_a_worker_lacks_is_left_to_its_opening(onnx_file):
    seen = Seen.of(onnx_file)
    onnx_file.unlink()
    assert seen.expected(onnx_file) == seen.digest


def test_a_model_that_the_driver_cannot_read_is_not_seen(tmp_path):
    assert Seen.of("memory://bucket/model.onnx") is None
    assert Seen.of(tmp_path / "absent.onnx") is None
    (tmp_path / "model.onnx").write_bytes(b"no model")
    assert Seen.of(tmp_path / "model.onnx") is None
