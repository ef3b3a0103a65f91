"""OrtValue, against onnxruntime's."""

import gc
import inspect
import weakref

import ml_dtypes
import models
import numpy as np
import onnxruntime
import pytest
from models import TensorProto
from support import ask_python, assert_same, caught, onnxruntime_session, ortmmap_session

import ortmmap

BOTH = [ortmmap.OrtValue, onnxruntime.OrtValue]
X = np.arange(6, dtype="f4").reshape(2, 3)


def described(value: object) -> tuple:
    return (
        value.data_type(),
        value.element_type(),
        list(value.shape()),
        value.tensor_size_in_bytes(),
        value.device_name(),
        value.has_value(),
        value.is_tensor(),
        value.is_sparse_tensor(),
        value.is_tensor_sequence(),
    )


@pytest.mark.parametrize("dtype", models.NUMERIC)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (2, 0)])
def test_a_value_of_an_array_is_described_as_by_onnxruntime(dtype, shape):
    array = np.ones(shape, dtype)
    ours, theirs = (cls.ortvalue_from_numpy(array) for cls in BOTH)
    assert described(ours) == described(theirs)
    assert_same(ours.numpy(), theirs.numpy())


def test_a_value_lies_over_its_array_and_keeps_it():
    array = X.copy()
    value = ortmmap.OrtValue.ortvalue_from_numpy(array)
    assert value.data_ptr() == array.ctypes.data
    kept = weakref.ref(array)
    del array
    assert kept() is not None
    np.testing.assert_array_equal(value.numpy(), X)
    del value
    assert kept() is None


def test_numpy_is_a_copy_and_asarray_is_not():
    value = ortmmap.OrtValue.ortvalue_from_numpy(X.copy())
    assert value.numpy().ctypes.data != value.data_ptr()
    assert np.asarray(value).ctypes.data == value.data_ptr()
    assert np.array(value).ctypes.data != value.data_ptr()
    assert value.__array__(copy=True).ctypes.data != value.data_ptr()
    assert np.asarray(value, dtype="f8").dtype == "f8"
    with pytest.raises(ValueError, match="copy"):
        value.__array__(dtype="f8", copy=False)


def test_an_array_outlives_its_value():
    array = np.asarray(ortmmap.OrtValue.ortvalue_from_numpy(X.copy()))
    gc.collect()
    np.testing.assert_array_equal(array, X)


def test_strings_are_taken_and_given():
    words = np.array([["a", "zoë"], ["", "日本"]])
    value = ortmmap.OrtValue.ortvalue_from_numpy(words)
    assert value.data_type() == "tensor(string)"
    assert value.numpy().tolist() == words.tolist()


def test_an_array_that_is_not_contiguous_is_copied():
    value = ortmmap.OrtValue.ortvalue_from_numpy(X.T)
    np.testing.assert_array_equal(value.numpy(), X.T)


@pytest.mark.parametrize("element", ["f4", np.int64, np.dtype(bool), 16, 22, TensorProto.INT32])
def test_a_value_of_a_shape_and_a_type_is_described_as_by_onnxruntime(element):
    ours, theirs = (cls.ortvalue_from_shape_and_type([2, 3], element) for cls in BOTH)
    assert described(ours) == described(theirs)


@pytest.mark.parametrize(
    ("array", "element"),
    [(np.arange(3, dtype="u2"), 16), (np.arange(3, dtype="u1"), 17), (np.ones(3, "u1"), 22)],
)
def test_a_value_of_an_onnx_type_is_described_as_by_onnxruntime(array, element):
    ours, theirs = (cls.ortvalue_from_numpy_with_onnx_type(array, element) for cls in BOTH)
    assert described(ours) == described(theirs)


def test_bits_are_taken_as_the_type_that_they_are_said_to_be():
    bits = np.array([1, 2, 3]).astype(ml_dtypes.bfloat16)
    value = ortmmap.OrtValue.ortvalue_from_numpy_with_onnx_type(bits.view("u2"), 16)
    assert_same(value.numpy(), bits)


@pytest.mark.parametrize(
    ("array", "element"), [(np.ones(3, "u4"), 16), (np.ones(3, "u2"), 99), (np.ones(3), 8)]
)
def test_an_onnx_type_of_another_size_raises(array, element):
    for cls in BOTH:
        assert isinstance(
            caught(cls.ortvalue_from_numpy_with_onnx_type, array, element), RuntimeError
        )


@pytest.mark.parametrize("shape", [[-1], [2, -3]])
def test_an_impossible_shape_raises(shape):
    for cls in BOTH:
        assert isinstance(caught(cls.ortvalue_from_shape_and_type, shape, "f4"), RuntimeError)


def test_another_device_raises():
    with pytest.raises(NotImplementedError, match="CPU"):
        ortmmap.OrtValue.ortvalue_from_shape_and_type([1], "f4", "cuda")
    with pytest.raises(NotImplementedError, match="CPU"):
        ortmmap.OrtValue.ortvalue_from_numpy(X, "cuda", 0)
    with pytest.raises(ValueError, match="nowhere"):
        ortmmap.OrtValue.ortvalue_from_numpy(X, "nowhere")


