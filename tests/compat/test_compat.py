"""onnxruntime beside ortmmap: its options, its exceptions, and the patch that makes it ours."""

import inspect
import pickle
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import models
import numpy as np
import onnxruntime
import pytest
from onnxruntime import InferenceSession as NameBefore
from onnxruntime import IOBinding as BindingBefore
from onnxruntime import OrtValue as ValueBefore
from support import ask_python, run_python

import ortmmap
from ortmmap import errors
from ortmmap.abi.config_keys import RUN_CONFIG_KEYS, SESSION_CONFIG_KEYS
from ortmmap.session import foreign_options as compat

STATE = onnxruntime.capi.onnxruntime_pybind11_state
MODEL = models.affine()
X = np.ones((2, 8), "f4")


class SubclassBefore(NameBefore):
    def __init__(self, model: bytes) -> None:
        super().__init__(model)
        self.tag = "mine"


@pytest.fixture
def patched() -> Iterator[object]:
    with ortmmap.patch_onnxruntime() as patch:
        yield patch


# onnxruntime's options


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("enable_cpu_mem_arena", False),
        ("enable_mem_pattern", False),
        ("enable_profiling", True),
        ("execution_mode", onnxruntime.ExecutionMode.ORT_PARALLEL),
        ("graph_optimization_level", onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC),
        ("inter_op_num_threads", 2),
        ("intra_op_num_threads", 3),
        ("log_severity_level", 3),
        ("log_verbosity_level", 4),
        ("logid", "größe"),
        ("optimized_model_filepath", "saved.onnx"),
        ("profile_file_prefix", "profile"),
        ("use_deterministic_compute", True),
        ("use_per_session_threads", False),
    ],
)
def test_every_attribute_is_read(name, value):
    theirs = onnxruntime.SessionOptions()
    setattr(theirs, name, value)
    ours = compat.session_options_from(theirs)
    assert getattr(ours, name) == getattr(value, "value", value)
    others = set(compat.SESSION_ATTRIBUTES) - {name}
    default = ortmmap.SessionOptions()
    assert {n: getattr(ours, n) for n in others} == {n: getattr(default, n) for n in others}


def test_every_attribute_of_onnxruntime_is_listed():
    for cls, listed in (
        (onnxruntime.SessionOptions, compat.SESSION_ATTRIBUTES),
        (onnxruntime.RunOptions, compat.RUN_ATTRIBUTES),
    ):
        properties = {name for name, value in vars(cls).items() if isinstance(value, property)}
        assert properties == set(listed)


def test_every_known_entry_is_read():
    theirs, run = onnxruntime.SessionOptions(), onnxruntime.RunOptions()
    for number, key in enumerate(SESSION_CONFIG_KEYS):
        theirs.add_session_config_entry(key, str(number))
    for key in RUN_CONFIG_KEYS:
        run.add_run_config_entry(key, "1")
    ours = compat.session_options_from(theirs)
    assert [ours.get_session_config_entry(key) for key in SESSION_CONFIG_KEYS] == [
        str(number) for number in range(len(SESSION_CONFIG_KEYS))
    ]
    ours_run = compat.run_options_from(run)
    assert {ours_run.get_run_config_entry(key) for key in RUN_CONFIG_KEYS} == {"1"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("enable_mem_reuse", False),
        ("execution_order", onnxruntime.ExecutionOrder.PRIORITY_BASED),
    ],
)
def test_a_setting_that_the_c_api_lacks_is_told(name, value):
    theirs = onnxruntime.SessionOptions()
    setattr(theirs, name, value)
    with pytest.warns(UserWarning, match=name):
        compat.session_options_from(theirs)


def test_providers_that_were_added_are_told():
    theirs = onnxruntime.SessionOptions()
    theirs.add_provider("AzureExecutionProvider", {})
    with pytest.warns(UserWarning, match="providers"):
        compat.session_options_from(theirs)


def test_a_session_runs_with_options_of_onnxruntimes():
    theirs, run = onnxruntime.SessionOptions(), onnxruntime.RunOptions()
    theirs.logid, run.logid = "theirs", "run"
    session = ortmmap.Session(MODEL, theirs)
    assert session.get_session_options().logid == "theirs"
    assert session.run(None, {"x": X}, run)[0].shape == (2, 4)


def test_run_options_are_read_at_each_run():
    theirs = onnxruntime.RunOptions()
    theirs.logid = "first"
    ours = compat.run_options_from(theirs)
    theirs.logid, theirs.log_severity_level = "second", 3
    assert compat.run_options_from(theirs) is ours
    assert (ours.logid, ours.log_severity_level) == ("second", 3)


