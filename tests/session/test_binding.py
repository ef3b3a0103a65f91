"""IOBinding, against onnxruntime's."""

import gc
import threading
import weakref

import models
import numpy as np
import onnxruntime
import pytest
from support import assert_same, caught, onnxruntime_session, ortmmap_session

import ortmmap

X = np.linspace(-1, 1, 16, dtype="f4").reshape(2, 8)
MODEL = models.affine()


@pytest.fixture(scope="module")
def both() -> tuple:
    return ortmmap_session(MODEL), onnxruntime_session(MODEL)


@pytest.fixture
def session() -> ortmmap.Session:
    return ortmmap_session(MODEL)


def expected(value: np.ndarray = X) -> np.ndarray:
    return onnxruntime_session(MODEL).run(None, {"x": value})[0]


def test_a_bound_run_gives_what_onnxruntime_gives(both):
    results = []
    for session in both:
        binding = session.io_binding()
        binding.bind_cpu_input("x", X)
        binding.bind_output("y")
        binding.synchronize_inputs()
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        results.append(binding.copy_outputs_to_cpu())
        (value,) = binding.get_outputs()
        assert_same(value.numpy(), results[-1][0])
        assert len(binding.get_outputs_as_ortvaluevector()) == 1
    assert_same(*results)


def test_a_binding_can_be_made_by_its_class(session):
    binding = ortmmap.IOBinding(session)
    binding.bind_cpu_input("x", X)
    binding.bind_output("y")
    session.run_with_iobinding(binding)
    assert_same(binding.copy_outputs_to_cpu()[0], expected())


def test_what_is_written_into_a_bound_array_is_read(session):
    array = X.copy()
    binding = session.io_binding()
    binding.bind_cpu_input("x", array)
    binding.bind_output("y")
    session.run_with_iobinding(binding)
    first = binding.copy_outputs_to_cpu()[0]
    array *= -1
    session.run_with_iobinding(binding)
    assert_same(binding.copy_outputs_to_cpu()[0], expected(-X))
    assert_same(first, expected())


def test_addresses_are_read_and_written(both):
    for session in both:
        output = np.zeros((2, 4), "f4")
        binding = session.io_binding()
        binding.bind_input("x", "cpu", 0, np.float32, [2, 8], X.ctypes.data)
        binding.bind_output("y", "cpu", 0, np.float32, [2, 4], output.ctypes.data)
        session.run_with_iobinding(binding)
        assert_same(output, expected())
        assert binding.get_outputs()[0].data_ptr() == output.ctypes.data


def test_values_are_read_and_written(both):
    for module, session in zip((ortmmap, onnxruntime), both, strict=True):
        output = module.OrtValue.ortvalue_from_shape_and_type([2, 4], np.float32)
        binding = session.io_binding()
        binding.bind_ortvalue_input("x", module.OrtValue.ortvalue_from_numpy(X))
        binding.bind_ortvalue_output("y", output)
        session.run_with_iobinding(binding)
        assert_same(output.numpy(), expected())


def test_sequences_and_strings_can_be_bound():
    model, feed = models.catalogue()["sequences"]
    ours = ortmmap_session(model)
    binding = ours.io_binding()
    for name, value in feed.items():
        binding.bind_cpu_input(name, value)
    for arg in ours.get_outputs():
        binding.bind_output(arg.name)
    ours.run_with_iobinding(binding)
    assert_same(binding.copy_outputs_to_cpu(), onnxruntime_session(model).run(None, feed))


@pytest.mark.parametrize("method", ["bind_cpu_input", "bind_output"])
def test_a_name_that_the_model_does_not_have_raises(session, method):
    arguments = ("q", X) if method == "bind_cpu_input" else ("q",)
    error = caught(getattr(session.io_binding(), method), *arguments)
    assert isinstance(error, RuntimeError)
    assert "q" in str(error)


def test_the_wrong_type_of_input_raises(session):
    assert isinstance(caught(session.io_binding().bind_cpu_input, "x", X.astype("f8")), ValueError)


def test_an_address_needs_a_type_and_a_shape(both):
    for session in both:
        binding = session.io_binding()
        assert isinstance(caught(binding.bind_output, "y", buffer_ptr=4096), ValueError)


def test_another_device_raises(session):
    with pytest.raises(NotImplementedError, match="CPU"):
        session.io_binding().bind_output("y", "cuda")


def test_a_run_without_outputs_raises(both):
    for session in both:
        binding = session.io_binding()
        binding.bind_cpu_input("x", X)
        assert isinstance(caught(session.run_with_iobinding, binding), RuntimeError)


def test_cleared_bindings_are_gone(session):
    binding = session.io_binding()
    binding.bind_cpu_input("x", X)
    binding.bind_output("y")
    session.run_with_iobinding(binding)
    binding.clear_binding_outputs()
    assert binding.get_outputs() == []
    binding.clear_binding_inputs()
    binding.bind_output("y")
    assert isinstance(caught(session.run_with_iobinding, binding), RuntimeError)


def test_outputs_before_the_first_run_have_no_value(session):
    binding = session.io_binding()
    binding.bind_cpu_input("x", X)
    binding.bind_output("y")
    assert [value.has_value() for value in binding.get_outputs()] == [False]
    assert binding.copy_outputs_to_cpu() == [None]


