"""What programs do with onnxruntime gives the same with ortmmap: patched, and in its place.

`situations` holds what is done. Each is run in three ways, in children: by onnxruntime, by
onnxruntime under `patch_onnxruntime`, and with ``import ortmmap as onnxruntime``.
"""

import functools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import onnxruntime
import pytest
from situations import child, situations
from support import REPOSITORY

POSSIBLE = sorted(name for name, each in situations().items() if each.is_possible(onnxruntime))

LORA = "LoraAdapter.Load is static; under the patch onnxruntime's adapters are refused"
INNER = "values have no _ortvalue and no _get_c_value, devices no _get_c_device"
READ_ONLY = "arrays over a sparse tensor may be written to"
LOGGER = "ortmmap's library logs to standard error only"
UNTOLD = "raises NotImplementedError"

# Where ortmmap gives something else as yet: the ways, and why.
DIFFERENT: dict[str, tuple[str, str]] = {
    "a_capsule_tells_whether_it_holds_bytes": ("patched ortmmap", INNER),
    "a_function_that_logging_calls_may_raise": ("ortmmap", LOGGER),
    "a_path_to_an_empty_file_or_a_folder_is_refused": (
        "patched ortmmap",
        "MappingError, where onnxruntime raises InvalidArgument and InvalidProtobuf",
    ),
    "a_path_without_characters_is_refused": ("patched ortmmap", "NoSuchFile is no TypeError"),
    "a_run_is_adapted": ("patched ortmmap", LORA),
    "a_run_writes_into_values_of_a_vector": ("patched ortmmap", INNER),
    "a_sparse_tensor_in_coo_format_is_read_only": ("patched ortmmap", READ_ONLY),
    "a_sparse_tensor_in_csr_format_is_read_only": ("patched ortmmap", READ_ONLY),
    "a_sparse_tensor_of_strings_is_read_back": ("patched ortmmap", READ_ONLY),
    "a_tensor_travels_by_dlpack_and_keeps_its_address": ("patched ortmmap", INNER),
    "an_adapter_is_written_and_read": (
        "patched ortmmap",
        "AdapterFormat takes no OrtValue of ortmmap's, and ortmmap has no such class",
    ),
    "an_adapter_serves_many_runs": ("patched ortmmap", LORA),
    "an_unknown_provider_cannot_be_set": (
        "patched ortmmap",
        "set_providers warns of a provider that there is none of, and leaves it out",
    ),
    "default_options_open_a_session": ("ortmmap", "there are no default options by that name"),
    "logged_texts_reach_a_function": ("patched ortmmap", LOGGER),
    "nodes_tell_their_provider": ("patched ortmmap", UNTOLD),
    "nodes_tell_their_provider_only_if_recorded": ("patched ortmmap", UNTOLD),
    "options_are_read_from_the_model_if_asked_for": (
        "patched ortmmap",
        "ORT_LOAD_CONFIG_FROM_MODEL is not looked at: the session's options do not tell of it",
    ),
    "options_that_few_set_let_a_service_start": (
        "ortmmap",
        "what the C API cannot set raises NotImplementedError",
    ),
    "programs_find_the_native_module_by_either_name": ("ortmmap", "capi has no _pybind_state"),
    "providers_are_paired_with_their_options": (
        "ortmmap",
        "capi has no onnxruntime_inference_collection",
    ),
    "strings_are_fed_as_an_array_of_void": (
        "patched ortmmap",
        "numpy's void is no type of a tensor's elements",
    ),
    "tensors_of_no_elements_travel_by_dlpack": ("patched ortmmap", INNER),
    "the_inner_session_runs_values": ("patched ortmmap", INNER),
    "tuning_results_are_told_and_set": ("patched ortmmap", UNTOLD),
    "what_logging_cannot_call_is_refused": ("ortmmap", LOGGER),
    "where_inputs_and_outputs_lie_is_told": ("patched ortmmap", UNTOLD),
    "which_devices_take_inputs_is_told": ("patched ortmmap", UNTOLD),
}


@functools.cache
def outcomes(way: str) -> dict[str, object]:
    """Run all situations in one way, in a child; in another one after each that ends the child."""
    found: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        while len(found) < len(POSSIBLE):
            before = len(found)
            done = run_child(way, tempfile.mkdtemp(dir=folder), POSSIBLE[before:])
            for name, *outcome in map(json.loads, done.stdout.splitlines()):
                found[name] = outcome[0] if outcome else {"ends": done.returncode}
            assert len(found) > before, done.stderr
    return found


def prepare(folder: Path) -> None:
    """Write what onnxruntime alone can write, in a child: it may be patched here."""
    code = (
        "import sys, onnxruntime; from situations import extras;"
        "extras.write_adapter(onnxruntime, sys.argv[1])"
    )
    path = os.pathsep.join(map(str, [REPOSITORY, REPOSITORY / "tests"]))
    subprocess.run(
        [sys.executable, "-c", code, folder / "adapter.onnx_adapter"],
        check=True,
        env={**os.environ, "PYTHONPATH": path},
    )


def run_child(way: str, folder: str, names: list[str]) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, child.__file__, way, folder, *names],
        capture_output=True,
        text=True,
        errors="replace",
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        check=False,
    )


def differences(ours: object, theirs: object, where: str = "") -> list[str]:
    """Say where outcomes differ; an exception of ours is the same if it is caught as theirs."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        if "raises" in theirs and theirs["raises"][0] in ours.get("raises", []):
            return []
        if "raises" not in theirs and ours.keys() == theirs.keys():
            return [d for k in theirs for d in differences(ours[k], theirs[k], f"{where}.{k}")]
    elif isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        pairs = enumerate(zip(ours, theirs, strict=True))
        return [d for i, (our, their) in pairs for d in differences(our, their, f"{where}[{i}]")]
    return [] if ours == theirs else [f"{where}: {ours} where onnxruntime: {theirs}"]


def cases() -> list:
    made = []
    for name in POSSIBLE:
        for way in ("patched", "ortmmap"):
            ways, reason = DIFFERENT.get(name, ("", ""))
            is_different = way in ways.split()
            marks = [pytest.mark.xfail(strict=True, reason=reason)] if is_different else []
            made.append(pytest.param(name, way, marks=marks, id=f"{name}-{way}"))
    return made


@pytest.mark.parametrize(("name", "way"), cases())
def test_a_program_sees_what_it_sees_with_onnxruntime(name, way):
    found = differences(outcomes(way)[name], outcomes("onnxruntime")[name])
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", POSSIBLE)
def test_onnxruntime_itself_gets_through(name):
    assert "returns" in outcomes("onnxruntime")[name]
