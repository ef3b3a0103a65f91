"""One cold process: imports, opens a session, runs it, tells what that took, and holds.

``python -m benchmarks.worker --rival ort --model FILE --feeds FILE.npz`` prints a line of JSON and
a word at each step: ``IMPORTED``, ``SESSION_READY``, ``RAN``. With ``--lockstep`` it waits after
each for a line on stdin, so that many workers open at once, and their memory can be sampled while
all hold. `SESSION_READY` and ``--hold-ms`` are those of the benchmark of
https://github.com/microsoft/onnxruntime/pull/28164. It imports little before anything is timed.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import arrays, calls, forked
from benchmarks.memory import PeakPrivate, memory, page_faults
from benchmarks.rivals import RIVALS, Rival

IMPORTED, READY, RAN = "IMPORTED", "SESSION_READY", "RAN"

_ASYNC_THREADS = 2  # onnxruntime's run_async refuses a session of one thread


def main() -> None:
    """Do what the command line says."""
    options = _options()
    rival = RIVALS[options.rival]
    steps = _Steps(options.lockstep, options.hold_ms)
    figures, feeds = _import(rival, options.feeds)
    steps.reached(IMPORTED, figures)
    rival = rival.with_entries(dict(entry.split("=", 1) for entry in options.config))
    opened, session = _open(rival, options.model, options.threads)
    steps.reached(READY, opened)
    ran, outputs = _run(session, feeds, options) if session else ({}, {})
    ran["ran"] = _memory()
    if options.fork and session:
        ran["forked_ms"] = forked.first_run(lambda: session.run(None, feeds))
    if options.calls and session:
        ran |= _calls(rival, session, feeds, options)
    if options.outputs:
        arrays.save(options.outputs, outputs)
    steps.reached(RAN, ran)
    steps.hold()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.worker")
    parser.add_argument("--rival", choices=RIVALS, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--feeds", type=Path, required=True, help="inputs, an .npz")
    parser.add_argument("--outputs", type=Path, help="where to save the outputs, an .npz")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--config", action="append", default=[], help="KEY=VALUE of the session")
    parser.add_argument("--seconds", type=float, default=1.0, help="of steady runs")
    parser.add_argument("--calls", action="store_true", help="time every way to call")
    parser.add_argument("--fork", action="store_true", help="time a run in a forked child")
    parser.add_argument("--lockstep", action="store_true", help="wait for a line at each step")
    parser.add_argument("--hold-ms", type=int, default=0, help="at most; stdin's end ends it")
    parser.add_argument("--started", type=float, help="time.monotonic() when it was started")
    return parser.parse_args()


class _Steps:
    """Tells at each step what was measured, and waits there if asked to.

    A thread reads stdin, without Python's buffer and its lock: select() takes no pipe on Windows.
    """

    def __init__(self, lockstep: bool, hold_ms: int) -> None:
        self._lockstep = lockstep
        self._hold_seconds = hold_ms / 1e3

    def reached(self, step: str, figures: dict[str, Any]) -> None:
        print(json.dumps(figures), step, sep="\n", flush=True)
        if self._lockstep and step != RAN:
            self.hold()

    def hold(self) -> None:
        """Wait until stdin has something or ends, or so long at most."""
        reader = threading.Thread(target=os.read, args=(sys.stdin.fileno(), 1), daemon=True)
        reader.start()
        reader.join(self._hold_seconds)


def _import(rival: Rival, feeds: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Import, and open the library; return times in milliseconds, memory, and the inputs."""
    import_ms, _ = _timed(rival.load)
    inputs = arrays.load(feeds)
    imported = _memory()
    library_ms, _ = _timed(rival.open_library)
    figures = {
        "rival": rival.name,
        "pid": os.getpid(),
        "import_ms": import_ms,
        "library_ms": library_ms,
        "imported": imported,
        "library": _memory(),
    }
    return figures, inputs


def _open(rival: Rival, model: Path, threads: int) -> tuple[dict[str, Any], Any]:
    gc.collect()
    gc.disable()
    if not rival.opens:
        return {"opened": _memory()}, None
    before = page_faults()
    with PeakPrivate() as peak:
        session_ms, session = _timed(lambda: rival.open(model, threads))
    after = page_faults()
    faults = after - before if after is not None and before is not None else None
    figures = {
        "session_ms": session_ms,
        "peak": peak.nbytes,
        "faults": faults,
        "opened": _memory(),
    }
    return figures, session


def _run(
    session: Any, feeds: dict[str, Any], options: argparse.Namespace
) -> tuple[dict[str, Any], dict[str, Any]]:
    first_ms, outputs = _timed(lambda: session.run(None, feeds))
    answered = time.monotonic()
    answer_ms = (answered - options.started) * 1e3 if options.started else None
    run_ms = calls.steady(lambda: session.run(None, feeds), options.seconds)
    names = [output.name for output in session.get_outputs()]
    figures = {"first_ms": first_ms, "answer_ms": answer_ms, "run_ms": run_ms}
    return figures, dict(zip(names, outputs, strict=True))


def _calls(
    rival: Rival, session: Any, feeds: dict[str, Any], options: argparse.Namespace
) -> dict[str, Any]:
    """Return milliseconds a call, bound and awaited, and calls a second by number of threads."""
    bound_ms = calls.bound(session, feeds, options.seconds)
    per_second = {
        str(threads): calls.throughput(lambda: session.run(None, feeds), threads, options.seconds)
        for threads in calls.THREADS
    }
    parallel = rival.open(options.model, max(options.threads, _ASYNC_THREADS))
    async_ms = calls.awaited(parallel, feeds, options.seconds)
    return {"bound_ms": bound_ms, "async_ms": async_ms, "calls_per_second": per_second}


def _memory() -> dict[str, Any]:
    return asdict(memory(os.getpid()))


def _timed(action: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = action()
    return (time.perf_counter() - start) * 1e3, result


if __name__ == "__main__":
    main()
