"""What programs do with onnxruntime gives the same with ortmmap: patched, and in its place.

`situations` holds what is done. Each is run in five ways, in children: by onnxruntime, by
onnxruntime under `patch_onnxruntime` with three thresholds, and with ``import ortmmap as
onnxruntime``.
"""

import onnxruntime
import pytest
from situations.comparison import WAYS, differences, outcomes, possible

# What private attributes give is compared one by one, in test_private_attributes.
POSSIBLE = tuple(name for name in possible(onnxruntime) if "private" not in name)

INNER = "values have no _ortvalue and no _get_c_value, devices no _get_c_device"

# Where ortmmap gives something else as yet: the ways, and why.
DIFFERENT: dict[str, tuple[str, str]] = {
    "a_capsule_of_bytes_is_recognized": ("patched ortmmap", INNER),
    "an_adapter_is_written_and_read": (
        "ortmmap",
        "ortmmap has no such class",
    ),
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
