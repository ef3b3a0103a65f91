"""Arrays over a sparse tensor's memory are read-only, as onnxruntime's, and keep the tensor."""

import gc
from collections.abc import Callable

import numpy as np
import onnxruntime
import pytest

import ortmmap

VALUES = np.array([1.5, 2, 3], "f4")
TEXTS = np.array(["one", "two", "three"])


def coo(module: object, values: np.ndarray) -> object:
    device = module.OrtDevice.make("cpu", 0)
    return module.SparseTensor.sparse_coo_from_numpy([3, 3], values, np.array([1, 5, 6]), device)


def csr(module: object, values: np.ndarray) -> object:
    columns, rows = np.array([1, 2, 0]), np.array([0, 1, 2, 3])
    device = module.OrtDevice.make("cpu", 0)
    return module.SparseTensor.sparse_csr_from_numpy([3, 3], values, columns, rows, device)


READS: dict[str, Callable] = {
    "values, COO": lambda module: coo(module, VALUES).values(),
    "indices, COO": lambda module: coo(module, VALUES).as_coo_view().indices(),
    "indices of strings, COO": lambda module: coo(module, TEXTS).as_coo_view().indices(),
    "values, CSR": lambda module: csr(module, VALUES).values(),
    "inner, CSR": lambda module: csr(module, VALUES).as_csrc_view().inner(),
    "outer, CSR": lambda module: csr(module, VALUES).as_csrc_view().outer(),
    "inner of strings, CSR": lambda module: csr(module, TEXTS).as_csrc_view().inner(),
    "values of a value": lambda module: (
        module.OrtValue.ort_value_from_sparse_tensor(coo(module, VALUES))
        .as_sparse_tensor()
        .values()
    ),
}


@pytest.mark.parametrize("kind", READS)
def test_an_array_is_read_only_as_onnxruntimes(kind):
    theirs, ours = READS[kind](onnxruntime), READS[kind](ortmmap)
    assert ours.flags.writeable == theirs.flags.writeable is False
    with pytest.raises(ValueError, match="read-only"):
        ours[0] = 7


@pytest.mark.parametrize("kind", READS)
def test_an_array_outlives_its_tensor(kind):
    array = READS[kind](ortmmap)
    gc.collect()
    np.testing.assert_array_equal(array, READS[kind](onnxruntime))


def test_copied_strings_are_as_writable_as_onnxruntimes():
    for make in (coo, csr):
        theirs, ours = make(onnxruntime, TEXTS).values(), make(ortmmap, TEXTS).values()
        assert ours.flags.writeable == theirs.flags.writeable
        np.testing.assert_array_equal(ours, theirs)


def test_the_array_that_a_tensor_was_made_of_is_not_written_to():
    mine = VALUES.copy()
    array = coo(ortmmap, mine).values()
    with pytest.raises(ValueError, match="read-only"):
        array += 1
    np.testing.assert_array_equal(mine, VALUES)
