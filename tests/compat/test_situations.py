"""What programs do with onnxruntime gives the same with ortmmap: patched, and in its place.

`situations` holds what is done. Each is run in three ways, in children: by onnxruntime, by
onnxruntime under `patch_onnxruntime`, and with ``import ortmmap as onnxruntime``.
"""

import onnxruntime
import pytest
from situations.comparison import WAYS, differences, outcomes, possible

# Private attributes are compared one by one, in test_private_attributes.
POSSIBLE = tuple(name for name in possible(onnxruntime) if "private" not in name)

LORA = "under the patch onnxruntime's adapters are refused"
INNER = "values have no _ortvalue and no _get_c_value, devices no _get_c_device"
READ_ONLY = "arrays over a sparse tensor may be written to"
LOGGER = "ortmmap's library logs to standard error only"
NOT_REPORTED = "raises NotImplementedError"

# Where ortmmap gives something else as yet: the ways, and why.
DIFFERENT: dict[str, tuple[str, str]] = {
    "a_capsule_of_bytes_is_recognized": ("patched ortmmap", INNER),
    "a_function_that_logging_calls_may_raise": ("ortmmap", LOGGER),
    "a_run_is_adapted": ("patched", LORA),
    "a_run_writes_into_values_of_a_vector": ("patched ortmmap", INNER),
    "a_sparse_tensor_in_coo_format_is_read_only": ("patched ortmmap", READ_ONLY),
    "a_sparse_tensor_in_csr_format_is_read_only": ("patched ortmmap", READ_ONLY),
    "a_sparse_tensor_of_strings_is_read_back": ("patched ortmmap", READ_ONLY),
    "a_tensor_travels_by_dlpack_and_keeps_its_address": ("patched ortmmap", INNER),
    "an_adapter_is_written_and_read": (
        "patched ortmmap",
        "AdapterFormat takes no OrtValue of ortmmap's, and ortmmap has no such class",
    ),
    "an_adapter_serves_many_runs": ("patched", LORA),
    "default_options_open_a_session": ("ortmmap", "there are no default options by that name"),
    "logged_texts_reach_a_function": ("patched ortmmap", LOGGER),
    "providers_of_nodes_are_reported": ("patched ortmmap", NOT_REPORTED),
    "providers_of_nodes_are_reported_only_if_recorded": ("patched ortmmap", NOT_REPORTED),
    "options_are_read_from_the_model_if_asked_for": (
        "patched ortmmap",
        "ORT_LOAD_CONFIG_FROM_MODEL is ignored, and the session reports other options",
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
    "tuning_results_are_read_and_set": ("patched ortmmap", NOT_REPORTED),
    "what_logging_cannot_call_is_refused": ("ortmmap", LOGGER),
    "memory_of_inputs_and_outputs_is_reported": ("patched ortmmap", NOT_REPORTED),
    "devices_of_inputs_are_reported": ("patched ortmmap", NOT_REPORTED),
}


def cases() -> list:
    made = []
    for name in POSSIBLE:
        for way in WAYS:
            ways, reason = DIFFERENT.get(name, ("", ""))
            is_different = way in ways.split()
            marks = [pytest.mark.xfail(strict=True, reason=reason)] if is_different else []
            made.append(pytest.param(name, way, marks=marks, id=f"{name}-{way}"))
    return made


@pytest.mark.parametrize(("name", "way"), cases())
def test_a_program_sees_what_it_sees_with_onnxruntime(name, way):
    found = differences(outcomes(way, POSSIBLE)[name], outcomes("onnxruntime", POSSIBLE)[name])
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", POSSIBLE)
def test_onnxruntime_itself_gets_through(name):
    assert "returns" in outcomes("onnxruntime", POSSIBLE)[name]
