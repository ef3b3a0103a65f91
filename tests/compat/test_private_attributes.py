"""Private attributes that packages read give what onnxruntime gives, patched and in its place."""

import onnxruntime
import pytest
from situations.attributes import READS
from situations.comparison import WAYS, differences, outcomes, possible

SITUATIONS = tuple(name for name in possible(onnxruntime) if "private" in name)
READ, FOLLOWED = SITUATIONS
AFTER_SETTING = ("_inputs_meta", "_outputs_meta", "_providers", "_provider_options", "_model_meta")

# What is as in onnxruntime already.
IN_BOTH = {"_sess.end_profiling", "_sess.get_provider_options", "_sess.get_providers", "_sess.run"}
THERE = {
    "patched": IN_BOTH | {"_model_path", "OrtDevice._get_c_device"},
    "mixed": IN_BOTH | {"_model_path", "OrtDevice._get_c_device"},
    "small": {*READS, *AFTER_SETTING},
    "ortmmap": IN_BOTH,
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
