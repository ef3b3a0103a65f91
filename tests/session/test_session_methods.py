"""What a session can do besides run, against onnxruntime's."""

import inspect
import threading
import time

import models
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx.external_data_helper import convert_model_to_external_data
from support import (
    assert_same,
    caught,
    class_names,
    configured,
    onnxruntime_session,
    ortmmap_session,
    to_ort,
)

import ortmmap

X = np.linspace(-1, 1, 16, dtype="f4").reshape(2, 8)
BOTH = [
    pytest.param(ortmmap, ortmmap_session, id="ortmmap"),
    pytest.param(onnxruntime, onnxruntime_session, id="onnxruntime"),
]


def expected() -> np.ndarray:
    return onnxruntime_session(models.affine()).run(None, {"x": X})[0]


@pytest.mark.parametrize(("module", "make"), BOTH)
def test_values_in_give_values_out(module, make):
    session = make(models.affine())
    value = module.OrtValue.ortvalue_from_numpy(X)
    for names in (None, ["y"]):
        (result,) = session.run_with_ort_values(names, {"x": value})
        assert isinstance(result, module.OrtValue)
        assert_same(result.numpy(), expected())


def test_values_are_inputs_of_an_ordinary_run():
    session = ortmmap_session(models.affine())
    value = ortmmap.OrtValue.ortvalue_from_numpy(X)
    assert_same(session.run(None, {"x": value})[0], expected())
    wrong = ortmmap.OrtValue.ortvalue_from_numpy(X.astype("f8"))
    assert isinstance(caught(session.run, None, {"x": wrong}), ValueError)


def test_a_value_that_is_handed_through_keeps_its_memory():
    session = ortmmap_session(models.handed_through())
    array = np.arange(6, dtype="f4").reshape(2, 3)
    (value,) = session.run_with_ort_values(
        ["same"], {"x": ortmmap.OrtValue.ortvalue_from_numpy(array)}
    )
    del array
    assert value.numpy().tolist() == [[0, 1, 2], [3, 4, 5]]


def test_what_is_no_value_raises():
    for session in (ortmmap_session(models.affine()), onnxruntime_session(models.affine())):
        error = caught(session.run_with_ort_values, None, {"x": X})
        assert isinstance(error, (AttributeError, TypeError))


def test_a_vector_of_outputs_is_filled_and_then_written_to():
    session = ortmmap_session(models.affine())
    feeds = ortmmap.OrtValueVector([ortmmap.OrtValue.ortvalue_from_numpy(X)])
    fetches = ortmmap.OrtValueVector()
    session.run_with_ortvaluevector(None, ["x"], feeds, ["y"], fetches, [])
    assert_same(fetches[0].numpy(), expected())
    address = fetches[0].data_ptr()
    session.run_with_ortvaluevector(ortmmap.RunOptions(), ["x"], feeds, ["y"], fetches)
    assert fetches[0].data_ptr() == address


def test_options_of_onnxruntime_are_honoured():
    options = configured(onnxruntime.SessionOptions())
    options.add_session_config_entry("session.load_model_format", "ONNX")
    session = ortmmap.Session(models.affine(), options)
    assert_same(session.run(None, {"x": X}, onnxruntime.RunOptions())[0], expected())
    assert session.get_session_options().intra_op_num_threads == 1


@pytest.mark.parametrize("source", ["path", "ORT bytes"])
def test_setting_the_same_providers_again_changes_nothing(write, source):
    model = to_ort(models.affine())
    session = ortmmap_session(write(model) if source == "path" else model)
    session.set_providers(["CPUExecutionProvider"])
    session.set_providers(["CPUExecutionProvider"], [{}])
    assert session.get_providers() == ["CPUExecutionProvider"]
    assert_same(session.run(None, {"x": X})[0], expected())


def test_a_session_is_not_created_again_while_it_runs():
    session = ortmmap_session(models.endless())
    options = ortmmap.RunOptions()
    feed = {"rounds": np.array(10**9), "x": np.ones(4, "f4")}
    thread = threading.Thread(target=caught, args=(session.run, None, feed, options))
    thread.start()
    error = None
    while error is None and thread.is_alive():
        error = caught(session.set_providers, ["CPUExecutionProvider"])
    options.terminate = True
    thread.join()
    assert isinstance(error, RuntimeError)


@pytest.mark.parametrize("method", ["enable_fallback", "disable_fallback"])
def test_fallback_is_accepted(method):
    getattr(ortmmap_session(models.affine()), method)()


@pytest.mark.parametrize("method", ["get_output_memory_infos", "get_input_epdevices"])
def test_a_closed_session_reports_nothing(method):
    session = ortmmap_session(models.affine())
    session.close()
    assert isinstance(caught(getattr(session, method)), ValueError)


