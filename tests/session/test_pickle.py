"""Sessions and mappings on their way to other processes: a path and options travel."""

import copy
import os
import pickle
from pathlib import Path

import models
import numpy as np
import pytest
from support import ask_python, assert_same, caught, maps, ortmmap_session, run_python, to_ort

import ortmmap

FEED = {"x": np.arange(16, dtype="f4").reshape(2, 8)}
MODULES = ("pickle", "cloudpickle")


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("module", MODULES)
def test_a_session_travels_as_path_and_options(ort_file, module, protocol):
    pickler = pytest.importorskip(module)
    session = ortmmap_session(ort_file)
    text = pickler.dumps(session, protocol)
    assert len(text) < 1000
    other = pickle.loads(text)
    assert_same(other.run(None, FEED), session.run(None, FEED))
    assert type(other) is ortmmap.Session
    assert other.get_session_options().intra_op_num_threads == 1
    assert len(maps(ort_file)) == 2


@pytest.mark.parametrize(
    "make",
    [
        lambda model, _: model,
        lambda model, _: to_ort(model),
        lambda model, _: bytearray(to_ort(model)),
        lambda model, _: memoryview(to_ort(model)),
        lambda model, _: np.frombuffer(to_ort(model), "u1"),
        lambda _, path: ortmmap.Mapping(path),
    ],
    ids=["onnx", "ort", "bytearray", "memoryview", "array", "mapping"],
)
@pytest.mark.parametrize("protocol", [4, 5])
def test_a_session_of_a_buffer_travels_with_its_bytes(ort_file, make, protocol):
    session = ortmmap_session(make(models.affine(), ort_file))
    other = pickle.loads(pickle.dumps(session, protocol))
    assert_same(other.run(None, FEED), session.run(None, FEED))


def test_a_buffer_travels_out_of_band():
    content = np.frombuffer(to_ort(models.affine()), "u1")
    buffers = []
    text = pickle.dumps(ortmmap_session(content), 5, buffer_callback=buffers.append)
    assert len(text) < 1000
    assert [buffer.raw().nbytes for buffer in buffers] == [content.nbytes]
    assert pickle.loads(text, buffers=buffers).run(None, FEED)


def test_a_buffer_that_is_not_kept_says_so():
    session = ortmmap_session(bytearray(models.affine()))
    with pytest.raises(TypeError, match="bytes"):
        pickle.dumps(session)


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy])
def test_a_copy_shares_the_mapping(ort_file, make):
    session = ortmmap_session(ort_file)
    expected = session.run(None, FEED)
    other = make(session)
    assert len(maps(ort_file)) == 1
    session.close()
    assert_same(other.run(None, FEED), expected)
    other.close()
    assert maps(ort_file) == []


@pytest.mark.parametrize("source", ["onnx_file", "ort_file"])
def test_a_copy_is_of_the_file_that_was_opened(source, request):
    """A file that took its place since is not looked at."""
    path = request.getfixturevalue(source)
    session = ortmmap_session(path)
    expected = session.run(None, FEED)
    path.unlink()
    if source == "ort_file":
        assert_same(copy.copy(session).run(None, FEED), expected)
    else:
        error = caught(copy.copy, session)
        assert isinstance(error, ortmmap.errors.NoSuchFile)
        assert str(path) in str(error)


def test_options_providers_and_cache_travel(ort_file, tmp_path):
    options = ortmmap.SessionOptions()
    options.intra_op_num_threads = 2
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_free_dimension_override_by_name("n", 2)
    session = ortmmap.Session(
        ort_file,
        options,
        providers=[("CPUExecutionProvider", {})],
        cache=tmp_path / "cache",
        disabled_optimizers=["MatMulAddFusion"],
        prefault=True,
    )
    other = pickle.loads(pickle.dumps(session))
    assert repr(other._settings()) == repr(session._settings())
    got = other.get_session_options()
    assert got.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert list(got._changed()) == list(options._changed())


def test_a_relative_path_travels_as_an_absolute_one(ort_file, monkeypatch):
    monkeypatch.chdir(ort_file.parent)
    text = pickle.dumps(ortmmap_session(ort_file.name))
    monkeypatch.chdir("/")
    assert pickle.loads(text).run(None, FEED)


def test_a_subclass_travels_with_its_attributes(ort_file):
    session = Tagged(ort_file)
    session.tag = "mine"
    other = pickle.loads(pickle.dumps(session))
    assert type(other) is Tagged
    assert other.tag == copy.copy(session).tag == "mine"


