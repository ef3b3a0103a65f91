"""ONNX's own backend tests: ortmmap passes where onnxruntime passes, and never crashes.

Its node, simple, PyTorch and light ("real") suites; nothing is downloaded. `suite.py` runs them.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import REPOSITORY

# Where ortmmap differs from onnxruntime: what onnxruntime's case fails with, ours, and why.
NO_NUMPY_TYPE = (
    r"RuntimeError/.*: (Numpy_type \d+ can't be converted|No corresponding Numpy type)"
    r"|AssertionError/.*:\s+Items are not equal:"
    r"\s+ACTUAL: dtype\('uint8'\)\s+DESIRED: dtype\(float8"
)
EXPLAINED = [
    (
        NO_NUMPY_TYPE,
        r"passed",
        "onnxruntime's Python module passes no bfloat16, float8, int4 or int2 between numpy and "
        "ONNX Runtime, or gives float8 as uint8; ortmmap passes them as ml_dtypes'",
    ),
]

# What ONNX Runtime's own conversion to ORT format loses, in onnxruntime as in ortmmap.
LOST = {
    r"RealModel/test_\w+": "of models that list their initializers as inputs (ONNX IR before 4), "
    "those that the optimizer folds away remain inputs, which must then be fed",
    r"NodeModel/test_(identity_opt|if_opt)": "ORT format has no optional types",
}

Outcomes = dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def outcomes() -> Outcomes:
    """What came of each case, by its name and the variant of the session."""
    suite = Path(__file__).with_name("suite.py")
    done = subprocess.run(
        [sys.executable, suite],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: Outcomes = {}
    for line in map(json.loads, done.stdout.splitlines()):
        found.setdefault(line["name"], {})[line["variant"]] = line["outcome"]
    assert len(found) > 1000
    return found


def ends(outcome: str) -> list[str]:
    """``passed``, ``skipped``, ``crashed``, or the exception's class and those it derives from."""
    return outcome.partition(":")[0].split("/")


def is_explained(theirs: str, ours: str) -> bool:
    return any(re.match(a, theirs) and re.match(b, ours) for a, b, _ in EXPLAINED)


def differences(outcomes: Outcomes, theirs: str, ours: str) -> Iterator[tuple[str, str, str]]:
    """Give the cases that end differently and are not explained."""
    for name, by_variant in outcomes.items():
        pair = by_variant[theirs], by_variant[ours]
        if ends(pair[0])[0] not in ends(pair[1]) and not is_explained(*pair):
            yield (name, *pair)


def test_nothing_crashes(outcomes):
    crashed = [
        (name, variant)
        for name, ended in outcomes.items()
        for variant, outcome in ended.items()
        if ends(outcome) == ["crashed"]
    ]
    assert crashed == []


def test_cases_end_as_with_onnxruntime(outcomes):
    assert list(differences(outcomes, "theirs", "ours")) == []


def test_cached_cases_end_as_without_the_cache(outcomes):
    assert list(differences(outcomes, "ours", "ours cached")) == []


def test_converted_and_mapped_cases_end_as_with_onnxruntime(outcomes):
    assert list(differences(outcomes, "theirs converted", "ours converted")) == []


def test_conversion_loses_what_is_known(outcomes):
    lost = {
        name: ended["ours converted"]
        for name, ended in outcomes.items()
        if ended["ours"] == "passed" != ended["ours converted"]
    }
    unknown = [name for name in lost if not any(re.fullmatch(known, name) for known in LOST)]
    assert {name: lost[name] for name in unknown} == {}
    for known in LOST:
        assert any(re.fullmatch(known, name) for name in lost), f"{known} is lost no more"


def test_most_cases_pass(outcomes):
    passed = [name for name, ended in outcomes.items() if ended["ours"] == "passed"]
    assert len(passed) > 0.6 * len(outcomes)  # the rest: opsets that are newer than the library
