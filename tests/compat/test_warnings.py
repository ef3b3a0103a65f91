"""Warnings point at the line that called, whether onnxruntime is patched or not."""

import inspect
import warnings
from collections.abc import Callable, Iterator
from types import ModuleType

import models
import numpy as np
import onnxruntime
import pytest

import ortmmap

MODEL = models.affine()
X = np.ones((2, 8), "f4")


@pytest.fixture
def patched() -> Iterator[None]:
    with ortmmap.patch_onnxruntime(threshold=0):
        yield


def places(call: Callable[[], object]) -> list[tuple[str, int]]:
    """Return the file and line that each warning of a call points at."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    assert caught
    return [(warning.filename, warning.lineno) for warning in caught]


def line_of(call: Callable) -> tuple[str, int]:
    return __file__, inspect.getsourcelines(call)[1]


def with_provider(ort: ModuleType) -> object:
    options = ort.SessionOptions()
    options.add_provider("CPUExecutionProvider", {})
    return options


# Each call stands in one line: the one that the warning should point at.
OPENINGS: dict[str, Callable[[ModuleType], Callable]] = {
    "unknown provider": lambda ort: lambda: ort.InferenceSession(MODEL, providers=["Nonsense"]),
    "absent provider": lambda ort: (
        lambda: ort.InferenceSession(MODEL, providers=["CUDAExecutionProvider"])
    ),
    "provider named twice": lambda ort: (
        lambda: ort.InferenceSession(MODEL, None, ["CPUExecutionProvider"] * 2)
    ),
    "malformed providers": lambda ort: lambda: ort.InferenceSession(MODEL, providers=[3]),
    "unknown argument": lambda ort: lambda: ort.InferenceSession(MODEL, nothing=1),
    "providers of the options": lambda ort: (
        lambda: ort.InferenceSession(MODEL, with_provider(ort), ["CPUExecutionProvider"])
    ),
}


@pytest.mark.parametrize("kind", OPENINGS)
def test_opening_warns_of_the_callers_line(kind):
    call = OPENINGS[kind](ortmmap)
    assert places(call) == [line_of(call)]


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("kind", OPENINGS)
def test_opening_warns_of_the_callers_line_under_the_patch(kind):
    call = OPENINGS[kind](onnxruntime)
    assert places(call) == [line_of(call)]


@pytest.mark.usefixtures("patched")
def test_a_subclass_warns_of_the_line_that_opens_its_session():
    class Mine(onnxruntime.InferenceSession):
        def __init__(self) -> None:
            super().__init__(MODEL, providers=["Nonsense"])

    assert places(Mine) == [(__file__, line_of(Mine.__init__)[1] + 1)]


@pytest.mark.parametrize("ort", ["onnxruntime", "ortmmap"])
@pytest.mark.usefixtures("patched")
def test_setting_providers_warns_of_the_callers_line(ort):
    module = {"onnxruntime": onnxruntime, "ortmmap": ortmmap}[ort]
    session = module.InferenceSession(MODEL)
    call = lambda: session.set_providers(["CUDAExecutionProvider"])  # noqa: E731
    assert places(call) == [line_of(call)]


@pytest.mark.usefixtures("patched")
def test_options_of_onnxruntimes_warn_of_the_callers_line():
    options = onnxruntime.SessionOptions()
    options.enable_mem_reuse = False
    call = lambda: onnxruntime.InferenceSession(MODEL, options)  # noqa: E731
    assert places(call) == [line_of(call)]


@pytest.mark.usefixtures("patched")
def test_run_options_of_onnxruntimes_warn_of_the_callers_line():
    options = onnxruntime.RunOptions()
    options.only_execute_path_to_fetches = True
    session = onnxruntime.InferenceSession(MODEL)
    call = lambda: session.run(None, {"x": X}, options)  # noqa: E731
    assert places(call) == [line_of(call)]
