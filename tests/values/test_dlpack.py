"""DLPack: tensors from and to other libraries."""

import gc
import weakref

import ml_dtypes
import models
import numpy as np
import pytest
from support import assert_same, caught, ortmmap_session

import ortmmap

X = np.arange(6, dtype="f4").reshape(2, 3)


class Producer:
    """Exports an array as numpy does, and records the arguments of each request."""

    def __init__(self, array, device=(1, 0), *, versions=True):
        self.array, self.device, self.versions = array, device, versions
        self.asked = []

    def __dlpack_device__(self):
        return self.device

    def __dlpack__(self, **kwargs):
        self.asked.append(kwargs)
        if kwargs and not self.versions:
            raise TypeError("unexpected keyword")
        return self.array.__dlpack__(**kwargs)


def values(dtype: str) -> np.ndarray:
    return np.arange(4).astype(dtype)


@pytest.mark.parametrize("dtype", models.NUMERIC)
def test_numpy_takes_a_value_without_a_copy(dtype):
    value = ortmmap.OrtValue.ortvalue_from_numpy(values(dtype))
    array = np.from_dlpack(value)
    assert array.ctypes.data == value.data_ptr()
    assert_same(np.array(array), values(dtype))
    del value
    gc.collect()
    np.testing.assert_array_equal(array, values(dtype))


@pytest.mark.parametrize("versions", [True, False])
@pytest.mark.parametrize("dtype", models.NUMERIC)
def test_a_value_takes_an_array_without_a_copy(dtype, versions):
    producer = Producer(values(dtype), versions=versions)
    value = ortmmap.OrtValue.from_dlpack(producer)
    assert value.data_ptr() == producer.array.ctypes.data
    assert_same(value.numpy(), values(dtype))


@pytest.mark.parametrize("array", [X.T, X[:, ::2], X[::-1], np.broadcast_to(X, (2, 2, 3))])
def test_what_is_not_contiguous_is_copied(array):
    array = array.copy(order="K") if array.flags.writeable else array
    view = np.lib.stride_tricks.as_strided(array, array.shape, array.strides)
    np.testing.assert_array_equal(ortmmap.OrtValue.from_dlpack(view).numpy(), array)


def test_the_producer_is_kept_and_let_go_once():
    array = X.copy()
    kept = weakref.ref(array)
    value = ortmmap.OrtValue.from_dlpack(array)
    del array
    gc.collect()
    assert kept() is not None
    del value
    assert kept() is None


def test_an_unused_capsule_releases_its_tensor():
    array = X.copy()
    kept = weakref.ref(array)
    value = ortmmap.OrtValue.ortvalue_from_numpy(array)
    capsules = [value.__dlpack__(), value.__dlpack__(max_version=(1, 0))]
    del array, value
    assert kept() is not None
    del capsules
    assert kept() is None


@pytest.mark.parametrize("version", [None, (0, 8), (1, 0), (1, 1), (9, 9)])
def test_a_capsule_can_be_taken_from_once(version):
    capsule = ortmmap.OrtValue.ortvalue_from_numpy(X).__dlpack__(max_version=version)
    named = "versioned" if version is not None and version[0] >= 1 else '"dltensor"'
    assert named in repr(capsule)
    assert ortmmap.OrtValue.from_dlpack(capsule).data_ptr() == X.ctypes.data
    assert isinstance(caught(ortmmap.OrtValue.from_dlpack, capsule), TypeError)


def test_a_copy_is_made_where_it_is_asked_for():
    value = ortmmap.OrtValue.ortvalue_from_numpy(X.copy())
    copy = ortmmap.OrtValue.from_dlpack(value.__dlpack__(max_version=(1, 0), copy=True))
    assert copy.data_ptr() != value.data_ptr()
    np.testing.assert_array_equal(copy.numpy(), X)


def test_another_device_raises():
    value = ortmmap.OrtValue.ortvalue_from_numpy(X)
    assert value.__dlpack_device__() == (1, 0)
    with pytest.raises(BufferError):
        value.__dlpack__(dl_device=(2, 0))
    with pytest.raises(NotImplementedError, match="CPU"):
        ortmmap.OrtValue.from_dlpack(Producer(X, device=(2, 0)))


@pytest.mark.parametrize("array", [np.array(["a"]), np.ones(3).astype(ml_dtypes.int4)])
def test_elements_that_dlpack_does_not_have_raise(array):
    with pytest.raises(BufferError):
        ortmmap.OrtValue.ortvalue_from_numpy(array).__dlpack__()


@pytest.mark.parametrize("bad", [3, None, "x", [1.0]])
def test_what_is_no_tensor_raises(bad):
    with pytest.raises(TypeError):
        ortmmap.OrtValue.from_dlpack(bad)


@pytest.mark.parametrize("device", [[], (1,), (1, 0, 0), ("cpu", 0), None, 1, (2**40, 0)])
def test_a_device_that_is_none_raises(device):
    error = caught(ortmmap.OrtValue.from_dlpack, Producer(X, device=device))
    assert isinstance(error, (OverflowError, TypeError, ValueError))


@pytest.mark.parametrize("version", [[], (1,), 1, ("1", "0"), (1, 0, 0)])
def test_a_version_that_is_none_raises(version):
    value = ortmmap.OrtValue.ortvalue_from_numpy(X)
    assert isinstance(caught(value.__dlpack__, max_version=version), (TypeError, ValueError))


def test_a_run_takes_whatever_has_dlpack_where_it_lies():
    session = ortmmap_session(models.unsqueeze())
    producer = Producer(X)
    assert_same(session.run(None, {"x": producer})[0], X[None])
    assert producer.asked


def test_a_run_does_not_hand_out_the_producers_memory():
    session = ortmmap_session(models.handed_through())
    array = X.copy()
    results = session.run(["same", "flat"], {"x": Producer(array)})
    array[...] = -1
    np.testing.assert_array_equal(results[0], X)
    np.testing.assert_array_equal(results[1], X.ravel())


def test_torch_tensors_go_both_ways_without_a_copy():
    torch = pytest.importorskip("torch")
    for dtype in (torch.float32, torch.bfloat16, torch.bool, torch.int64, torch.float8_e5m2):
        tensor = torch.ones(3, 2).to(dtype)
        value = ortmmap.OrtValue.from_dlpack(tensor)
        assert value.data_ptr() == tensor.data_ptr()
        back = torch.from_dlpack(value)
        assert (back.data_ptr(), back.dtype) == (tensor.data_ptr(), dtype)


def test_torch_tensors_are_fed_as_they_are():
    torch = pytest.importorskip("torch")
    session = ortmmap_session(models.affine())
    tensor = torch.arange(16.0).reshape(2, 8)
    assert_same(session.run(None, {"x": tensor}), session.run(None, {"x": tensor.numpy()}))
    wide = torch.arange(16.0).reshape(8, 2).T
    assert_same(session.run(None, {"x": wide}), session.run(None, {"x": wide.numpy()}))
