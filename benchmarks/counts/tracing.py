"""Counts of a cold process, stage by stage: its own, strace's and callgrind's."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.counts.child import STAGES

# The call that `benchmarks.counts.child.mark` makes: its name in the C library and in the kernel.
MARK = "getsid"

TOOLS = ("strace", "valgrind")

_REPOSITORY = Path(__file__).resolve().parents[2]

# A line of ``strace -f -o``: a thread, and what it calls. ``<... resumed>`` ends a call.
_CALL = re.compile(r"(\d+) +(\w+)\(")

_SETTINGS = {
    "ORTMMAP_CACHE": "",
    "ORT_DISABLE_TELEMETRY": "1",  # its threads come and go
    "PYTHONDONTWRITEBYTECODE": "",  # bytecode is written once, and found from then on
    "PYTHONHASHSEED": "0",
    "PYTHONPATH": "",
}

# By stage and kind.
ByStage = dict[str, dict[str, int]]


class ChildError(Exception):
    """The process that is counted ended badly; the message has what it wrote to stderr."""


def missing_tools() -> list[str]:
    """Return the programs that are needed and not installed."""
    return [tool for tool in TOOLS if shutil.which(tool) is None]


def own_counts(arguments: Sequence[str]) -> ByStage:
    """Run the child, and return the page faults, private pages and modules that it counts."""
    return json.loads(_run([], arguments).splitlines()[-1])


def system_calls(arguments: Sequence[str]) -> ByStage:
    """Run the child under strace, and return the number of system calls in each stage."""
    with TemporaryDirectory() as folder:
        trace = Path(folder, "trace")
        _run(["strace", "-f", "-o", str(trace)], arguments)
        return count_calls(trace.read_text(errors="replace").splitlines())


def instructions(arguments: Sequence[str]) -> ByStage:
    """Run the child under callgrind, and return the instructions executed in each stage."""
    with TemporaryDirectory() as folder:
        tool = ["valgrind", "--tool=callgrind", "--separate-threads=yes", f"--dump-before={MARK}"]
        _run([*tool, f"--callgrind-out-file={folder}/out"], arguments)
        return count_instructions(Path(folder))


def count_calls(lines: Iterable[str]) -> ByStage:
    """Count the main thread's calls in each stage of a trace that ``strace -f -o`` wrote.

    What other threads do, such as those of ONNX Runtime's telemetry, is a matter of time.
    """
    calls = [found.groups() for found in map(_CALL.match, lines) if found]
    main = calls[0][0] if calls else None
    between = [0]
    for thread, name in calls:
        if thread != main:
            continue
        if name == MARK:
            between.append(0)
        else:
            between[-1] += 1
    return _by_stage("system_calls", between)


def count_instructions(folder: Path) -> ByStage:
    """Read the main thread's totals of the parts that callgrind wrote at each mark.

    ``out.12-01`` is the twelfth part, of the first thread.
    """
    parts = sorted(folder.glob("out.*-01"), key=lambda part: int(part.name[4:-3]))
    return _by_stage("instructions", [*map(_total, parts), 0])


def _total(part: Path) -> int:
    for line in part.read_text().splitlines():
        name, _, value = line.partition(": ")
        if name == "totals":
            return int(value)
    raise ChildError(f"{part} of callgrind has no totals")


def _by_stage(kind: str, between: Sequence[int]) -> ByStage:
    """Return what lies between each stage's two marks; marks part the items of `between`."""
    expected = 2 * len(STAGES)
    if len(between) != expected + 1:
        raise ChildError(f"{kind}: expected {expected} marks, found {len(between) - 1}")
    return {stage: {kind: n} for stage, n in zip(STAGES, between[1::2], strict=True)}


def _run(tracer: Sequence[str], arguments: Sequence[str]) -> str:
    """Run the child, and return what it printed."""
    done = subprocess.run(
        [*tracer, sys.executable, "-m", "benchmarks.counts.child", *arguments],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        cwd=_REPOSITORY,
        env=os.environ | _SETTINGS,
    )
    if done.returncode:
        raise ChildError(f"{' '.join(done.args)} failed:\n{done.stderr.strip()}")
    return done.stdout
