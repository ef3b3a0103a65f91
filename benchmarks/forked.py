"""What a session's first run takes in a child of a fork."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable
from typing import Any

_LONGEST_SECONDS = 60  # a session whose threads the child has not may wait for them for ever


def first_run(run: Callable[[], Any]) -> float | None:
    """Fork, and return the milliseconds of a run in the child; None where there is no end of it."""
    if not hasattr(os, "fork"):
        return None
    reads, writes = os.pipe()
    child = os.fork()
    if not child:
        _tell(run, writes)
    os.close(writes)
    try:
        ready, _, _ = select.select([reads], [], [], _LONGEST_SECONDS)
        told = os.read(reads, 64) if ready else b""
    finally:
        os.close(reads)
        os.kill(child, signal.SIGKILL)  # exit() there may hang too, and is not what is measured
        os.waitpid(child, 0)
    return float(told) if told else None


def _tell(run: Callable[[], Any], writes: int) -> None:
    """Run, write how long it took, and end: nothing of the parent's is done twice."""
    try:
        start = time.perf_counter()
        run()
        os.write(writes, str((time.perf_counter() - start) * 1e3).encode())
    finally:
        os._exit(0)
