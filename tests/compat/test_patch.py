"""patch_onnxruntime: names imported before and after it, subclasses, values, options, undoing."""

import inspect
import threading
import time
from collections.abc import Iterator

import models
import numpy as np
import onnxruntime
import pytest
from onnxruntime import InferenceSession as NameBefore
from onnxruntime import IOBinding as BindingBefore
from onnxruntime import OrtValue as ValueBefore

import ortmmap

STATE = onnxruntime.capi.onnxruntime_pybind11_state
MODEL = models.affine()
X = np.ones((2, 8), "f4")


class SubclassBefore(NameBefore):
    def __init__(self, model: bytes) -> None:
        super().__init__(model)
        self.tag = "mine"


@pytest.fixture
def patched() -> Iterator[object]:
    with ortmmap.patch_onnxruntime(threshold=0) as patch:
        yield patch


@pytest.mark.usefixtures("patched")
def test_names_from_before_and_after_make_our_sessions():
    from onnxruntime import InferenceSession as NameAfter

    for name in (NameBefore, NameAfter, onnxruntime.InferenceSession):
        session = name(MODEL, providers=["CPUExecutionProvider"])
        assert isinstance(session, ortmmap.Session)
        assert isinstance(session, NameBefore)
        assert isinstance(session, NameAfter)
        assert session.run(None, {"x": X})[0].shape == (2, 4)


def test_a_session_from_before_stays_and_is_an_instance():
    before = NameBefore(MODEL)
    with ortmmap.patch_onnxruntime(threshold=0):
        assert isinstance(before, onnxruntime.InferenceSession)
        assert not isinstance(before, ortmmap.Session)
        assert before.run(None, {"x": X})[0].shape == (2, 4)
        assert not isinstance("text", onnxruntime.InferenceSession)


@pytest.mark.usefixtures("patched")
def test_a_subclass_from_before_keeps_onnxruntimes_sessions():
    session = SubclassBefore(MODEL)
    assert not isinstance(session, ortmmap.Session)
    assert isinstance(session, onnxruntime.InferenceSession)
    assert session.tag == "mine"
    assert session.run(None, {"x": X})[0].shape == (2, 4)


@pytest.mark.usefixtures("patched")
def test_a_subclass_from_afterwards_is_ours():
    class Subclass(onnxruntime.InferenceSession):
        def __init__(self, model: bytes, **kwargs: object) -> None:
            super().__init__(model, **kwargs)
            self.runs = 0

        def run(self, *args: object) -> list:
            self.runs += 1
            return super().run(*args)

    session = Subclass(MODEL)
    assert isinstance(session, ortmmap.Session)
    assert isinstance(session, NameBefore)
    assert session.run(None, {"x": X})[0].shape == (2, 4)
    assert session.runs == 1
    assert not isinstance(onnxruntime.InferenceSession(MODEL), Subclass)


def test_the_arguments_of_a_session_can_be_inspected_patched_and_after():
    names = list(inspect.signature(onnxruntime.InferenceSession.__init__).parameters)[1:]
    with ortmmap.patch_onnxruntime(threshold=0):
        assert list(inspect.signature(onnxruntime.InferenceSession).parameters) == names
    assert list(inspect.signature(onnxruntime.InferenceSession).parameters) == names


def test_undoing_restores_the_names():
    names = ("InferenceSession", "IOBinding", "OrtValue", "SparseTensor", "set_seed")
    before = {name: getattr(onnxruntime, name) for name in names}
    factory = ValueBefore.ortvalue_from_numpy
    with ortmmap.patch_onnxruntime(threshold=0):
        assert all(getattr(onnxruntime, name) is not value for name, value in before.items())
    assert {name: getattr(onnxruntime, name) for name in names} == before
    assert ValueBefore.ortvalue_from_numpy == factory
    assert type(NameBefore(MODEL)) is NameBefore
    assert type(SubclassBefore(MODEL)) is SubclassBefore
    assert type(ValueBefore.ortvalue_from_numpy(X)) is ValueBefore
    assert isinstance(BindingBefore(NameBefore(MODEL)), BindingBefore)