@pytest.mark.parametrize("value", [5, "text", {}, object(), onnxruntime.NodeArg])
def test_what_are_no_options_is_refused(value):
    with pytest.raises(TypeError):
        compat.session_options_from(value)
    with pytest.raises(TypeError):
        compat.run_options_from(value)


def test_onnxruntime_is_not_imported_by_ortmmap():
    code = "import json, sys, ortmmap; ortmmap.patch_onnxruntime; ortmmap.get_available_providers()"
    assert ask_python(f"{code}; print(json.dumps('onnxruntime' in sys.modules))") is False


# Exceptions


@pytest.mark.parametrize("cls", errors.BY_CODE.values(), ids=lambda cls: cls.__name__)
def test_an_error_is_caught_as_onnxruntimes(cls):
    with pytest.raises(getattr(STATE, cls.__name__)) as caught:
        raise cls("the text")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert type(copy) is type(caught.value) is cls
    assert str(copy) == "the text"


@pytest.mark.parametrize("order", ["onnxruntime, ortmmap", "ortmmap, onnxruntime"])
def test_the_order_of_imports_does_not_matter(order):
    code = f"""
import {order}, json
from ortmmap import errors
try:
    raise errors.from_status(2, "text")
except onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument as error:
    print(json.dumps(type(error).__name__))
"""
    assert ask_python(code) == "InvalidArgument"


def test_an_error_from_before_the_import_is_caught_too():
    code = """
import json, ortmmap
from ortmmap import errors
early = errors.Fail("early")
import onnxruntime
errors.Fail("later")
print(json.dumps(isinstance(early, onnxruntime.capi.onnxruntime_pybind11_state.Fail)))
"""
    assert ask_python(code) is True


def test_a_file_error_keeps_its_attributes_when_pickled():
    error = errors.system_error("cannot open", "/nothing", 2)
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.errno, copy.filename, copy.path, str(copy)) == (
        2,
        "/nothing",
        "/nothing",
        str(error),
    )


# The patch


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
    with ortmmap.patch_onnxruntime():
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
    with ortmmap.patch_onnxruntime():
        assert list(inspect.signature(onnxruntime.InferenceSession).parameters) == names
    assert list(inspect.signature(onnxruntime.InferenceSession).parameters) == names


def test_undoing_gives_the_names_back():
    names = ("InferenceSession", "IOBinding", "OrtValue", "SparseTensor", "set_seed")
    before = {name: getattr(onnxruntime, name) for name in names}
    factory = ValueBefore.ortvalue_from_numpy
    with ortmmap.patch_onnxruntime():
        assert all(getattr(onnxruntime, name) is not value for name, value in before.items())
    assert {name: getattr(onnxruntime, name) for name in names} == before
    assert ValueBefore.ortvalue_from_numpy == factory
    assert type(NameBefore(MODEL)) is NameBefore
    assert type(SubclassBefore(MODEL)) is SubclassBefore
    assert type(ValueBefore.ortvalue_from_numpy(X)) is ValueBefore
    assert isinstance(BindingBefore(NameBefore(MODEL)), BindingBefore)


def test_patches_nest_and_repeat():
    for _ in range(2):
        first, second = ortmmap.patch_onnxruntime(), ortmmap.patch_onnxruntime()
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
def test_what_options_cannot_tell_is_recorded():
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
def test_settings_of_the_process_are_made_in_both():
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


# Scripts


