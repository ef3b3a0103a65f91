"""Arrays of numpy's void type are strings of a fixed length, as in onnxruntime."""

import models
import numpy as np
import onnxruntime
import pytest
from support import assert_same, caught, onnxruntime_session, ortmmap_session

import ortmmap
from ortmmap.errors import InvalidArgument

MODEL = models.identity(object)

ARRAYS = {
    "words": np.array([b"four", b"word"], np.void),
    "matrix": np.array([b"four", b"word", b"same", b"size"], np.void).reshape(2, 2),
    "no dimension": np.array(b"four", np.void),
    "ending with NUL": np.array([b"fo\0\0", b"word"], np.void),
    "with NUL inside": np.array([b"f\0ur", b"word"], np.void),
    "UTF-8": np.array(["é1é".encode(), b"abcde"], np.void),
    "only NUL": np.zeros(2, "V3"),
    "no characters": np.zeros(2, "V0"),
    "no elements": np.zeros(0, "V3"),
    "not contiguous": np.array([b"four", b"word", b"same"], np.void)[::-2],
    "Fortran order": np.asfortranarray(np.array([[b"four", b"word"], [b"same", b"size"]], np.void)),
    "structs": np.array([(1, b"ab"), (2, b"c")], "i2,S2"),
    "records": np.rec.array([(1, 2)], dtype="i2,i2"),
}


def run(session: object, array: np.ndarray) -> object:
    return session.run(None, {"x": array})[0]


@pytest.mark.parametrize("kind", ARRAYS)
def test_a_void_array_feeds_strings(kind):
    array = ARRAYS[kind]
    assert_same(run(ortmmap_session(MODEL), array), run(onnxruntime_session(MODEL), array))


def test_a_void_array_is_bound():
    session = ortmmap_session(MODEL)
    binding = session.io_binding()
    binding.bind_cpu_input("x", ARRAYS["words"])
    binding.bind_output("y")
    session.run_with_iobinding(binding)
    assert_same(binding.copy_outputs_to_cpu()[0], run(onnxruntime_session(MODEL), ARRAYS["words"]))


def test_bytes_that_are_no_utf8_are_refused_when_read():
    array = np.array([b"\xff\xfe"], np.void)
    errors = [caught(run, make(MODEL), array) for make in (onnxruntime_session, ortmmap_session)]
    assert [type(error) for error in errors] == [UnicodeDecodeError] * 2


def test_a_void_array_feeds_no_numbers():
    model = models.identity()
    for make in (onnxruntime_session, ortmmap_session):
        assert isinstance(caught(run, make(model), ARRAYS["words"]), Exception)


def test_onnxruntime_makes_no_value_of_a_void_array():
    for module in (onnxruntime, ortmmap):
        made = caught(module.OrtValue.ortvalue_from_numpy, ARRAYS["words"])
        assert made is None or isinstance(made, RuntimeError)


def test_objects_within_structs_are_not_read_as_bytes():
    """onnxruntime reads the addresses of the objects."""
    error = caught(run, ortmmap_session(MODEL), np.array([(1, None)], "i4,O"))
    assert isinstance(error, InvalidArgument)
