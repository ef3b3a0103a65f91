"""Options that the C API cannot set are accepted with one warning, so that a service starts."""

import warnings
from collections.abc import Callable

import models
import numpy as np
import onnxruntime
import pytest

import ortmmap

MODEL = models.affine()
X = np.ones((2, 8), "f4")

SETTINGS = {
    "enable_mem_reuse": False,
    "execution_order": ortmmap.ExecutionOrder.PRIORITY_BASED,
}


def warned(call: Callable[[], object]) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [str(warning.message) for warning in caught]


@pytest.mark.parametrize("name", SETTINGS)
def test_a_session_option_is_kept_and_warned_of_once(name):
    options = ortmmap.SessionOptions()

    def set_and_open() -> None:
        setattr(options, name, SETTINGS[name])
        ortmmap.Session(MODEL, options)
        ortmmap.Session(MODEL, options)

    (text,) = warned(set_and_open)
    assert name in text
    assert getattr(options, name) == SETTINGS[name]


def test_a_run_option_is_kept_and_warned_of_once():
    options = ortmmap.RunOptions()
    session = ortmmap.Session(MODEL)

    def set_and_run() -> None:
        options.only_execute_path_to_fetches = True
        for _ in range(3):
            session.run(None, {"x": X}, options)

    (text,) = warned(set_and_run)
    assert "only_execute_path_to_fetches" in text
    assert options.only_execute_path_to_fetches is True


def test_a_run_option_of_onnxruntimes_is_warned_of_once():
    with ortmmap.patch_onnxruntime(threshold=0):
        options = onnxruntime.RunOptions()
        options.only_execute_path_to_fetches = True
        session = onnxruntime.InferenceSession(MODEL)
        texts = warned(lambda: [session.run(None, {"x": X}, options) for _ in range(3)])
    assert len(texts) == 1


@pytest.mark.parametrize("name", SETTINGS)
def test_a_process_is_warned_of_a_session_option_once(name):
    def set_in_many_options() -> None:
        for _ in range(3):
            setattr(ortmmap.SessionOptions(), name, SETTINGS[name])

    assert len(warned(set_in_many_options)) == 1


def test_a_process_is_warned_of_a_run_option_once():
    def set_in_many_options() -> None:
        for _ in range(3):
            ortmmap.RunOptions().only_execute_path_to_fetches = True

    assert len(warned(set_in_many_options)) == 1


@pytest.mark.parametrize("name", SETTINGS)
def test_the_default_may_be_set(name):
    options = ortmmap.SessionOptions()
    default = getattr(options, name)
    assert warned(lambda: setattr(options, name, default)) == []
    assert getattr(options, name) == default


@pytest.mark.parametrize(("name", "value"), [("enable_mem_reuse", "text"), ("execution_order", 99)])
def test_what_is_no_value_of_the_option_is_refused(name, value):
    with pytest.raises((TypeError, ValueError)):
        setattr(ortmmap.SessionOptions(), name, value)
