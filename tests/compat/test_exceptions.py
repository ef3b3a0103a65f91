"""ortmmap's exceptions are caught by the names of onnxruntime's."""

import pickle

import onnxruntime
import pytest
from support import ask_python

from ortmmap import errors

STATE = onnxruntime.capi.onnxruntime_pybind11_state


@pytest.mark.parametrize("cls", errors.BY_CODE.values(), ids=lambda cls: cls.__name__)
def test_an_error_is_caught_as_onnxruntimes(cls):
    with pytest.raises(getattr(STATE, cls.__name__)) as caught:
        raise cls("the text")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert type(copy) is type(caught.value) is cls
    assert str(copy) == "the text"


@pytest.mark.parametrize("order", ["onnxruntime, ortmmap", "ortmmap, onnxruntime"])
def test_the_order_of_imports_does_not_matter(order):
    code = f"""
import {order}, json
from ortmmap import errors
try:
    raise errors.from_status(2, "text")
except onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument as error:
    print(json.dumps(type(error).__name__))
"""
    assert ask_python(code) == "InvalidArgument"


def test_an_error_from_before_the_import_is_caught_too():
    code = """
import json, ortmmap
from ortmmap import errors
early = errors.Fail("early")
import onnxruntime
errors.Fail("later")
print(json.dumps(isinstance(early, onnxruntime.capi.onnxruntime_pybind11_state.Fail)))
"""
    assert ask_python(code) is True


def test_a_file_error_keeps_its_attributes_when_pickled():
    error = errors.system_error("cannot open", "/nothing", 2)
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.errno, copy.filename, copy.path, str(copy)) == (
        2,
        "/nothing",
        "/nothing",
        str(error),
    )
