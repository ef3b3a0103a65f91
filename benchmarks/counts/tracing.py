"""Counts of a cold process, stage by stage: its own, strace's and callgrind's."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.counts.child import STAGES

MARK = "getsid"  # the call of `benchmarks.counts.child.mark`, in the C library and the kernel

_REPOSITORY = Path(__file__).resolve().parents[2]

_SETTINGS = {
    "ORTMMAP_CACHE": "",
    "ORT_DISABLE_TELEMETRY": "1",  # its threads come and go
    "PYTHONDONTWRITEBYTECODE": "",  # bytecode is written once, and found from then on
    "PYTHONHASHSEED": "0",
    "PYTHONPATH": "",
}

ByStage = dict[str, dict[str, int]]  # by stage and kind


class ChildError(RuntimeError):
    """The process that is counted failed; the message has its stderr."""


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
    """Count the main thread's calls in each stage of a trace that ``strace -f -o`` wrote."""
    # A line has a thread, and its call; ``<... resumed>`` ends a call. Those of other threads, such
    # as ONNX Runtime's telemetry, depend on timing.
    calls = [found.groups() for line in lines if (found := re.match(r"(\d+) +(\w+)\(", line))]
    between = [0]
    for thread, name in calls:
        if thread == calls[0][0] and name == MARK:
            between.append(0)
        elif thread == calls[0][0]:
            between[-1] += 1
    return _by_stage("system_calls", between)


def count_instructions(folder: Path) -> ByStage:
    """Read the main thread's totals of the parts that callgrind wrote at each mark."""
    totals = []  # ``out.12-01`` is the twelfth part, of the first thread
    for part in sorted(folder.glob("out.*-01"), key=lambda part: int(part.name[4:-3])):
        found = re.search(r"^totals: (\d+)$", part.read_text(), re.MULTILINE)
        if not found:
            raise ChildError(f"{part} of callgrind has no totals")
        totals.append(int(found[1]))
    return _by_stage("instructions", [*totals, 0])


def _by_stage(kind: str, between: Sequence[int]) -> ByStage:
    """Return the count between the two marks of each stage; marks part the items of `between`."""
    expected = 2 * len(STAGES)
    if len(between) != expected + 1:
        raise ChildError(f"{kind}: expected {expected} marks, found {len(between) - 1}")
    return {stage: {kind: n} for stage, n in zip(STAGES, between[1::2], strict=True)}


def _run(tracer: Sequence[str], arguments: Sequence[str]) -> str:
    """Run the child, and return its standard output."""
    command = [*tracer, sys.executable, "-m", "benchmarks.counts.child", *arguments]
    environment = os.environ | _SETTINGS
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=_REPOSITORY, env=environment
    )
    if done.returncode:
        raise ChildError(f"{' '.join(command)} failed:\n{done.stderr.strip()}")
    return done.stdout
