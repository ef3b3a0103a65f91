"""onnxruntime's own OrtValue objects, which ours use where they lie."""

import models
import numpy as np
import onnxruntime
import pytest
from support import ortmmap_session, to_ort

X = np.arange(16, dtype="f4").reshape(2, 8)


@pytest.fixture(scope="module")
def session():
    return ortmmap_session(to_ort(models.affine()))


def theirs(array: np.ndarray) -> onnxruntime.OrtValue:
    return onnxruntime.OrtValue.ortvalue_from_numpy(array)


def native(value: onnxruntime.OrtValue) -> object:
    return value._get_c_value() if hasattr(value, "_get_c_value") else value


@pytest.mark.parametrize("form", [native, lambda value: value], ids=["native", "wrapper"])
def test_runs_and_bindings_read_their_values_where_they_lie(session, form):
    (expected,) = session.run(None, {"x": X})
    value = theirs(X.copy())
    (output,) = session.run_with_ort_values(None, {"x": form(value)})
    np.testing.assert_array_equal(output.numpy(), expected)
    binding = session.io_binding()
    binding.bind_ortvalue_input("x", form(value))
    binding.bind_output("y")
    for factor in (1, 2):
        value.update_inplace(X * np.float32(factor))
        session.run_with_iobinding(binding)
        (wanted,) = session.run(None, {"x": X * np.float32(factor)})
        np.testing.assert_array_equal(binding.copy_outputs_to_cpu()[0], wanted)


def test_a_bound_output_is_written_into_theirs(session):
    (expected,) = session.run(None, {"x": X})
    value = theirs(np.zeros_like(expected))
    binding = session.io_binding()
    binding.bind_cpu_input("x", X)
    binding.bind_ortvalue_output("y", native(value))
    session.run_with_iobinding(binding)
    np.testing.assert_array_equal(value.numpy(), expected)


@pytest.mark.parametrize("value", [X, [1.0], "text", None])
def test_what_is_no_value_says_so(session, value):
    binding = session.io_binding()
    for use in (
        lambda: session.run_with_ort_values(None, {"x": value}),
        lambda: binding.bind_ortvalue_input("x", value),
        lambda: binding.bind_ortvalue_output("y", value),
    ):
        with pytest.raises(TypeError, match="OrtValue"):
            use()
