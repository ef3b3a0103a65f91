"""One cold process: imports, opens a session, runs it, tells what that took, and holds.

``python -m benchmarks.worker --rival ort --model FILE --feeds FILE.npz`` prints one JSON line and
then ``SESSION_READY``, as the benchmark of
https://github.com/microsoft/onnxruntime/pull/28164 does, so that its memory can be sampled
while it holds. It imports little, and that before anything is timed.
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

import numpy as np

from benchmarks.memory import PeakPrivate, memory
from benchmarks.rivals import RIVALS

READY = "SESSION_READY"

_BLOCK_SECONDS = 0.002  # the least time that is taken at once, so that the clock's own is nothing
_LEAST_BLOCKS = 5


def main() -> None:
    """Do what the command line says."""
    options = _options()
    figures, _alive = _measure(options)
    print(json.dumps(figures), flush=True)
    print(READY, flush=True)
    _hold(options.hold_ms)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.worker")
    parser.add_argument("--rival", choices=RIVALS, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--feeds", type=Path, required=True, help="inputs, an .npz")
    parser.add_argument("--outputs", type=Path, help="where to save the outputs, an .npz")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1.0, help="of steady runs")
    parser.add_argument("--hold-ms", type=int, default=0, help="at most; stdin's end ends it")
    parser.add_argument("--started", type=float, help="time.monotonic() when it was started")
    return parser.parse_args()


def _measure(options: argparse.Namespace) -> tuple[dict[str, Any], Any]:
    """Open and run; return times in milliseconds and memory in bytes, and the open session."""
    rival = RIVALS[options.rival]
    import_ms, _ = _timed(rival.load)
    with np.load(options.feeds) as saved:
        feeds = dict(saved)
    gc.collect()
    gc.disable()
    imported = memory(os.getpid())
    library_ms, _ = _timed(rival.open_library)
    library = memory(os.getpid())
    with PeakPrivate() as peak:
        session_ms, session = _timed(lambda: rival.open(options.model, options.threads))
    opened = memory(os.getpid())
    first_ms, outputs = _timed(lambda: session.run(None, feeds))
    answered = time.monotonic()
    run_ms = _steady(lambda: session.run(None, feeds), options.seconds)
    ran = memory(os.getpid())
    if options.outputs:
        names = [output.name for output in session.get_outputs()]
        np.savez(options.outputs, **dict(zip(names, outputs, strict=True)))
    figures = {
        "rival": rival.name,
        "pid": os.getpid(),
        "import_ms": import_ms,
        "library_ms": library_ms,
        "session_ms": session_ms,
        "first_ms": first_ms,
        "run_ms": run_ms,
        "peak": peak.nbytes,
        "answer_ms": (answered - options.started) * 1e3 if options.started else None,
        "imported": asdict(imported),
        "library": asdict(library),
        "opened": asdict(opened),
        "ran": asdict(ran),
    }
    return figures, session


def _timed(action: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = action()
    return (time.perf_counter() - start) * 1e3, result


def _steady(call: Callable[[], Any], seconds: float) -> float:
    """Return the median time of a call in milliseconds, over blocks of calls."""
    once = min(_block(call, 1) for _ in range(3))
    calls = max(1, round(_BLOCK_SECONDS / once))
    blocks: list[float] = []
    end = time.perf_counter() + seconds
    while len(blocks) < _LEAST_BLOCKS or time.perf_counter() < end:
        blocks.append(_block(call, calls))
    return float(np.median(blocks)) / calls * 1e3


def _block(call: Callable[[], Any], calls: int) -> float:
    """Return the seconds that so many calls take."""
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return time.perf_counter() - start


def _hold(milliseconds: int) -> None:
    """Wait until stdin ends, or so long at most.

    A thread reads, without Python's buffer and its lock: select() takes no pipe on Windows.
    """
    reader = threading.Thread(target=os.read, args=(sys.stdin.fileno(), 1), daemon=True)
    reader.start()
    reader.join(milliseconds / 1e3)


if __name__ == "__main__":
    main()
