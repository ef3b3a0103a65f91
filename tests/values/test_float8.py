"""Casts to and from the types of 8 bits, fed and read as arrays of ml_dtypes.

onnxruntime itself passes none of these between numpy and its library, or returns them as uint8.
"""

import ml_dtypes
import models
import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto
from support import caught, onnxruntime_session, ortmmap_session

NEWEST = tuple(map(int, onnxruntime.__version__.split(".")[:2])) >= (1, 32)

# By ONNX's name of the type: ml_dtypes' type, and the opset that casts to it.
TYPES = {
    "FLOAT8E4M3FN": (ml_dtypes.float8_e4m3fn, 19),
    "FLOAT8E4M3FNUZ": (ml_dtypes.float8_e4m3fnuz, 19),
    "FLOAT8E5M2": (ml_dtypes.float8_e5m2, 19),
    "FLOAT8E5M2FNUZ": (ml_dtypes.float8_e5m2fnuz, 19),
    "FLOAT8E8M0": (ml_dtypes.float8_e8m0fnu, 24),
}
VALUES = [1.0, 2.0, 4.0, 0.5]


def cases(*left_out: str) -> list:
    """Return the types that the library in use has, with each type to cast from or to."""
    known = [name for name in TYPES if NEWEST or name != "FLOAT8E8M0"]
    return [
        (name, other) for name in known for other in ("float32", "float16") if name not in left_out
    ]


def cast(source: object, target: object, opset: int) -> bytes:
    return models.build(
        [models.node("Cast", "x", "y", to=models.element_type(target))],
        [models.tensor("x", source, ["n"])],
        [models.tensor("y", target, ["n"])],
        opset=opset,
    )


@pytest.mark.parametrize(("name", "other"), cases())
def test_numbers_are_cast_to_the_type(name, other):
    dtype, opset = TYPES[name]
    model = cast(other, getattr(TensorProto, name), opset)
    x = np.array(VALUES, other)
    result = ortmmap_session(model).run(None, {"x": x})[0]
    assert result.dtype == dtype
    np.testing.assert_array_equal(result.view(np.uint8), x.astype(dtype).view(np.uint8))


@pytest.mark.parametrize(("name", "other"), cases())
def test_an_array_of_the_type_is_cast(name, other):
    dtype, opset = TYPES[name]
    model = cast(getattr(TensorProto, name), other, opset)
    result = ortmmap_session(model).run(None, {"x": np.array(VALUES, dtype)})[0]
    np.testing.assert_array_equal(result, np.array(VALUES, other))


@pytest.mark.parametrize(("name", "other"), cases("FLOAT8E8M0"))  # powers of 2 only, no signs
def test_the_bits_are_onnxruntimes_where_it_returns_any(name, other):
    """onnxruntime 1.32 returns float8e4m3fn as uint8, and refuses to return the other types."""
    dtype, opset = TYPES[name]
    model = cast(other, getattr(TensorProto, name), opset)
    x = np.array([*VALUES, 3.3, -7.25], other)
    ours = ortmmap_session(model).run(None, {"x": x})[0].view(np.uint8)
    session = onnxruntime_session(model)
    if caught(session.run, None, {"x": x}) is None:
        np.testing.assert_array_equal(session.run(None, {"x": x})[0].view(np.uint8), ours)
    else:
        np.testing.assert_array_equal(x.astype(dtype).view(np.uint8), ours)


@pytest.mark.skipif(not NEWEST, reason="onnxruntime 1.23 has no float8e8m0")
def test_a_negative_number_has_no_power_of_two():
    """ONNX Runtime gives the smallest, ml_dtypes NaN."""
    x = np.array([-7.25], "float32")
    (result,) = ortmmap_session(cast("float32", TensorProto.FLOAT8E8M0, 24)).run(None, {"x": x})
    assert result.view(np.uint8).tolist() == [0]
    assert x.astype(ml_dtypes.float8_e8m0fnu).view(np.uint8).tolist() == [255]