def test_a_description_of_memory_outlives_its_session():
    session = ortmmap_session(models.affine())
    found = session.get_input_memory_infos() + session.get_output_memory_infos()
    session.close()
    assert [info.name for info in found] == ["Cpu", "Cpu"]


def test_a_session_without_inputs_has_no_memory_for_them():
    constant = models.node("Constant", "", "y", value=models.constant("", np.ones(2, "f4")))
    session = ortmmap_session(models.build([constant], [], [models.tensor("y", shape=[2])]))
    assert session.get_input_memory_infos() == session.get_input_epdevices() == []
    assert len(session.get_output_memory_infos()) == 1


def test_wrong_tuning_results_are_refused_as_by_onnxruntime():
    theirs, ours = onnxruntime.InferenceSession(models.affine()), ortmmap_session(models.affine())
    of_cpu = {"ep": "CPUExecutionProvider", "results": {}, "validators": {}}
    for wrong in (None, "text", ({},), [5], [{}], [{"ep": "A"}], [{**of_cpu, "results": 5}]):
        error = caught(theirs.set_tuning_results, wrong)
        assert type(caught(ours.set_tuning_results, wrong)) is type(error)
    with pytest.warns(UserWarning, match="TunableOp"):
        ours.set_tuning_results([of_cpu])
    error = caught(ours.set_tuning_results, [of_cpu], error_on_invalid=True)
    assert isinstance(error, RuntimeError)


def test_every_method_of_onnxruntimes_session_is_there():
    missing = {
        name
        for name in dir(onnxruntime.InferenceSession)
        if not name.startswith("_") and not hasattr(ortmmap.Session, name)
    }
    assert missing == set()


def test_every_attribute_of_onnxruntimes_options_is_there():
    for name in ("SessionOptions", "RunOptions", "OrtValue", "IOBinding", "SparseTensor"):
        theirs = {item for item in dir(getattr(onnxruntime, name)) if not item.startswith("_")}
        assert theirs - set(dir(getattr(ortmmap, name))) <= {
            "set_ep_context_data_read_func",
            "clear_ep_context_data_read_func",
        }


def test_dynamic_options_are_passed_on():
    session = ortmmap_session(models.affine())
    session.set_ep_dynamic_options({})
    error = caught(session.set_ep_dynamic_options, {"ep.dynamic.workload_type": "Default"})
    assert error is None or isinstance(error, RuntimeError)


# --- options that carry values ---


def external_model(tmp_path) -> tuple[bytes, np.ndarray, bytes]:
    model = onnx.load_from_string(models.affine())
    weights = onnx.numpy_helper.to_array(model.graph.initializer[0]).copy()
    convert_model_to_external_data(model, location="weights.bin", size_threshold=100)
    onnx.save(model, tmp_path / "model.onnx")
    contents = (tmp_path / "weights.bin").read_bytes()
    (tmp_path / "weights.bin").unlink()
    return (tmp_path / "model.onnx").read_bytes(), weights, contents


@pytest.mark.parametrize("module", [ortmmap, onnxruntime])
def test_an_added_initializer_stands_for_the_models(module, tmp_path):
    weights = np.ones((8, 4), "f4")
    options = configured(module.SessionOptions())
    value = module.OrtValue.ortvalue_from_numpy(weights)
    options.add_initializer("w", value)
    if module is ortmmap:
        del value  # onnxruntime reads freed memory where its user lets go of it
    model, _, contents = external_model(tmp_path)
    (tmp_path / "weights.bin").write_bytes(contents)
    session = module.InferenceSession(str(tmp_path / "model.onnx"), options)
    bias = onnx.numpy_helper.to_array(onnx.load_from_string(model).graph.initializer[1])
    (result,) = session.run(None, {"x": X})
    np.testing.assert_allclose(result, np.maximum(X @ weights + bias, 0), rtol=1e-5)


@pytest.mark.parametrize("module", [ortmmap, onnxruntime])
def test_external_initializers_come_from_values(module, tmp_path):
    model, weights, _ = external_model(tmp_path)
    options = configured(module.SessionOptions())
    options.add_external_initializers(["w"], [module.OrtValue.ortvalue_from_numpy(weights)])
    session = module.InferenceSession(model, options)
    assert_same(session.run(None, {"x": X})[0], expected())


def test_external_files_come_from_memory(tmp_path):
    model, _, contents = external_model(tmp_path)
    (tmp_path / "other").mkdir()
    path = tmp_path / "other" / "model.onnx"
    path.write_bytes(model)
    options = configured(ortmmap.SessionOptions())
    options.add_external_initializers_from_files_in_memory(
        ["weights.bin"], [bytearray(contents)], [len(contents)]
    )
    assert_same(ortmmap.Session(path, options).run(None, {"x": X})[0], expected())