def test_a_binding_goes_with_its_own_session_only(session):
    with pytest.raises(ValueError, match="session that created it"):
        session.run_with_iobinding(ortmmap_session(MODEL).io_binding())


def test_a_closed_session_raises_and_does_not_crash(session):
    binding = session.io_binding()
    binding.bind_cpu_input("x", X)
    binding.bind_output("y")
    session.run_with_iobinding(binding)
    (value,) = binding.get_outputs()
    session.close()
    for function in (
        lambda: session.run_with_iobinding(binding),
        lambda: binding.bind_output("y"),
        binding.get_outputs,
        binding.copy_outputs_to_cpu,
        session.io_binding,
    ):
        with pytest.raises(ValueError, match="closed"):
            function()
    assert_same(value.numpy(), expected())


def test_a_binding_keeps_what_is_bound_and_the_model():
    session = ortmmap_session(MODEL)
    binding = session.io_binding()
    array = X.copy()
    kept = weakref.ref(array)
    binding.bind_cpu_input("x", array)
    binding.bind_output("y")
    session.run_with_iobinding(binding)
    del array, session
    gc.collect()
    assert kept() is not None
    assert_same(binding.copy_outputs_to_cpu()[0], expected())
    binding.bind_cpu_input("x", X)
    assert kept() is None


def test_an_output_that_is_an_input_keeps_its_memory():
    session = ortmmap_session(models.handed_through())
    array = np.arange(6, dtype="f4").reshape(2, 3)
    kept = weakref.ref(array)
    binding = session.io_binding()
    binding.bind_cpu_input("x", array)
    binding.bind_output("x")
    session.run_with_iobinding(binding)
    (value,) = binding.get_outputs()
    del array, binding
    gc.collect()
    assert value.numpy().tolist() == [[0, 1, 2], [3, 4, 5]]
    del value
    assert kept() is None


def test_one_binding_serves_one_run_at_a_time():
    session = ortmmap_session(models.endless())
    binding = session.io_binding()
    binding.bind_cpu_input("rounds", np.array(10**9))
    binding.bind_cpu_input("x", np.ones(4, "f4"))
    binding.bind_output("y")
    options = ortmmap.RunOptions()
    thread = threading.Thread(target=caught, args=(session.run_with_iobinding, binding, options))
    thread.start()
    error = None
    while error is None and thread.is_alive():
        error = caught(binding.synchronize_inputs)
    assert isinstance(error, RuntimeError)
    assert "in use" in str(error)
    assert isinstance(caught(session.close), RuntimeError)
    options.terminate = True
    thread.join()
    session.close()


def test_what_is_no_binding_raises(session):
    for bad in (None, 3, X):
        assert isinstance(caught(session.run_with_iobinding, bad), (AttributeError, TypeError))


def inner_binding(module: object, session: object) -> object:
    return module.SessionIOBinding(session._sess)


def test_the_inner_binding_works_as_onnxruntimes(both):
    device = [module.OrtDevice.make("cpu", 0) for module in (ortmmap, onnxruntime)]
    device[1] = device[1]._get_c_device()
    for module, session, cpu in zip((ortmmap, onnxruntime), both, device, strict=True):
        binding = inner_binding(module, session)
        binding.bind_input("x", X)
        binding.bind_output("y", cpu)
        session._sess.run_with_iobinding(binding, None)
        assert_same(binding.copy_outputs_to_cpu()[0], expected())
        assert_same(binding.get_outputs()[0].numpy(), expected())

        array, target = X + 1, np.zeros(expected().shape, "f4")
        binding.clear_binding_inputs()
        binding.clear_binding_outputs()
        binding.bind_input("x", cpu, np.float32, array.shape, array.ctypes.data)
        binding.bind_output("y", cpu, np.float32, target.shape, target.ctypes.data)
        session._sess.run_with_iobinding(binding, None)
        assert_same(target, expected(array))


def test_the_inner_binding_takes_no_half_address(session):
    binding = inner_binding(ortmmap, session)
    cpu = ortmmap.OrtDevice.make("cpu", 0)
    with pytest.raises(TypeError, match="address"):
        binding.bind_input("x", cpu, np.float32)
    with pytest.raises(TypeError, match="address"):
        binding.bind_output("y", cpu, np.float32, (2, 8))


@pytest.mark.parametrize("name", ["IOBinding", "SessionIOBinding"])
@pytest.mark.parametrize("bad", [5, None, "session"])
def test_a_binding_of_no_session_raises(name, bad):
    with pytest.raises(TypeError, match="should be a Session"):
        getattr(ortmmap, name)(bad)


NO_SHAPES = [[2.5], [2.0, 8.0], ["2"], "28", b"28", [None], 5, None, [[2, 8]], {2: 8}]


@pytest.mark.parametrize("shape", NO_SHAPES, ids=str)
def test_a_shape_that_is_not_of_integers_raises_as_onnxruntimes(both, shape):
    target = np.zeros((2, 8), "f4")
    for session in both:
        binding = session.io_binding()
        arguments = ("cpu", 0, np.float32, shape, target.ctypes.data)
        assert type(caught(binding.bind_input, "x", *arguments)) is TypeError
        if shape is not None:  # what is None is not given
            assert type(caught(binding.bind_output, "y", *arguments)) is TypeError