@pytest.mark.parametrize("new", [X + 1, (X + 1).astype("f8"), np.asfortranarray(X + 1)])
def test_updating_in_place_writes_to_the_memory_there_is(new):
    ours, theirs = (cls.ortvalue_from_numpy(X.copy()) for cls in BOTH)
    address = ours.data_ptr()
    ours.update_inplace(new)
    assert ours.data_ptr() == address
    np.testing.assert_array_equal(ours.numpy(), X + 1)
    if new.dtype == "f4" and new.flags.c_contiguous:  # onnxruntime 1.23 mixes others up
        theirs.update_inplace(new)
        assert_same(ours.numpy(), theirs.numpy())


def test_updating_in_place_takes_another_value_and_packed_elements():
    value = ortmmap.OrtValue.ortvalue_from_shape_and_type([3], 22)
    new = np.array([1, -2, 3]).astype(ml_dtypes.int4)
    value.update_inplace(ortmmap.OrtValue.ortvalue_from_numpy(new))
    assert value.numpy().astype(int).tolist() == [1, -2, 3]


def test_updating_with_what_does_not_fit_raises():
    for cls in BOTH:
        value = cls.ortvalue_from_numpy(X.copy())
        assert isinstance(caught(value.update_inplace, np.ones((3, 3), "f4")), RuntimeError)
        assert isinstance(caught(value.update_inplace, [1]), TypeError)


def test_a_sequence_is_described_as_by_onnxruntime():
    model = models.build(
        [models.node("SequenceConstruct", "x x", "y")],
        [models.tensor("x")],
        [models.sequence("y")],
    )
    values = []
    for cls, session in zip(
        BOTH, (ortmmap_session(model), onnxruntime_session(model)), strict=True
    ):
        (value,) = session.run_with_ort_values(None, {"x": cls.ortvalue_from_numpy(X)})
        values.append(value)
    ours, theirs = values
    for method in ("data_type", "element_type", "is_tensor", "is_tensor_sequence", "has_value"):
        assert getattr(ours, method)() == getattr(theirs, method)()
    for method in ("numpy", "shape", "data_ptr", "device_name", "as_sparse_tensor"):
        for value in values:
            assert isinstance(caught(getattr(value, method)), RuntimeError)


def test_an_empty_optional_has_no_value_and_does_not_crash():
    session = ortmmap_session(models.make_optional())
    x = ortmmap.OrtValue.ortvalue_from_numpy(np.ones(3, "f4"))
    some, nothing = session.run_with_ort_values(["some", "nothing"], {"x": x})
    assert some.has_value()
    assert not nothing.has_value()
    assert isinstance(caught(nothing.numpy), RuntimeError)
    repr(nothing)


def test_a_vector_is_a_list_of_values():
    value = ortmmap.OrtValue.ortvalue_from_numpy(np.array([True]))
    vector = ortmmap.OrtValueVector()
    vector.push_back(value)
    vector.push_back(X)
    vector.reserve(5)
    vector.shrink_to_fit()
    assert len(vector) == 2
    assert vector[0] is value
    assert vector.element_type_at(1) == 1
    assert vector.bool_tensor_indices() == [0]
    tensors = vector.to_dlpacks(ortmmap.OrtValue.from_dlpack)
    np.testing.assert_array_equal(tensors[1].numpy(), X)
    assert len(vector.to_dlpacks(None)) == 2
    assert ortmmap.OrtValue.from_dlpack(vector.dlpack_at(1)).data_ptr() == X.ctypes.data


@pytest.mark.parametrize(
    "shape",
    [[2.5], [2.0], np.array([2.5]), ["2"], "22", b"22", "", [None], 5, None, [[2]], {}, {2: 3}],
    ids=str,
)
def test_a_shape_that_is_not_of_integers_raises_as_onnxruntime(shape):
    for module in (ortmmap, onnxruntime):
        error = caught(module.OrtValue.ortvalue_from_shape_and_type, shape, np.float32)
        assert type(error) is TypeError


@pytest.mark.parametrize("shape", [[2, 3], (2, np.int8(3)), np.array([2, 3]), range(2, 4), [True]])
def test_any_sequence_of_integers_is_a_shape(shape):
    shapes = [
        module.OrtValue.ortvalue_from_shape_and_type(shape, np.float32).shape()
        for module in (ortmmap, onnxruntime)
    ]
    assert shapes[0] == shapes[1]


# --- what packages use of onnxruntime's OrtValue beside its public methods ---


def test_the_inner_value_is_as_in_onnxruntime():
    ours, theirs = (cls.ortvalue_from_numpy(X) for cls in BOTH)
    for inner in (ours._ortvalue, ours._get_c_value()):
        assert isinstance(inner, ortmmap.capi.onnxruntime_pybind11_state.OrtValue)
        assert described(inner) == described(theirs._ortvalue)
        assert inner.device_name() == "Cpu"
        assert inner.data_ptr() == X.ctypes.data
        assert ortmmap.OrtValue.from_dlpack(inner.to_dlpack()).data_ptr() == X.ctypes.data
    assert ours._numpy_obj is theirs._numpy_obj is X
    assert ours.device_name() == "cpu"