def test_what_is_no_value_cannot_be_an_initializer():
    options = ortmmap.SessionOptions()
    for bad in (X, None, 3):
        assert isinstance(caught(options.add_initializer, "w", bad), TypeError)
    with pytest.raises(ValueError, match="values"):
        options.add_external_initializers(["w"], [])


def test_added_providers_are_used_and_told():
    options = configured(ortmmap.SessionOptions())
    assert not options.has_providers()
    options.add_provider("CPUExecutionProvider", {})
    assert options.has_providers()
    assert ortmmap.Session(models.affine(), options).get_providers() == ["CPUExecutionProvider"]
    with pytest.warns(UserWarning, match="providers"):
        ortmmap.Session(models.affine(), options, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("module", [ortmmap, onnxruntime])
def test_a_cancelled_load_raises(module):
    options = configured(module.SessionOptions())
    options.set_load_cancellation_flag(True)
    error = caught(module.InferenceSession, models.affine(), options, enable_fallback=0)
    assert {"ModelLoadCanceled", "Fail"} & class_names(error)
    options.set_load_cancellation_flag(False)
    module.InferenceSession(models.affine(), options)


def test_a_load_is_cancelled_from_another_thread(write):
    path = write(models.weights(64, 512), "large.onnx")
    options = configured(ortmmap.SessionOptions())
    stop = threading.Event()

    def cancel() -> None:
        while not stop.is_set():
            if options._cancellation.creating:
                options.set_load_cancellation_flag(True)
                return
            time.sleep(0)

    thread = threading.Thread(target=cancel)
    thread.start()
    error = caught(ortmmap.Session, path, options, cache=False)
    stop.set()
    thread.join()
    assert error is None or "ModelLoadCanceled" in class_names(error)
    assert not options._cancellation.creating


def test_custom_operators_of_onnxruntime_extensions_run():
    extensions = pytest.importorskip("onnxruntime_extensions")
    model = models.build(
        [models.node("StringUpper", "x", "y", domain="ai.onnx.contrib")],
        [models.tensor("x", object, ["n"])],
        [models.tensor("y", object, ["n"])],
    )
    proto = onnx.load_from_string(model)
    proto.opset_import.append(onnx.helper.make_opsetid("ai.onnx.contrib", 1))
    options = configured(ortmmap.SessionOptions())
    options.register_custom_ops_library(extensions.get_library_path())
    session = ortmmap.Session(proto.SerializeToString(), options)
    (result,) = session.run(None, {"x": np.array(["a", "b"], object)})
    assert result.tolist() == ["A", "B"]


def test_an_adapter_that_is_none_raises(tmp_path):
    (tmp_path / "bad").write_bytes(b"none")
    assert isinstance(caught(ortmmap.LoraAdapter.Load, tmp_path / "bad"), RuntimeError)
    with pytest.raises(TypeError):
        ortmmap.RunOptions().add_active_adapter(None)


@pytest.mark.parametrize("make", [ortmmap_session, onnxruntime_session])
def test_a_session_takes_attributes_of_its_users(make):
    session = make(models.affine())
    session.input_name = session.get_inputs()[0].name
    assert session.input_name == "x"
    with pytest.raises(AttributeError):
        session.no_such_attribute  # noqa: B018


def test_the_arguments_of_a_session_can_be_inspected():
    ours, theirs = (inspect.signature(m.InferenceSession) for m in (ortmmap, onnxruntime))
    first = list(ours.parameters.values())[:4]
    assert [(p.name, p.default) for p in first] == [
        (p.name, p.default) for p in list(theirs.parameters.values())[:4]
    ]


@pytest.mark.parametrize("name", ["ExecutionMode", "ExecutionOrder", "GraphOptimizationLevel"])
def test_enums_are_written_as_onnxruntimes(name):
    theirs = getattr(onnxruntime, name, None)
    if theirs is None:
        pytest.skip(f"this onnxruntime has no {name}")
    for member in getattr(ortmmap, name):
        their_member = getattr(theirs, member.name)
        assert (str(member), f"{member}", int(member)) == (
            str(their_member),
            f"{their_member}",
            int(their_member),
        )


def test_the_state_module_has_classes_and_exceptions():
    state = ortmmap.capi.onnxruntime_pybind11_state
    assert state.OrtValueVector is ortmmap.OrtValueVector
    assert state.InvalidArgument is ortmmap.errors.InvalidArgument
    with pytest.raises(AttributeError):
        state.nothing  # noqa: B018


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"no_such_argument": 1}, "ignores"),
        ({"providers": "CPUExecutionProvider"}, "created on the CPU"),
    ],
    ids=["unknown", "malformed"],
)
def test_a_warning_about_an_argument_points_at_the_caller(arguments, text):
    with pytest.warns(UserWarning, match=text) as caught_:
        ortmmap.Session(models.affine(), **arguments)
    assert caught_[0].filename == __file__
