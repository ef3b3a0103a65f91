"""`ortmmap.InferenceSession` in the place of onnxruntime's class: mocked, extended, asked for."""

import copy
import importlib
import inspect
import weakref
from types import ModuleType
from unittest import mock

import models
import numpy as np
import onnxruntime
import pytest

import ortmmap

MODEL = models.affine()
FEED = {"x": np.ones((2, 8), "f4")}
BOTH = pytest.mark.parametrize(
    "module",
    [pytest.param(onnxruntime, id="onnxruntime"), pytest.param(ortmmap, id="ortmmap")],
)


@BOTH
@pytest.mark.parametrize("name", ["run", "get_inputs", "__init__", "set_providers"])
def test_a_method_of_the_class_is_mocked(module: ModuleType, name: str):
    cls = module.InferenceSession
    before = getattr(cls, name)
    with mock.patch.object(cls, name, return_value=None) as mocked:
        assert getattr(cls(MODEL), name) is mocked
    assert getattr(cls, name) is before


@BOTH
def test_a_mocked_run_is_what_sessions_run(module):
    session = module.InferenceSession(MODEL)
    with mock.patch.object(module.InferenceSession, "run", return_value=7):
        assert session.run(None, FEED) == 7
    assert session.run(None, FEED)[0].shape == (2, 4)


@BOTH
def test_the_class_takes_an_attribute(module):
    session = module.InferenceSession(MODEL)
    module.InferenceSession.extra = 5
    try:
        assert session.extra == 5
    finally:
        del module.InferenceSession.extra
    assert not hasattr(session, "extra")


@BOTH
def test_a_session_takes_an_attribute_and_a_mock(module):
    session = module.InferenceSession(MODEL)
    session.extra = 5
    with mock.patch.object(session, "run", return_value=7):
        assert session.run(None, FEED) == 7
    assert (session.extra, session.run(None, FEED)[0].shape) == (5, (2, 4))


@BOTH
def test_the_class_is_mocked_in_its_module(module):
    with mock.patch.object(module, "InferenceSession") as mocked:
        assert module.InferenceSession("x") is mocked.return_value
    assert module.InferenceSession(MODEL).run(None, FEED)[0].shape == (2, 4)


@BOTH
def test_a_mock_has_the_methods_of_the_class(module):
    mocked = mock.create_autospec(module.InferenceSession)
    mocked.return_value.run.return_value = 7
    assert mocked(MODEL).run(None, FEED) == 7
    assert not hasattr(mocked.return_value, "nothing")


@BOTH
def test_a_subclass_overrides_a_method(module):
    class Counting(module.InferenceSession):
        runs = 0

        def run(self, *args: object, **kwargs: object) -> list:
            self.runs += 1
            return super().run(*args, **kwargs)

    session = Counting(MODEL, providers=["CPUExecutionProvider"])
    assert session.run(None, FEED)[0].shape == (2, 4)
    assert session.runs == 1


@BOTH
@pytest.mark.parametrize("make", ["session", "value", "binding", "options"])
def test_an_object_can_be_referred_to_weakly(module, make):
    session = module.InferenceSession(MODEL)
    made = {
        "session": session,
        "value": module.OrtValue.ortvalue_from_numpy(FEED["x"]),
        "binding": session.io_binding(),
        "options": module.SessionOptions(),
    }[make]
    assert weakref.ref(made)() is made


def test_the_class_has_onnxruntimes_name():
    session = ortmmap.InferenceSession(MODEL)
    theirs = onnxruntime.InferenceSession(MODEL)
    assert type(session).__name__ == type(theirs).__name__


def test_the_arguments_are_those_of_onnxruntimes_class():
    ours = inspect.signature(ortmmap.InferenceSession).parameters
    theirs = inspect.signature(onnxruntime.InferenceSession).parameters
    assert [name for name in theirs if name not in ours] == []
    assert list(ours)[: len(theirs) - 1] == list(theirs)[:-1]


def test_a_session_has_its_path(tmp_path):
    (tmp_path / "model.onnx").write_bytes(MODEL)
    path = str(tmp_path / "model.onnx")
    for source in (path, tmp_path / "model.onnx", MODEL):
        theirs = onnxruntime.InferenceSession(source)._model_path
        assert ortmmap.InferenceSession(source)._model_path == theirs


def test_a_copy_is_of_the_same_class():
    class Mine(ortmmap.InferenceSession):
        pass

    assert type(copy.copy(Mine(MODEL))) is Mine


# The version


def test_the_librarys_version_has_a_name():
    assert ortmmap.version == onnxruntime.__version__


def test_code_that_parses_the_version_gets_the_librarys():
    """``import ortmmap.onnxruntime as onnxruntime``: the same names, and the library's version."""
    module = importlib.import_module("ortmmap.onnxruntime")
    assert module.__version__ == onnxruntime.__version__
    assert module.InferenceSession is ortmmap.InferenceSession
