"""The memory of processes, as the system counts it."""

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Memory:
    """Bytes of a process at one moment."""

    private: int  # not shareable. Linux: anonymous, swapped or not; macOS: USS; Windows: private
    rss: int  # resident set size (Windows: working set)
    pss: int | None  # proportional set size: a page of n processes counts 1/n. None if not known


def memory(pid: int) -> Memory:
    """Return the memory of a process; see https://docs.kernel.org/filesystems/proc.html."""
    rollup = Path(f"/proc/{pid}/smaps_rollup")
    if not rollup.exists():
        full = psutil.Process(pid).memory_full_info()
        return Memory(getattr(full, "private", None) or full.uss, full.rss, None)
    fields = [line.split() for line in rollup.read_text().splitlines() if line.endswith(" kB")]
    size = {name: int(kib) * 1024 for name, kib, _ in fields}
    return Memory(size["Anonymous:"] + size["Swap:"], size["Rss:"], size["Pss:"])


@dataclass
class Peak:
    """The largest number of bytes that was sampled, or None."""

    nbytes: int | None = None


@contextmanager
def sampled(read: Callable[[], int | None], seconds: float) -> Iterator[Peak]:
    """While entered, call `read` on a thread, and yield the object that keeps the largest result.

    None ends the sampling. There are `seconds` between calls, or as long as a call takes if that is
    more, to disturb little.
    """
    peak, over = Peak(), threading.Event()

    def sample() -> None:
        start = time.perf_counter()
        while (found := read()) is not None:
            peak.nbytes = max(found, peak.nbytes or 0)
            if over.wait(max(seconds, time.perf_counter() - start)):
                break
            start = time.perf_counter()

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        over.set()
        thread.join()


def peak_private(pids: Sequence[int], seconds: float = 0.02) -> AbstractContextManager[Peak]:
    """Sample the memory of all processes that no file backs; Linux keeps no maximum of it."""
    if not pids:
        return nullcontext(Peak())
    return sampled(lambda: _total(not_of_files, pids), seconds)


def total_pss(pids: Sequence[int]) -> int | None:
    """Return the sum of proportional set sizes, None if one is unknown or a process has gone."""
    return _total(lambda pid: memory(pid).pss, pids)


def _total(of: Callable[[int], int | None], pids: Sequence[int]) -> int | None:
    try:
        sizes = [of(pid) for pid in pids]
    except (OSError, KeyError, psutil.NoSuchProcess):
        return None
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None


def not_of_files(pid: int) -> int | None:
    """Return the memory of a process that no file backs, which is cheap to ask for.

    Shared memory is left out: the system counts each mapping of a page. The 2 MiB of the pattern
    that stands for weights are mapped in the place of all of them, and the 6 MiB of the fold in
    the place of each block.
    """
    status = Path(f"/proc/{pid}/status")
    if not status.exists():  # Windows counts it, macOS does not
        return getattr(psutil.Process(pid).memory_info(), "private", None)
    lines = status.read_bytes().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(b"RssAnon:")) * 1024


def page_faults() -> int:
    """Return the number of page faults of this process so far."""
    if sys.platform == "win32":
        return psutil.Process().memory_info().num_page_faults
    import resource

    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_minflt + usage.ru_majflt