def test_the_inner_value_of_a_sparse_tensor_has_the_inner_sparse_tensor():
    made = []
    for module in (ortmmap, onnxruntime):
        device = module.OrtDevice.make("cpu", 0)
        sparse = module.SparseTensor.sparse_coo_from_numpy([3], X[0, :1], np.array([1]), device)
        made.append(module.OrtValue.ort_value_from_sparse_tensor(sparse)._ortvalue)
    ours, theirs = (inner.as_sparse_tensor() for inner in made)
    assert ours.device_name() == theirs.device_name() == "Cpu"
    assert_same(ours.values(), theirs.values())


def test_a_value_is_made_of_an_inner_one_and_keeps_it():
    for cls in BOTH:
        array = X.copy()
        value = cls(cls.ortvalue_from_numpy(array)._ortvalue, array)
        assert value._numpy_obj is array
        assert value.data_ptr() == array.ctypes.data
        assert cls(value._ortvalue)._numpy_obj is None
        np.testing.assert_array_equal(value.numpy(), X)
    again = ortmmap.OrtValue(ortmmap.OrtValue.ortvalue_from_numpy(X.copy()))
    np.testing.assert_array_equal(again.numpy(), X)
    for cls in BOTH:
        for bad in (None, 3, X):
            assert isinstance(caught(cls, bad), ValueError)
        assert isinstance(caught(cls), TypeError)
    assert isinstance(caught(again.__init__, again._ortvalue), RuntimeError)


def test_a_value_keeps_only_arrays_as_what_it_was_made_of():
    assert ortmmap.OrtValue.ortvalue_from_numpy([1.0])._numpy_obj is None
    assert ortmmap.OrtValue.ortvalue_from_shape_and_type([1], "f4")._numpy_obj is None
    bits = np.ones(3, "u2")
    assert ortmmap.OrtValue.ortvalue_from_numpy_with_onnx_type(bits, 16)._numpy_obj is bits


# --- memory_info ---

NAMES = ("ortmmap", "onnxruntime")
HAS_MEMORY_INFO = (
    "memory_info" in inspect.signature(onnxruntime.OrtValue.ortvalue_from_shape_and_type).parameters
)


def memory(module: object, name: str = "Cpu") -> object:
    kinds, default = module.OrtAllocatorType, module.OrtMemType.DEFAULT
    return module.OrtMemoryInfo(name, kinds.ORT_DEVICE_ALLOCATOR, 0, default)


ALLOCATING = """
import json
import {module} as ort
kinds, default = ort.OrtAllocatorType, ort.OrtMemType.DEFAULT
arena, device = (
    ort.OrtMemoryInfo("Cpu", kind, 0, default)
    for kind in (kinds.ORT_ARENA_ALLOCATOR, kinds.ORT_DEVICE_ALLOCATOR)
)
make = ort.OrtValue.ortvalue_from_shape_and_type
outcomes = []
for registered in (False, True):
    if registered:
        ort.create_and_register_allocator(arena, None)
    for info in (arena, device):
        for element in ("f4", 16):
            try:
                value = make([2, 3], element, memory_info=info)
                outcomes.append([value.shape(), value.data_type(), value.device_name()])
            except RuntimeError as error:
                outcomes.append(str(error)[:30])
print(json.dumps(outcomes))
"""


@pytest.mark.skipif(not HAS_MEMORY_INFO, reason="this onnxruntime has no memory_info")
def test_a_value_is_allocated_where_an_allocator_is_registered_as_by_onnxruntime():
    ours, theirs = (ask_python(ALLOCATING.format(module=module)) for module in NAMES)
    assert ours == theirs
    assert len({str(outcome) for outcome in ours}) == 3  # refused, float, bfloat16


def test_the_device_is_ignored_if_memory_is_described():
    make = ortmmap.OrtValue.ortvalue_from_shape_and_type
    with pytest.warns(UserWarning, match="ignored"):
        value = make([2, 3], "f4", "cuda", memory_info=memory(onnxruntime))
    assert (value.shape(), value.device_name()) == ([2, 3], "cpu")


def test_other_memory_is_refused():
    info = ortmmap.OrtMemoryInfo.create_v2(
        "X",
        ortmmap.OrtMemoryInfoDeviceType.GPU,
        0x10DE,
        0,
        ortmmap.OrtDeviceMemoryType.DEFAULT,
        0,
        ortmmap.OrtAllocatorType.ORT_DEVICE_ALLOCATOR,
    )
    make = ortmmap.OrtValue.ortvalue_from_shape_and_type
    with pytest.raises(NotImplementedError, match="No shared allocator found for: X"):
        make([2, 3], "f4", memory_info=info)
    for bad in (3, "cpu", X):
        assert isinstance(caught(make, [2, 3], "f4", memory_info=bad), TypeError)
