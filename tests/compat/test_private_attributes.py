"""Private attributes that packages read give what onnxruntime gives, patched and in its place."""

import onnxruntime
import pytest
from situations.attributes import READS
from situations.comparison import WAYS, differences, outcomes, possible

SITUATIONS = tuple(name for name in possible(onnxruntime) if "private" in name)
READ, FOLLOWED = SITUATIONS
AFTER_SETTING = ("_inputs_meta", "_outputs_meta", "_providers", "_provider_options", "_model_meta")

# What is as in onnxruntime already.
AS_IN_ONNXRUNTIME = {
    "_sess.end_profiling",
    "_sess.get_provider_options",
    "_sess.get_providers",
    "_sess.run",
}
OF_SESSION = {
    "IOBinding._iobinding",
    "_enable_fallback",
    "_fallback_providers",
    "_inputs_meta",
    "_model_bytes",
    "_model_meta",
    "_model_path",
    "_outputs_meta",
    "_overridable_initializers",
    "_profiling_start_time_ns",
    "_provider_options",
    "_providers",
    "_read_config_from_model",
    "_sess.get_profiling_start_time_ns",
    "_sess.inputs_meta",
    "_sess.model_meta",
    "_sess.outputs_meta",
    "_sess.overridable_initializers",
    "_sess.run_with_iobinding",
    "_sess.session_options",
    "_sess_options",
    "_sess_options_initial",
    "_validate_input",
}
OF_PATCH = {"IOBinding._iobinding.bind_output", "OrtDevice._get_c_device"}
THERE = {
    "patched": AS_IN_ONNXRUNTIME | OF_SESSION | OF_PATCH,
    "ortmmap": AS_IN_ONNXRUNTIME | OF_SESSION,
}


def cases(names: tuple[str, ...]) -> list:
    missing = pytest.mark.xfail(strict=True, reason="there is no such attribute, or another one")
    return [
        pytest.param(
            name,
            way,
            marks=[] if name in THERE[way] else [missing],
            id=f"{name}-{way}",
        )
        for name in names
        for way in WAYS
    ]


def found(situation: str, name: str, way: str) -> list[str]:
    theirs, ours = (outcomes(each, SITUATIONS)[situation] for each in ("onnxruntime", way))
    assert "returns" in theirs["returns"][name], theirs["returns"][name]
    return differences(ours["returns"][name], theirs["returns"][name])


@pytest.mark.parametrize(("name", "way"), cases(tuple(READS)))
def test_an_attribute_is_as_in_onnxruntime(name, way):
    assert found(READ, name, way) == []


@pytest.mark.parametrize(("name", "way"), cases(AFTER_SETTING))
def test_an_attribute_follows_the_providers_that_are_set(name, way):
    assert found(FOLLOWED, name, way) == []