SCRIPT = """
import sys
import onnxruntime
from helper import X
print(sys.argv[1:], __name__, onnxruntime.InferenceSession.__mro__[1].__module__, X)
if "raise" in sys.argv:
    raise ValueError("mine")
sys.exit(int(sys.argv[-1]))
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    (tmp_path / "helper.py").write_text("X = 5\n")
    (tmp_path / "script.py").write_text(SCRIPT)
    return tmp_path / "script.py"


def run(*arguments: object, **kwargs: object) -> subprocess.CompletedProcess:
    code = "import sys; from ortmmap.compat import run_script; run_script.main(sys.argv[1:])"
    return run_python(code, *arguments, check=False, **kwargs)


def test_a_script_runs_patched_with_its_own_arguments(script):
    done = run(script, "--help", "-m", "0")
    assert done.stdout == "['--help', '-m', '0'] __main__ ortmmap._core 5\n"
    assert done.returncode == 0


def test_a_module_runs_patched(script):
    done = run("-m", "script", "--x", "7", cwd=script.parent)
    assert done.stdout == "['--x', '7'] __main__ ortmmap._core 5\n"
    assert done.returncode == 7


def test_the_exit_code_is_the_scripts(script):
    assert run(script, "3").returncode == 3


def test_a_traceback_shows_the_script_only(script):
    done = run(script, "raise")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert f'File "{script}", line 7' in lines[1]
    assert lines[-1] == "ValueError: mine"


def test_a_script_that_is_not_there_ends_with_2(tmp_path):
    done = run(tmp_path / "nothing.py")
    assert done.returncode == 2
    assert "nothing.py" in done.stderr


@pytest.mark.parametrize("arguments", [(), ("--bogus",), ("-m",)])
def test_a_wrong_command_line_shows_how_it_is_used(arguments):
    done = run(*arguments)
    assert done.returncode == 2
    assert "Usage" in done.stderr


def test_help_is_shown():
    done = run("--help")
    assert (done.returncode, "Usage" in done.stdout) == (0, True)


# Names of the module


def test_names_of_onnxruntime_exist_or_are_listed():
    missing = {name for name in dir(onnxruntime) if not name.startswith("_")} - set(dir(ortmmap))
    assert missing <= set(ABSENT), sorted(missing - set(ABSENT))
    assert not set(ABSENT) & set(dir(ortmmap))


ABSENT = {
    **dict.fromkeys(
        [
            "AdapterFormat",
            "ModelCompiler",
            "ModelPackage",
            "ModelPackageComponentContext",
            "ModelPackageContext",
            "ModelPackageOptions",
            "ModelPackageWriteMode",
            "OrtCompileApiFlags",
            "OrtEpAssignedNode",
            "OrtEpAssignedSubgraph",
            "OrtEpContextData",
            "OrtEpContextDataBuffer",
            "OrtExternalInitializerInfo",
        ],
        "makes models, or adapters, for other execution providers: not sessions",
    ),
    "OrtSyncStream": "of devices that compute beside the CPU",
    **dict.fromkeys(
        [
            "contextlib",
            "import_capi_exception",
            "onnxruntime_validation",
            "backend",
            "datasets",
            "quantization",
            "tools",
            "transformers",
        ],
        "of the package onnxruntime itself",
    ),
}


def test_module_functions_answer_as_onnxruntime():
    assert set(onnxruntime.get_all_providers()) <= set(ortmmap.get_all_providers())
    assert ortmmap.get_device() == onnxruntime.get_device()
    assert ortmmap.has_collective_ops() == onnxruntime.has_collective_ops()
    ours, theirs = ortmmap.get_ep_devices()[0], onnxruntime.get_ep_devices()[0]
    assert (ours.ep_name, ours.ep_vendor, ours.ep_metadata, ours.ep_options) == (
        theirs.ep_name,
        theirs.ep_vendor,
        theirs.ep_metadata,
        theirs.ep_options,
    )
    assert ours.device.vendor == theirs.device.vendor
    assert ours.device.type == theirs.device.type.value


@pytest.mark.parametrize("name", ["cpu", "cuda", "gpu", "npu", "dml", "cann", "webgpu"])
def test_a_device_is_described_as_onnxruntimes(name):
    ours, theirs = ortmmap.OrtDevice.make(name, 1), onnxruntime.OrtDevice.make(name, 1)
    for what in ("device_id", "device_type", "device_mem_type"):
        assert getattr(ours, what)() == getattr(theirs, what)()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("register_execution_provider_library", ("x", "/no/such/library")),
        ("unregister_execution_provider_library", ("never registered",)),
        ("set_default_logger_severity", (9,)),
    ],
)
def test_module_functions_refuse_as_onnxruntime(name, arguments):
    with pytest.raises(Exception) as theirs:  # noqa: PT011 - its class is what matters
        getattr(onnxruntime, name)(*arguments)
    with pytest.raises(theirs.type):
        getattr(ortmmap, name)(*arguments)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("set_seed", (1,)),
        ("set_default_logger_verbosity", (1,)),
        ("set_default_logger_callback", (print,)),
    ],
)
def test_what_the_c_api_lacks_says_so(name, arguments):
    with pytest.raises(NotImplementedError, match="C API"):
        getattr(ortmmap, name)(*arguments)


def test_sessions_share_the_threads_of_the_process():
    code = """
import json, sys, numpy, models, ortmmap
ortmmap.set_global_thread_pool_sizes(2, 1)
options = ortmmap.SessionOptions()
options.use_per_session_threads = False
session = ortmmap.Session(models.affine(), options)
shape = session.run(None, {"x": numpy.ones((2, 8), "f4")})[0].shape
try:
    ortmmap.set_global_thread_pool_sizes(2, 1)
except RuntimeError:
    print(json.dumps(shape))
"""
    assert ask_python(code) == [2, 4]
