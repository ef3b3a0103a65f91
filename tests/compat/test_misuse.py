"""No call from Python, however wrong, ends the process or leaves it waiting for ever.

`misuse_calls` makes the calls, in children. A child that ends at a call is followed by another one
that goes on after it.
"""

import functools
import json
import os
import subprocess
import sys
from collections import Counter

import misuse_calls
import pytest
from support import REPOSITORY, ask_python

MOST_DEATHS = 3  # at calls of one function, after which it is not called any more


class Report:
    """How the calls of a group ended."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.deaths: dict[str, str] = {}  # by the name of the call that the process ended at
        self.oddities: list[str] = []

    def read(self, output: str) -> None:
        for line in output.splitlines():
            if line.startswith("  "):
                self.oddities.append(f"{self.calls[-1]}:{line}")
            else:
                self.calls.append(line)


@functools.cache
def report_of(group: str) -> Report:
    """Make the calls of a group, in as many children as it takes."""
    report, skipped = Report(), []
    deaths_at: Counter[str] = Counter()
    after = ""
    while True:
        child = run_child(group, after, skipped)
        known = len(report.calls)
        report.read(child.stdout)
        assert len(report.calls) > known, child.stderr
        if child.returncode == 0:
            return report
        after = report.calls[-1]
        report.deaths[after] = f"exit {child.returncode}: {child.stderr[-2000:]}"
        function = misuse_calls.function_of(after)
        deaths_at[function] += 1
        if deaths_at[function] == MOST_DEATHS:
            skipped.append(function)


def run_child(group: str, after: str, skipped: list[str]) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, misuse_calls.__file__, group, after, json.dumps(skipped)],
        capture_output=True,
        text=True,
        errors="replace",
        env={
            **os.environ,
            "PYTHONPATH": str(REPOSITORY),
            "PYTHONMALLOC": "debug",  # what is freed is overwritten, and so is what malloc frees
            "MALLOC_PERTURB_": "165",
        },
        check=False,
    )


@pytest.mark.parametrize("group", misuse_calls.GROUPS)
def test_no_call_ends_the_process(group):
    deaths = [f"{call}: {how}" for call, how in report_of(group).deaths.items()]
    assert not deaths, "\n".join(deaths)


@pytest.mark.parametrize("group", misuse_calls.GROUPS)
def test_errors_are_exceptions_that_python_can_catch(group):
    assert report_of(group).oddities == []


@pytest.mark.parametrize("group", misuse_calls.GROUPS)
def test_each_call_has_a_name_of_its_own(group):
    calls = Counter(report_of(group).calls)
    assert len(calls) > 1000
    assert [name for name, count in calls.items() if count > 1] == []


def test_every_public_class_has_an_instance_that_is_used(tmp_path):
    """A new class is either made without arguments or listed in `misuse_objects.INSTANCES`."""
    code = "import json, misuse_calls; print(json.dumps(misuse_calls.classes_without_instance()))"
    assert ask_python(code, cwd=tmp_path) == []