def test_patches_nest_and_repeat():
    for _ in range(2):
        first, second = (
            ortmmap.patch_onnxruntime(threshold=0),
            ortmmap.patch_onnxruntime(threshold=0),
        )
        first.undo()
        first.undo()
        assert isinstance(NameBefore(MODEL), ortmmap.Session)
        second.undo()
        assert not isinstance(NameBefore(MODEL), ortmmap.Session)


@pytest.mark.usefixtures("patched")
def test_values_and_bindings_are_ours():
    session = onnxruntime.InferenceSession(MODEL)
    for cls in (onnxruntime.OrtValue, ValueBefore):
        value = cls.ortvalue_from_numpy(X)
        assert isinstance(value, ortmmap.OrtValue)
        assert isinstance(value, onnxruntime.OrtValue)
        assert session.run_with_ort_values(None, {"x": value})[0].numpy().shape == (2, 4)
    for cls in (onnxruntime.IOBinding, BindingBefore):
        binding = cls(session)
        assert isinstance(binding, onnxruntime.IOBinding)
        binding.bind_ortvalue_input("x", value)
        binding.bind_output("y")
        session.run_with_iobinding(binding)
        np.testing.assert_array_equal(
            binding.copy_outputs_to_cpu()[0], session.run(None, {"x": X})[0]
        )


@pytest.mark.usefixtures("patched")
def test_tensors_are_copied():
    source = onnxruntime.OrtValue.ortvalue_from_numpy(X)
    target = onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros_like(X))
    onnxruntime.copy_tensors([source], [target])
    np.testing.assert_array_equal(target.numpy(), X)


@pytest.mark.usefixtures("patched")
def test_settings_that_cannot_be_read_back_are_recorded():
    options = onnxruntime.SessionOptions()
    options.add_free_dimension_override_by_name("batch", 2)
    options.add_session_config_entry("a.key.of.my.own", "7")
    weights = np.ones((8, 4), "f4")
    value = onnxruntime.OrtValue.ortvalue_from_numpy(weights)
    options.add_initializer("w", value)
    session = onnxruntime.InferenceSession(MODEL, options)
    assert session.get_inputs()[0].shape == [2, 8]
    assert session.get_session_options().get_session_config_entry("a.key.of.my.own") == "7"
    plain = onnxruntime.InferenceSession(MODEL)
    assert not np.array_equal(session.run(None, {"x": X})[0], plain.run(None, {"x": X})[0])


@pytest.mark.usefixtures("patched")
def test_terminate_reaches_a_run_under_way():
    session = onnxruntime.InferenceSession(models.endless())
    options = onnxruntime.RunOptions()
    options.log_severity_level = 4

    def terminate() -> None:
        time.sleep(0.2)
        options.terminate = True

    thread = threading.Thread(target=terminate)
    thread.start()
    with pytest.raises(STATE.Fail):
        session.run(None, {"rounds": np.array(2**40), "x": np.ones(4, "f4")}, options)
    thread.join()
    assert options.terminate


@pytest.mark.usefixtures("patched")
def test_settings_of_the_process_apply_to_both_libraries():
    onnxruntime.set_default_logger_severity(3)
    onnxruntime.set_default_logger_severity(2)
    with pytest.warns(UserWarning, match="set_seed"):
        onnxruntime.set_seed(3)


@pytest.mark.usefixtures("patched")
def test_errors_of_patched_sessions_are_caught_as_onnxruntimes():
    with pytest.raises(STATE.NoSuchFile):
        onnxruntime.InferenceSession("/no/such/model.onnx")
    with pytest.raises(STATE.InvalidArgument):
        onnxruntime.InferenceSession(MODEL).run(["nothing"], {"x": X})
