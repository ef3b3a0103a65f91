"""What a process's memory consists of, as the system counts it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

_KIB = 1024


@dataclass(frozen=True)
class Memory:
    """Bytes of a process at one moment; None where the system does not tell.

    Attributes
    ----------
    private : int
        What no other process can share. Linux: anonymous memory, swapped or not. macOS: unique
        set size. Windows: private bytes.
    shmem : int or None
        Of the proportional set size, memory of no file on disk, such as a memfd's.
    rss : int
        Resident set size (Windows: working set).
    pss : int or None
        Proportional set size: a page in n processes counts 1/n in each, so a sum over processes
        is what they take together.
    swap : int or None
        Swapped out.
    """

    private: int
    shmem: int | None
    rss: int
    pss: int | None
    swap: int | None


def memory(pid: int) -> Memory:
    """Return the memory of a process.

    Notes
    -----
    Linux: ``smaps_rollup``, see https://docs.kernel.org/filesystems/proc.html.
    """
    rollup = Path(f"/proc/{pid}/smaps_rollup")
    return _from_rollup(rollup.read_text()) if rollup.exists() else _from_psutil(pid)


def _from_rollup(text: str) -> Memory:
    fields = [line.split() for line in text.splitlines() if line.endswith(" kB")]
    size = {field[0].rstrip(":"): int(field[1]) * _KIB for field in fields}
    return Memory(
        private=size["Anonymous"] + size["Swap"],
        shmem=size.get("Pss_Shmem"),
        rss=size["Rss"],
        pss=size["Pss"],
        swap=size["Swap"],
    )


def _from_psutil(pid: int) -> Memory:
    full = psutil.Process(pid).memory_full_info()
    private = getattr(full, "private", None) or full.uss
    return Memory(private=private, shmem=None, rss=full.rss, pss=None, swap=None)


def peak_resident() -> int:
    """Return the most bytes that this process had resident so far, files included."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