class Tagged(ortmmap.Session):
    pass


def test_a_file_that_is_gone_says_so(ort_file):
    text = pickle.dumps(ortmmap_session(ort_file))
    ort_file.unlink()
    with pytest.raises(ortmmap.errors.NoSuchFile, match=str(ort_file)):
        pickle.loads(text)


@pytest.mark.parametrize("change", ["size", "time"])
@pytest.mark.parametrize("what", ["session", "mapping"])
def test_a_file_that_has_changed_says_what_it_is_now(ort_file, change, what):
    source = ortmmap_session(ort_file) if what == "session" else ortmmap.Mapping(ort_file)
    text = pickle.dumps(source)
    before = ort_file.stat()
    if change == "size":
        ort_file.write_bytes(ort_file.read_bytes() + b"\0")
    else:
        os.utime(ort_file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    after = ort_file.stat()
    with pytest.raises(ortmmap.errors.ModelChangedError) as raised:
        pickle.loads(text)
    for text in (str(ort_file), str(before.st_size), str(after.st_size), str(after.st_mtime_ns)):
        assert text in str(raised.value)


def test_external_data_must_be_what_it_was(tmp_path):
    path, data = models.external(tmp_path)
    text = pickle.dumps(ortmmap_session(path))
    assert pickle.loads(text)
    os.utime(data, ns=(0, 0))
    with pytest.raises(ortmmap.errors.ModelChangedError, match=data.name):
        pickle.loads(text)


def test_a_closed_session_does_not_travel(ort_file):
    session = ortmmap_session(ort_file)
    session.close()
    for send in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(ValueError, match="closed"):
            send(session)


def test_a_mapping_travels_as_a_path(ort_file):
    mapping = ortmmap.Mapping(ort_file, prefault=True)
    other = pickle.loads(pickle.dumps(mapping))
    assert bytes(other) == bytes(mapping)
    assert other.path == mapping.path
    mapping.close()
    with pytest.raises(ValueError, match="closed"):
        pickle.dumps(mapping)


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
@pytest.mark.parametrize("source", ["onnx_file", "ort_file"])
def test_processes_of_multiprocessing_map_the_same_file(source, method, request):
    """`spawn` starts another interpreter, which is given this module by its path."""
    path = request.getfixturevalue(source)
    code = """
import json, multiprocessing, sys
sys.path.insert(0, sys.argv[3])
import test_pickle
from support import ortmmap_session
if __name__ == "__main__":
    session = ortmmap_session(sys.argv[2])
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        answers = pool.map(test_pickle.run_and_tell, [session] * 4)
    expected = test_pickle.run_and_tell(session)
    assert all(answer[0] == expected[0] for answer in answers)
    assert not any(answer[1] == expected[1] for answer in answers)
    print(json.dumps(len(answers)))
"""
    assert ask_python(code, method, path, Path(__file__).parent, timeout=300) == 4


def run_and_tell(session: ortmmap.Session) -> tuple:
    (output,) = session.run(None, FEED)
    return output.tobytes(), os.getpid()


def test_joblib_sends_sessions_to_its_workers(ort_file):
    pytest.importorskip("joblib")
    code = """
import sys
import joblib
import numpy as np
import ortmmap
def work(session, x):
    return session.run(None, {"x": x})[0]
session = ortmmap.Session(sys.argv[1])
x = np.ones((2, 8), "f4")
answers = joblib.Parallel(n_jobs=2)(joblib.delayed(work)(session, x) for _ in range(6))
assert all((answer == work(session, x)).all() for answer in answers)
"""
    run_python(code, ort_file, env={"PYTHONWARNINGS": "default"}, timeout=300)


def test_a_session_of_the_patched_class_travels(ort_file):
    """It arrives as onnxruntime's name where that is patched, and as ours where it is not."""
    code = """
import pickle, sys
import numpy as np, onnxruntime, ortmmap
with ortmmap.patch_onnxruntime(threshold=0):
    session = onnxruntime.InferenceSession(sys.argv[1])
    text = pickle.dumps(session)
    other = pickle.loads(text)
    assert type(other) is type(session), type(other)
    assert other._model_path == session._model_path
other = pickle.loads(text)
assert type(other) is ortmmap.Session, type(other)
other.run(None, {"x": np.ones((2, 8), "f4")})
"""
    run_python(code, ort_file)
