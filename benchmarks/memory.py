"""What a process's memory consists of, as the system counts it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

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

    @property
    def shared(self) -> int:
        """What is resident and another process could share: pages of files, and memfds'."""
        return max(0, self.rss + (self.swap or 0) - self.private)


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


class Sampler:
    """Calls, while it is entered, on a thread of its own, and keeps the most that was returned.

    Parameters
    ----------
    read : callable
        Returns bytes, or None where the system does not tell.
    seconds : float
        Between calls; longer where a call itself takes longer, so that it disturbs little.

    Attributes
    ----------
    nbytes : int or None
        The most that was seen.
    """

    def __init__(self, read: Callable[[], int | None], seconds: float) -> None:
        self.nbytes: int | None = None
        self._read = read
        self._seconds = seconds
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._over.set()
        self._thread.join()

    def _sample(self) -> None:
        over = False
        while not over:
            start = time.perf_counter()
            found = self._read()
            if found is None:
                return
            self.nbytes = max(found, self.nbytes or 0)
            over = self._over.wait(max(self._seconds, time.perf_counter() - start))


class PeakPrivate(Sampler):
    """Samples what processes hold together that no file backs: Linux keeps no high-water mark.

    Parameters
    ----------
    pids : sequence of int
        The processes; by default this one.
    """

    def __init__(self, pids: Sequence[int] = ()) -> None:
        chosen = pids or (os.getpid(),)
        super().__init__(lambda: _sum(not_of_files, chosen), 0.001 if not pids else 0.005)


class PeakPss(Sampler):
    """Samples the sum of processes' proportional set sizes, more seldom: each takes a while."""

    def __init__(self, pids: Sequence[int]) -> None:
        super().__init__(lambda: _sum(lambda pid: memory(pid).pss, pids), 0.02)


def _sum(of: Callable[[int], int | None], pids: Sequence[int]) -> int | None:
    """Add up what is known of every process; None where one is unknown, or has gone."""
    total = 0
    for pid in pids:
        try:
            size = of(pid)
        except (OSError, KeyError, psutil.NoSuchProcess):
            return None
        if size is None:
            return None
        total += size
    return total


def not_of_files(pid: int) -> int | None:
    """Return the memory of a process that no file on disk backs, which is cheap to ask for."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return _private_bytes(pid)
    wanted = (b"RssAnon:", b"RssShmem:")
    lines = status.read_bytes().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(wanted)) * _KIB


def _private_bytes(pid: int) -> int | None:
    """Return a process's private bytes on Windows; None elsewhere."""
    found = getattr(psutil.Process(pid).memory_info(), "private", None)
    return None if found is None else int(found)


def page_faults() -> int | None:
    """Return how many page faults this process has had, or None where the system does not tell."""
    try:
        import resource
    except ImportError:
        return None
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_minflt + usage.ru_majflt
