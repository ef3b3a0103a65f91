"""Errors that programs look at begin with onnxruntime's text, and are caught as its exceptions."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import models
import numpy as np
import onnxruntime
import pytest
from support import caught, class_names

import ortmmap

MODEL = models.affine()
X = np.ones((2, 8), "f4")
LENGTH = 60  # of the beginning that is compared: long texts of pybind11's go on with its types

# A method in Python, whose errors have CPython's texts, would make each run take 0.1 to 1 µs more.
BY_CYTHON = "methods of an extension type raise errors with Cython's texts"


def quiet(ort: ModuleType) -> object:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    return options


def on(ort: ModuleType) -> SimpleNamespace:
    def open_session(source: object, *args: object, **kwargs: object) -> object:
        return ort.InferenceSession(source, quiet(ort), *args, enable_fallback=0, **kwargs)

    return SimpleNamespace(ort=ort, open=open_session, session=open_session(MODEL))


Call = Callable[[SimpleNamespace], object]

# Calls, and what is different as yet.
OPENING: dict[str, tuple[Call, str]] = {
    "empty path": (lambda on: on.open(""), ""),
    "absent file": (lambda on: on.open("/no/such/model.onnx"), ""),
    "absent path object": (lambda on: on.open(Path("/no/such/model.onnx")), ""),
    "folder": (lambda on: on.open("/"), ""),
    "file of text": (lambda on: on.open(__file__), ""),
    "bytes of text": (lambda on: on.open(b"no model"), ""),
    "no bytes": (lambda on: on.open(b""), ""),
    "None": (lambda on: on.open(None), ""),
    "number": (lambda on: on.open(5), ""),
    "no argument": (lambda on: on.ort.InferenceSession(), ""),
    "too many arguments": (lambda on: on.open(MODEL, None, None, 5), ""),
    "argument given twice": (lambda on: on.open(MODEL, path_or_bytes=MODEL), ""),
}
USING: dict[str, tuple[Call, str]] = {
    "unknown keyword": (lambda on: on.session.run(None, {"x": X}, nothing=1), BY_CYTHON),
    "no feed": (lambda on: on.session.run(None), BY_CYTHON),
    "too many arguments of run": (lambda on: on.session.run(None, {}, None, 5), BY_CYTHON),
    "argument of none": (lambda on: on.session.get_inputs(5), BY_CYTHON),
    "unknown output": (lambda on: on.session.run(["z"], {"x": X}), ""),
    "unknown input": (lambda on: on.session.run(None, {"x": X, "z": X}), ""),
    "missing input": (lambda on: on.session.run(None, {}), ""),
    "wrong type": (lambda on: on.session.run(None, {"x": X.astype("f8")}), ""),
    "wrong rank": (lambda on: on.session.run(None, {"x": X[0]}), ""),
    "wrong size": (lambda on: on.session.run(None, {"x": X[:, :3]}), ""),
    "unknown entry": (lambda on: on.ort.SessionOptions().get_session_config_entry("k"), ""),
    "unknown run entry": (lambda on: on.ort.RunOptions().get_run_config_entry("k"), ""),
}
CALLS = {**OPENING, **USING}


def cases() -> list:
    return [
        pytest.param(
            name, marks=[pytest.mark.xfail(strict=True, reason=reason)] if reason else [], id=name
        )
        for name, (_, reason) in CALLS.items()
    ]


@pytest.mark.parametrize("name", cases())
def test_an_error_begins_as_onnxruntimes(name):
    call, _ = CALLS[name]
    theirs, ours = caught(call, on(onnxruntime)), caught(call, on(ortmmap))
    assert type(theirs).__name__ in class_names(ours)
    assert str(ours).startswith(str(theirs).rstrip(".")[:LENGTH])


@pytest.mark.parametrize("name", CALLS)
def test_an_error_is_caught_as_onnxruntimes(name):
    call, _ = CALLS[name]
    assert type(caught(call, on(onnxruntime))).__name__ in class_names(caught(call, on(ortmmap)))


def test_unknown_keywords_of_a_session_are_no_error():
    assert onnxruntime.InferenceSession(MODEL, nothing=1).get_inputs()[0].name == "x"
    with pytest.warns(UserWarning, match="nothing"):
        assert ortmmap.InferenceSession(MODEL, nothing=1).get_inputs()[0].name == "x"
