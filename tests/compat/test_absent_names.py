"""Names of onnxruntime that ortmmap does not have: each is listed, with the reason."""

import re

import onnxruntime
import pytest
from support import REPOSITORY, ask_python, caught

import ortmmap
from ortmmap.compat.absent import NATIVE_REASONS, PACKAGE, REASONS

STATE = onnxruntime.capi.onnxruntime_pybind11_state

ENUM = "the enum is Python's: a member is an integer and has no method of pybind11's"
PYBIND = "of pybind11"
WEBGPU = "of graphs that are captured on a GPU"
PARTS = "a part of onnxruntime's own class of the same purpose"
PACKAGES = "of sessions that are opened from packages of models"

# Functions that onnxruntime's own tools quantize and pack weights by.
FOR_TOOLS = r"(pack|quantize)_"

CLASSES = {
    "IOBinding": dict.fromkeys(
        ["_capture_signature", "_reject_if_pinned", "_validate_capture_bindings"], WEBGPU
    ),
    "InferenceSession": {
        **dict.fromkeys(
            [
                "_bind_session",
                "_create_inference_session",
                "_register_ep_custom_ops",
                "_reset_session",
                "_validate_ortvalue_ownership",
            ],
            PARTS,
        ),
        **dict.fromkeys(
            ["_check_session_can_be_recreated", "_from_initialized_c_session"], PACKAGES
        ),
        **dict.fromkeys(["_release_captured_graphs", "_validate_graph_capture_run_api"], WEBGPU),
    },
    "OrtEpDevice": dict.fromkeys(["create_sync_stream", "memory_info"], "of other devices"),
    "OrtMemType": {"CPU": "a name of pybind11's for CPU_OUTPUT"},
    "OrtValue": {"_is_webgpu_buffer": WEBGPU},
}
OF_EVERY_CLASS = {"_pybind11_conduit_v1_": PYBIND}
OF_ENUMS = {"name": ENUM, "value": ENUM}  # of the class itself, which Python's dir() leaves out


def missing(theirs: object, ours: object) -> set[str]:
    return {name for name in dir(theirs) if not name.startswith("__")} - set(dir(ours))


def common_classes() -> list[str]:
    return [
        name
        for name in dir(onnxruntime)
        if isinstance(getattr(onnxruntime, name), type) and hasattr(ortmmap, name)
    ]


def test_names_of_the_module_are_there_or_listed():
    absent = {name for name in missing(onnxruntime, ortmmap) if not name.startswith("_")}
    of_packages = {"backend", "datasets", "quantization", "tools", "transformers"}  # if imported
    assert absent - of_packages == {name for name in REASONS if hasattr(onnxruntime, name)}


def test_names_of_the_native_module_are_there_or_listed():
    native = ortmmap.capi.onnxruntime_pybind11_state
    absent = {name for name in missing(STATE, ()) if not hasattr(native, name)}
    absent = {name for name in absent if not re.match(FOR_TOOLS, name)}
    assert absent == {name for name in NATIVE_REASONS if hasattr(STATE, name)}


@pytest.mark.parametrize("name", common_classes())
def test_names_of_a_class_are_there_or_listed(name):
    theirs, ours = getattr(onnxruntime, name), getattr(ortmmap, name)
    listed = {*CLASSES.get(name, ()), *OF_EVERY_CLASS, *OF_ENUMS}
    absent = missing(theirs, ours)
    assert absent <= listed
    assert {known for known in CLASSES.get(name, ()) if known in dir(theirs)} <= absent


@pytest.mark.parametrize("name", [name for name in REASONS if hasattr(onnxruntime, name)])
def test_an_absent_name_says_why(name):
    error = caught(getattr, ortmmap, name)
    assert type(error) is AttributeError
    assert str(error).endswith(REASONS[name])


@pytest.mark.parametrize("name", [name for name in NATIVE_REASONS if hasattr(STATE, name)])
def test_an_absent_name_of_the_native_module_says_why(name):
    error = caught(getattr, ortmmap.capi.onnxruntime_pybind11_state, name)
    assert type(error) is AttributeError
    assert str(error).endswith(NATIVE_REASONS[name])


def test_an_unknown_name_is_no_attribute():
    assert type(caught(getattr, ortmmap, "nothing")) is AttributeError


@pytest.mark.skipif(
    not hasattr(onnxruntime.SessionOptions, "set_ep_context_data_read_func"),
    reason="this version of onnxruntime does not have them",
)
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("set_ep_context_data_read_func", (lambda *_: None,)),
        ("clear_ep_context_data_read_func", ()),
    ],
)
def test_functions_that_read_compiled_data_are_there_or_refused_with_a_reason(name, arguments):
    error = caught(getattr(ortmmap.SessionOptions(), name), *arguments)
    assert error is None or isinstance(error, NotImplementedError)


ALLOCATING = """
import json, numpy, {module} as ort
info = ort.OrtMemoryInfo(
    "Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT
)
outcomes = []
for registered in (False, True):
    if registered:
        ort.create_and_register_allocator(info, None)
    try:
        value = ort.OrtValue.ortvalue_from_shape_and_type([2, 3], numpy.float32, memory_info=info)
        outcomes.append([value.shape(), value.data_type(), value.device_name()])
    except RuntimeError:
        outcomes.append("RuntimeError")
print(json.dumps(outcomes))
"""


@pytest.mark.skipif(
    "memory_info" not in onnxruntime.OrtValue.ortvalue_from_shape_and_type.__code__.co_varnames,
    reason="this version of onnxruntime does not have it",
)
def test_a_value_is_allocated_where_an_allocator_is_registered():
    theirs, ours = (
        ask_python(ALLOCATING.format(module=module)) for module in ("onnxruntime", "ortmmap")
    )
    assert ours == theirs == ["RuntimeError", [[2, 3], "tensor(float)", "cpu"]]


def test_the_quick_start_lists_them():
    _, _, section = (REPOSITORY / "docs/quickstart.md").read_text().partition("## What differs")
    listed = set(re.findall(r"`(\w+)`", section.partition("\n## ")[0]))
    absent = {name for name, reason in REASONS.items() if reason != PACKAGE}
    assert {name for name in absent if not name.startswith("ModelPackage")} - listed == set()
    assert "ModelPackage" in listed
