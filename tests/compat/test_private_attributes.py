"""Private attributes that packages read give what onnxruntime gives, patched and in its place."""

import onnxruntime
import pytest
from situations.attributes import READS
from situations.comparison import WAYS, differences, outcomes, possible

SITUATIONS = tuple(name for name in possible(onnxruntime) if "private" in name)
READ, FOLLOWED = SITUATIONS
AFTER_SETTING = ("_inputs_meta", "_outputs_meta", "_providers", "_provider_options", "_model_meta")


def cases(names: tuple[str, ...]) -> list:
    return [pytest.param(name, way, id=f"{name}-{way}") for name in names for way in WAYS]


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
