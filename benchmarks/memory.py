"""What a process's memory consists of, as the system counts it."""

from __future__ import annotations

import threading
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


class PeakPrivate:
    """Samples, while it is entered, what the process holds that no file backs.

    Every millisecond, on a thread of its own: Linux keeps no high-water mark of it.

    Attributes
    ----------
    nbytes : int or None
        The most that was seen, in bytes; None where the system does not tell.
    """

    def __init__(self) -> None:
        self.nbytes: int | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> PeakPrivate:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._over.set()
        self._thread.join()

    def _sample(self) -> None:
        while True:
            found = _not_of_files()
            if found is None:
                return
            self.nbytes = max(found, self.nbytes or 0)
            if self._over.wait(0.001):
                return


def _not_of_files() -> int | None:
    try:
        lines = Path("/proc/self/status").read_bytes().splitlines()
    except OSError:
        return None
    wanted = (b"RssAnon:", b"RssShmem:")
    return sum(int(line.split()[1]) for line in lines if line.startswith(wanted)) * _KIB
