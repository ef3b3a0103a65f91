"""The table of element types, and types that numpy itself does not have, packed ones too."""

import re
import subprocess
import sys

import ml_dtypes
import models
import numpy as np
import onnx
import onnxruntime
import pytest
from models import TensorProto
from support import (
    REPOSITORY,
    caught,
    ortmmap_session,
    run_python,
)

import ortmmap
from ortmmap.values.element_types import ELEMENT_TYPES, onnx_name

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
HAS_NEWER = tuple(map(int, onnxruntime.__version__.split(".")[:2])) >= (1, 24)


TABLE = {type_.name: type_ for type_ in ELEMENT_TYPES}
NUMBERED = [type_ for type_ in ELEMENT_TYPES if type_.ort_number is not None]
FIXED = [type_ for type_ in ELEMENT_TYPES if type_.name not in ("undefined", "string")]
UNSUPPORTED = {"complex64", "complex128"}  # by ONNX Runtime
if not HAS_NEWER:
    UNSUPPORTED |= {"float4e2m1", "float8e8m0", "int2", "uint2"}


def enumerators(header: str, prefix: str) -> dict[str, int]:
    text = (REPOSITORY / "include" / "ortmmap" / header).read_text()
    return {name: int(number) for name, number in re.findall(rf"{prefix}(\w+) = (\d+)", text)}


def test_every_element_type_has_all_its_columns():
    for column in ("name", "onnx_number"):
        assert len({getattr(type_, column) for type_ in ELEMENT_TYPES}) == len(ELEMENT_TYPES)
    assert [type_.ort_number for type_ in NUMBERED] == list(range(len(NUMBERED)))
    assert (TABLE["undefined"].bits, TABLE["undefined"].dtype) == (0, None)
    assert (TABLE["string"].bits, TABLE["string"].dtype) == (0, "object")
    for type_ in FIXED:
        package, _, name = type_.dtype.rpartition(".")
        dtype = np.dtype(getattr(ml_dtypes, name) if package else name)
        assert 8 * dtype.itemsize == max(type_.bits, 8)


def test_names_numbers_and_dtypes_are_those_of_onnx():
    for type_ in ELEMENT_TYPES:
        assert TensorProto.DataType.Name(type_.onnx_number).lower() == type_.name
        assert onnx_name(type_.onnx_number) == type_.name
    for type_ in FIXED:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(type_.onnx_number)
        assert type_.dtype.removeprefix("ml_dtypes.") == dtype.name
    assert onnx_name(99) == "type 99"


def test_the_numbers_are_those_of_onnxruntimes_c_api():
    declared = enumerators("ort_types.h", "ONNX_TENSOR_ELEMENT_DATA_TYPE_")
    assert len(declared) > 20
    assert declared.items() <= {type_.name.upper(): type_.ort_number for type_ in NUMBERED}.items()


def test_the_dlpack_codes_are_those_of_the_header():
    used = [type_.dlpack_code for type_ in ELEMENT_TYPES if type_.dlpack_code is not None]
    text = (REPOSITORY / "include" / "ortmmap" / "dlpack_abi.h").read_text()
    codes = re.search(r"enum ortmmap_dl_code \{(.*?)\}", text, re.DOTALL)[1]
    assert set(used) == set(map(int, re.findall(r"= (\d+)", codes)))
    pairs = {(type_.dlpack_code, type_.bits) for type_ in FIXED if type_.dlpack_code is not None}
    assert len(pairs) == len(used)


@pytest.mark.parametrize("type_", [type_ for type_ in NUMBERED if type_.bits], ids=lambda t: t.name)
def test_a_value_of_every_element_type_has_its_name_number_dtype_and_size(type_):
    make = ortmmap.OrtValue.ortvalue_from_shape_and_type
    if type_.name in UNSUPPORTED:
        assert isinstance(caught(make, [3, 3], type_.onnx_number), NotImplementedError)
        return
    value = make([3, 3], type_.onnx_number)
    assert value.data_type() == f"tensor({type_.name})"
    assert value.element_type() == type_.onnx_number
    assert value.tensor_size_in_bytes() == (9 * type_.bits + 7) // 8
    assert value.numpy().dtype.name == type_.dtype.removeprefix("ml_dtypes.")
    assert make([3, 3], value.numpy().dtype).element_type() == type_.onnx_number
    if type_.dlpack_code is None:
        assert isinstance(caught(value.__dlpack__), BufferError)
    else:
        back = ortmmap.OrtValue.from_dlpack(value.__dlpack__())
        assert back.element_type() == type_.onnx_number


def test_the_c_api_declares_the_element_types_of_the_table():
    expected = {type_.name.upper(): type_.ort_number for type_ in NUMBERED}
    declared = enumerators("capi.h", "ORTMMAP_")
    assert expected.items() <= declared.items()
    command = [sys.executable, REPOSITORY / "tools" / "element_types.py", "--check"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY)
    assert (run.returncode, run.stderr) == (0, "")


def test_an_element_type_is_written_down_in_the_table_only():
    """But for foreign enumerators, which tests compare with it, and what tools/ writes from it."""
    declarations = {"include/ortmmap/dlpack_abi.h", "include/ortmmap/ort_types.h"}
    declarations |= {f"ortmmap/abi/{name}.pxd" for name in ("dlpack", "ort")}
    written = {"include/ortmmap/capi.h", "ortmmap/abi/capi.pxd"}
    table = {"ortmmap/values/element_types.pyx"}
    found = {
        path.relative_to(REPOSITORY).as_posix()
        for folder in ("include", "ortmmap")
        for suffix in ("py", "pyx", "pxd", "h", "c")
        for path in (REPOSITORY / folder).rglob(f"*.{suffix}")
        if re.search(r"float8_?e5m2fnuz", path.read_text(), re.IGNORECASE)
    }
    assert found - declarations - written == table


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
    if not HAS_NEWER:
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
