"""One cold process: it imports, opens a session, runs it, and reports what each step took.

``python -m benchmarks.worker TASK`` takes the fields of `Task` as JSON. At each step it prints a
line of JSON and a word (``IMPORTED``, ``SESSION_READY``, ``RAN``), and waits for a line on stdin or
its end, so that many workers can open at once, and be sampled while all hold.
"""

import gc
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import arrays, calls
from benchmarks.calls import timed
from benchmarks.forks import forked
from benchmarks.memory import memory, page_faults
from benchmarks.rivals import RIVALS, Rival

IMPORTED, READY, RAN = "IMPORTED", "SESSION_READY", "RAN"


@dataclass(frozen=True)
class Task:
    """The work of one process."""

    rival: str
    entries: dict[str, str]  # config entries of the session
    threads: int  # of the session
    model: str
    cache: str  # folder
    feeds: str  # the file of inputs
    outputs: str  # the file that outputs are saved in
    started: float  # time.monotonic() when the process was started
    seconds: float  # of steady runs
    calls: bool = False  # time every way to call
    fork: bool = False  # time a run in a forked child
    copies: int = 0  # fork so many children once the session is open, which run it instead
    engine: str = ""  # that runs the copies on so many rows; see `benchmarks.engines`
    rows: int = 0

    def chosen(self) -> Rival:
        """Return the rival."""
        return RIVALS[self.rival].with_entries(self.entries)

    def open(self) -> Any:
        """Open the session."""
        return self.chosen().open(Path(self.model), self.threads, Path(self.cache))


def main() -> None:
    """Do the task on the command line."""
    task = Task(**json.loads(sys.argv[1]))
    feeds = _import(task)
    session = _open(task)
    if session is None:
        arrays.save(Path(task.outputs), {})
        _reached(RAN, {"ran": _memory()})
    elif task.copies:
        with forked(lambda index: _run(session, feeds, task, save=not index), task.copies) as ran:
            if None in ran:
                raise RuntimeError("a forked child has ended, or hangs")
            _reached(RAN, ran[0])
    else:
        figures = _run(session, feeds, task, save=True)
        if task.fork and hasattr(os, "fork"):
            with forked(lambda _: timed(lambda: session.run(None, feeds))[0], 1) as taken:
                figures["forked_ms"] = taken[0]
        if task.calls:
            figures |= _calls(session, feeds, task)
        _reached(RAN, figures)


def _reached(step: str, figures: dict[str, Any]) -> None:
    """Print the figures of a step, and wait for leave to go on."""
    print(json.dumps(figures), step, sep="\n", flush=True)
    sys.stdin.readline()


def _import(task: Task) -> dict[str, Any]:
    """Import the module and open the native library; return the inputs."""
    rival = task.chosen()
    import_ms, _ = timed(rival.load)
    feeds = arrays.load(Path(task.feeds))
    rival.open_library()
    _reached(IMPORTED, {"import_ms": import_ms, "library": _memory()})
    return feeds


def _open(task: Task) -> Any:
    gc.collect()
    gc.disable()
    if not task.chosen().opens:
        _reached(READY, {"opened": _memory()})
        return None
    before = page_faults()
    session_ms, session = timed(task.open)
    figures = {"session_ms": session_ms, "faults": page_faults() - before}
    _reached(READY, figures | {"opened": _memory()})
    return session


def _run(session: Any, feeds: dict[str, Any], task: Task, save: bool) -> dict[str, Any]:
    first_ms, outputs = timed(lambda: session.run(None, feeds))
    answer_ms = (time.monotonic() - task.started) * 1e3
    if task.chosen().module == "ortmmap":
        session.cached.wait()
    complete_ms = (time.monotonic() - task.started) * 1e3
    run_ms = calls.steady(lambda: session.run(None, feeds), task.seconds)
    if save:
        names = [output.name for output in session.get_outputs()]
        arrays.save(Path(task.outputs), dict(zip(names, outputs, strict=True)))
    times = {"first_ms": first_ms, "answer_ms": answer_ms, "complete_ms": complete_ms}
    return times | {"run_ms": run_ms, "ran": _memory()}


def _calls(session: Any, feeds: dict[str, Any], task: Task) -> dict[str, Any]:
    """Return milliseconds a call, bound and awaited, and calls a second by number of threads."""
    per_second = {
        str(threads): calls.throughput(lambda: session.run(None, feeds), threads, task.seconds)
        for threads in calls.THREADS
    }
    return {
        "bound_ms": calls.bound(session, feeds, task.seconds),
        "async_ms": calls.awaited(session, feeds, task.seconds),
        "calls_per_second": per_second,
    }


def _memory() -> dict[str, Any]:
    return asdict(memory(os.getpid()))


if __name__ == "__main__":
    main()
