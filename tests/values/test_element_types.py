"""Types of elements that numpy itself does not have, and how they lie in memory."""

import ml_dtypes
import models
import numpy as np
import onnxruntime
import pytest
from models import TensorProto
from support import caught, ortmmap_session, run_python

EXTENSIONS = {
    "BFLOAT16": ml_dtypes.bfloat16,
    "FLOAT8E4M3FN": ml_dtypes.float8_e4m3fn,
    "FLOAT8E4M3FNUZ": ml_dtypes.float8_e4m3fnuz,
    "FLOAT8E5M2": ml_dtypes.float8_e5m2,
    "FLOAT8E5M2FNUZ": ml_dtypes.float8_e5m2fnuz,
    "INT4": ml_dtypes.int4,
    "UINT4": ml_dtypes.uint4,
}
NEWER = {"INT2": ml_dtypes.int2, "UINT2": ml_dtypes.uint2}  # opset 25, onnxruntime 1.24


def cast(source: int, target: int, opset: int = 21) -> bytes:
    return models.build(
        [models.node("Cast", "x", "y", to=target)],
        [models.tensor("x", source)],
        [models.tensor("y", target)],
        opset=opset,
    )


def values(dtype: np.dtype, count: int) -> np.ndarray:
    return (np.arange(count) % 4).astype("f4").astype(dtype)


@pytest.mark.parametrize("count", [0, 1, 2, 7, 64])
@pytest.mark.parametrize("name", EXTENSIONS)
def test_elements_of_ml_dtypes_go_in_and_come_out(name, count):
    dtype, element = np.dtype(EXTENSIONS[name]), getattr(TensorProto, name)
    given = values(dtype, count)
    (floats,) = ortmmap_session(cast(element, TensorProto.FLOAT)).run(None, {"x": given})
    np.testing.assert_array_equal(floats, given.astype("f4"))
    (back,) = ortmmap_session(cast(TensorProto.FLOAT, element)).run(None, {"x": floats})
    assert back.dtype == dtype
    np.testing.assert_array_equal(back.astype("f4"), floats)


@pytest.mark.parametrize("name", NEWER)
def test_elements_of_two_bits_go_in_and_come_out(name):
    if tuple(map(int, onnxruntime.__version__.split(".")[:2])) < (1, 24):
        pytest.skip("this onnxruntime has no such type")
    dtype, element = np.dtype(NEWER[name]), getattr(TensorProto, name)
    given = np.array([0, 1, 1, 0, 1], "f4")
    (packed,) = ortmmap_session(cast(TensorProto.FLOAT, element, 25)).run(None, {"x": given})
    assert packed.dtype == dtype
    (floats,) = ortmmap_session(cast(element, TensorProto.FLOAT, 25)).run(None, {"x": packed})
    np.testing.assert_array_equal(floats, given)


def test_integers_of_four_bits_keep_their_sign():
    session = ortmmap_session(cast(TensorProto.FLOAT, TensorProto.INT4))
    (signed,) = session.run(None, {"x": np.arange(-8, 8, dtype="f4")})
    assert signed.astype(int).tolist() == list(range(-8, 8))
    (floats,) = ortmmap_session(cast(TensorProto.INT4, TensorProto.FLOAT)).run(None, {"x": signed})
    assert floats.tolist() == list(range(-8, 8))


@pytest.mark.parametrize("name", ["BFLOAT16", "INT4"])
def test_a_tensor_without_dimensions_goes_in_and_comes_out(name):
    given = np.array(1).astype(EXTENSIONS[name])
    (result,) = ortmmap_session(cast(getattr(TensorProto, name), 1)).run(None, {"x": given})
    assert (result.shape, result.item()) == ((), 1.0)


def test_strided_elements_of_ml_dtypes_are_copied():
    given = values(np.dtype(ml_dtypes.bfloat16), 8).reshape(2, 4).T[::2]
    (floats,) = ortmmap_session(cast(TensorProto.BFLOAT16, 1)).run(None, {"x": given})
    np.testing.assert_array_equal(floats, given.astype("f4"))


def test_the_wrong_type_of_ml_dtypes_is_named():
    session = ortmmap_session(cast(TensorProto.BFLOAT16, 1))
    error = caught(session.run, None, {"x": values(np.dtype(ml_dtypes.float8_e5m2), 3)})
    assert isinstance(error, ValueError)
    assert "float8e5m2" in str(error)
    assert "bfloat16" in str(error)


def test_without_ml_dtypes_the_package_to_install_is_named(tmp_path):
    (tmp_path / "model.onnx").write_bytes(cast(1, TensorProto.BFLOAT16))
    code = """
import sys
sys.modules["ml_dtypes"] = None
import numpy as np, ortmmap
session = ortmmap.Session(sys.argv[1])
try:
    session.run(None, {"x": np.ones(2, "f4")})
except NotImplementedError as error:
    assert "pip install" in str(error) and "ml_dtypes" in str(error)
else:
    raise SystemExit("no error")
"""
    run_python(code, tmp_path / "model.onnx")


def test_ml_dtypes_is_imported_only_when_it_is_needed(onnx_file):
    code = """
import sys
import numpy as np, ortmmap
ortmmap.Session(sys.argv[1]).run(None, {"x": np.ones((1, 8), "f4")})
assert "ml_dtypes" not in sys.modules
"""
    run_python(code, onnx_file)
