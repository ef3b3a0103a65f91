"""What this machine needs for what bounds the figures: reading memory, and page faults."""

from __future__ import annotations

import mmap
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.forms import sync
from benchmarks.memory import page_faults

_NBYTES = 1 << 28
_PAGE = mmap.PAGESIZE
_REPEAT = 5


def bounds() -> dict[str, float]:
    """Measure, in medians: GB a second, nanoseconds a page of 4 KiB, pages mapped at a fault.

    Returns
    -------
    dict of str to float
        ``read_gb_per_s``, of one thread; ``zero_page_ns``: private memory, touched first;
        ``file_page_ns``: a file in the page cache, mapped and touched first;
        ``pages_per_file_fault``, where the system counts faults.
    """
    figures = [_once() for _ in range(_REPEAT)]
    return {name: float(np.median([one[name] for one in figures])) for name in figures[0]}


def _once() -> dict[str, float]:
    array = np.ones(_NBYTES // 4, np.int32)
    reading = _seconds(array.max)
    zero = _touch(mmap.mmap(-1, _NBYTES))
    with TemporaryDirectory() as folder:
        path = Path(folder, "pages")
        path.write_bytes(array.data)
        sync(path)
        with path.open("rb") as file:
            before = page_faults()
            mapped = _touch(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            after = page_faults()
    figures = {
        "read_gb_per_s": _NBYTES / reading / 1e9,
        "zero_page_ns": zero * 1e9 * _PAGE / _NBYTES,
        "file_page_ns": mapped * 1e9 * _PAGE / _NBYTES,
    }
    if before is not None and after is not None:
        figures["pages_per_file_fault"] = _NBYTES / _PAGE / max(1, after - before)
    return figures


def _touch(pages: mmap.mmap) -> float:
    """Return the seconds that it takes to touch every page, and let them go."""
    seconds = _seconds(lambda: _one_byte_each(pages))
    pages.close()
    return seconds


def _one_byte_each(pages: mmap.mmap) -> None:
    array = np.frombuffer(pages, np.uint8)
    if array.flags.writeable:
        array[::_PAGE] = 1
    else:
        array[::_PAGE].sum()


def _seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start
