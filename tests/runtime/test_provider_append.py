"""Execution providers appended to session options: by name, for devices, by selection.

The wheel for the CPU has few providers. `native/gpu_library.c` wraps its library and adds the
others as stubs; these tests check that each is appended with its options.
"""

import functools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import models
import numpy as np
import onnxruntime
import pytest
from support import REPOSITORY, ask_python, caught, class_names

import ortmmap

CPU = "CPUExecutionProvider"
AZURE = "AzureExecutionProvider"
OWN = {
    "CANNExecutionProvider": "CANN",
    "CUDAExecutionProvider": "CUDA",
    "DnnlExecutionProvider": "Dnnl",
    "ROCMExecutionProvider": "ROCM",
    "TensorrtExecutionProvider": "TensorRT",
}
BY_NAME = ["MIGraphXExecutionProvider", "OpenVINOExecutionProvider"]
FEED = {"x": np.ones((2, 8), "f4")}
CREATE = """
import json, sys, warnings
import models, ortmmap

options = ortmmap.SessionOptions()
options.log_severity_level = 4
arguments = json.loads(sys.argv[1])
providers = [tuple(item) if isinstance(item, list) else item for item in arguments["providers"]]
found = {}
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    try:
        session = ortmmap.Session(
            models.affine(), options, providers, enable_fallback=arguments["fallback"]
        )
        found["providers"] = session.get_providers()
        found["options"] = session.get_provider_options()
    except Exception as error:
        found["raises"] = [cls.__name__ for cls in type(error).__mro__]
        found["text"], found["provider"] = str(error), error.provider
found["warnings"] = [str(warning.message) for warning in caught]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def gpu_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if sys.platform != "linux":
        pytest.skip("the library is built for Linux")
    compiler = shutil.which(os.environ.get("CC", "cc")) or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    path = tmp_path_factory.mktemp("library") / "libonnxruntime.so"
    source = REPOSITORY / "tests" / "native" / "gpu_library.c"
    include = REPOSITORY / "include"
    subprocess.run(
        [compiler, "-shared", "-fPIC", f"-I{include}", source, "-o", path, "-ldl"], check=True
    )
    return path


@pytest.fixture
def create(gpu_library, tmp_path):
    """Create a session with the wrapped library; return the outcome and the recorded calls."""
    calls = tmp_path / "calls"

    def create(providers: list, broken: str = "", fallback: int = 1) -> tuple[dict, list]:
        calls.write_text("")
        found = ask_python(
            CREATE,
            json.dumps({"providers": providers, "fallback": fallback}),
            env={
                "ORTMMAP_ONNXRUNTIME": str(gpu_library),
                "ORTMMAP_TEST_LIBRARY": ortmmap.get_library_path(),
                "ORTMMAP_TEST_CALLS": str(calls),
                "ORTMMAP_TEST_BROKEN": broken,
            },
        )
        return found, calls.read_text().splitlines()

    return create


@pytest.mark.parametrize("name", OWN)
def test_a_provider_with_functions_of_its_own_is_appended_by_them(create, name):
    short = OWN[name]
    found, calls = create([(name, {"device_id": 1, "größe": "8·4"}), CPU])
    assert calls == [
        f"Create {short}",
        f"Update {short} device_id=1",
        f"Update {short} größe=8·4",
        f"Append {short}",
        f"Release {short}",
    ]
    assert found["providers"] == [name, CPU]
    assert found["options"] == {name: {"device_id": "1", "größe": "8·4"}, CPU: {}}
    assert found["warnings"] == []


@pytest.mark.parametrize("name", OWN)
def test_without_options_nothing_is_updated(create, name):
    _, calls = create([name])
    assert calls == [f"{what} {OWN[name]}" for what in ("Create", "Append", "Release")]


@pytest.mark.parametrize("name", BY_NAME)
def test_the_others_are_appended_by_their_name(create, name):
    found, calls = create([(name, {"device_type": "GPU"})])
    assert calls == ["Options device_type=GPU", f"Append {name}"]
    assert found["providers"] == [name, CPU]


@pytest.mark.parametrize("name", [*OWN, *BY_NAME])
def test_an_option_that_is_wrong_raises_what_onnxruntime_says(create, name):
    found, calls = create([(name, {"nonsense": "1"}), CPU], fallback=0)
    assert found["raises"][0] == "InvalidArgument"
    assert "nonsense" in found["text"]
    assert found["provider"] == name
    assert not any(call.startswith("Append") for call in calls)
    if name in OWN:
        assert calls[-1] == f"Release {OWN[name]}"


def test_a_provider_that_cannot_be_added_is_left_out_and_told(create):
    """onnxruntime too continues with the others, and logs the error."""
    found, _ = create(["TensorrtExecutionProvider", "CUDAExecutionProvider"], broken="TensorRT")
    assert found["providers"] == ["CUDAExecutionProvider", CPU]
    (text,) = found["warnings"]
    assert "TensorrtExecutionProvider cannot be added" in text
    assert "Failed to load shared library" in text
    found, _ = create(["TensorrtExecutionProvider", "CUDAExecutionProvider"], "TensorRT CUDA")
    assert found["providers"] == [CPU]
    assert len(found["warnings"]) == 2


def test_without_fallback_it_raises(create):
    found, calls = create(["CUDAExecutionProvider", CPU], broken="CUDA", fallback=0)
    assert found["raises"][0] == "Fail"
    assert found["provider"] == "CUDAExecutionProvider"
    assert calls[-1] == "Release CUDA"


@pytest.mark.parametrize("name", [*OWN, *BY_NAME, "NothingExecutionProvider", "", CPU, AZURE])
def test_add_provider_ends_as_in_onnxruntime(name):
    ours = caught(ortmmap.SessionOptions().add_provider, name, {"a": "b"})
    theirs = caught(onnxruntime.SessionOptions().add_provider, name, {"a": "b"})
    if theirs is None:
        assert ours is None
    else:
        assert type(theirs).__name__ in class_names(ours)


# --- for devices, by selection ---


def created(module: object, prepare: object, providers: list | None = None) -> object:
    """Return the providers of a session, or the exception."""
    options = module.SessionOptions()
    options.log_severity_level = 4
    try:
        prepare(module, options)
        session = module.InferenceSession(models.affine(), options, providers, enable_fallback=0)
    except Exception as error:
        return error
    assert session.run(None, FEED)[0].shape == (2, 4)
    return session.get_providers(), session.get_provider_options(), options.has_providers()


def assert_created_alike(prepare: object, providers: list | None = None) -> object:
    ours, theirs = (created(module, prepare, providers) for module in (ortmmap, onnxruntime))
    if isinstance(theirs, Exception):
        assert type(theirs).__name__ in class_names(ours)
    else:
        assert ours == theirs
    return ours


def for_devices(module: object, options: object, settings: dict | None = None) -> None:
    options.add_provider_for_devices(module.get_ep_devices(), settings or {})


def for_azure(_: object, options: object) -> None:
    options.add_provider(AZURE, {})


@pytest.mark.parametrize(
    "steps",
    [
        [for_devices],
        [functools.partial(for_devices, settings={"a.key": "b"})],
        [for_devices, for_azure],
        [for_azure, for_devices],
    ],
)
def test_a_provider_is_added_for_devices(steps):
    def prepare(module, options):
        for step in steps:
            step(module, options)

    assert_created_alike(prepare)


def test_providers_that_are_named_come_before_those_of_the_options():
    with pytest.warns(UserWarning, match="providers"):
        assert_created_alike(for_devices, [AZURE])


@pytest.mark.parametrize(
    ("devices", "settings"),
    [
        (lambda _: [], {}),
        (lambda _: [5], {}),
        (lambda _: 5, {}),
        (lambda known: known, {"key": 5}),
        (lambda known: known, None),
        (lambda known: known * 2, {}),
    ],
    ids=["none", "an int among them", "an int", "option of int", "no options", "one twice"],
)
def test_wrong_devices_raise_what_onnxruntime_raises(devices, settings):
    def prepare(module, options):
        options.add_provider_for_devices(devices(module.get_ep_devices()), settings)

    assert isinstance(assert_created_alike(prepare), Exception)


def test_devices_of_several_providers_are_refused():
    device = ortmmap.get_ep_devices()[0]
    other = device._replace(ep_name="OtherExecutionProvider")
    with pytest.raises(ortmmap.errors.InvalidArgument, match="OtherExecutionProvider"):
        ortmmap.SessionOptions().add_provider_for_devices([device, other], {})


def test_a_device_that_is_no_more_is_named(affine):
    options = ortmmap.SessionOptions()
    gone = ortmmap.get_ep_devices()[0]._replace(ep_name="PluginExecutionProvider")
    options.add_provider_for_devices([gone], {})
    with pytest.raises(ortmmap.errors.InvalidArgument, match="PluginExecutionProvider") as raised:
        ortmmap.Session(affine, options, enable_fallback=0)
    assert raised.value.provider == "PluginExecutionProvider"


def test_onnxruntimes_devices_are_taken(affine):
    options = ortmmap.SessionOptions()
    options.add_provider_for_devices(onnxruntime.get_ep_devices(), {})
    assert options._provider_devices == {CPU: tuple(ortmmap.get_ep_devices())}
    assert ortmmap.Session(affine, options).get_providers() == [CPU]


@pytest.mark.parametrize("policy", list(ortmmap.OrtExecutionProviderDevicePolicy))
def test_every_policy_selects_what_onnxruntime_selects(policy):
    def prepare(module, options):
        policies = module.OrtExecutionProviderDevicePolicy
        options.set_provider_selection_policy(getattr(policies, policy.name))

    assert_created_alike(prepare)


def test_the_policies_are_onnxruntimes():
    theirs = onnxruntime.OrtExecutionProviderDevicePolicy.__members__
    ours = ortmmap.OrtExecutionProviderDevicePolicy.__members__
    assert {name: int(value) for name, value in ours.items()} == {
        name: int(value.value) for name, value in theirs.items()
    }


def test_a_delegate_is_asked_with_what_onnxruntime_gives():
    asked = {}

    def prepare(module, options):
        def delegate(devices, model, runtime, most):
            names = [device.ep_name for device in devices]
            asked[module] = names, dict(model), dict(runtime), most
            return list(devices)[:1]

        options.set_provider_selection_policy_delegate(delegate)

    assert_created_alike(prepare)
    assert asked[ortmmap] == asked[onnxruntime]


@pytest.mark.parametrize(
    "delegate",
    [
        lambda *_: [],
        lambda *_: 1 / 0,
        lambda *_: [5],
        lambda *_: None,
        lambda devices, *_: list(devices) * 9,
        lambda: [],
    ],
    ids=["nothing", "raises", "no device", "None", "too many", "no arguments"],
)
def test_a_delegate_that_fails_ends_as_in_onnxruntime(delegate):
    error = assert_created_alike(
        lambda _, options: options.set_provider_selection_policy_delegate(delegate)
    )
    assert "delegate" in str(error)


def test_a_selected_session_is_not_cached(onnx_file, tmp_path):
    """Other devices, or another choice of the delegate, lead to another session."""
    options = ortmmap.SessionOptions()
    options.set_provider_selection_policy(ortmmap.OrtExecutionProviderDevicePolicy.PREFER_CPU)
    folder = tmp_path / "cache"
    ortmmap.Session(onnx_file, options, cache=folder)
    assert not folder.exists() or not list(folder.iterdir())
    ortmmap.Session(onnx_file, cache=folder)
    assert list(folder.iterdir())


def test_options_are_copied_with_what_selects_providers():
    options = ortmmap.SessionOptions()
    options.add_provider_for_devices(ortmmap.get_ep_devices(), {})
    options.set_provider_selection_policy_delegate(print)
    copied = options.copy()
    assert copied._provider_devices == options._provider_devices
    assert copied._selection_delegate is print
