"""Which pages of files the system keeps in memory: read in, or dropped, for named files only."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

_CHUNK = 1 << 24

# posix_fadvise is not on Windows and macOS.
DROPS = hasattr(os, "posix_fadvise")


def read(paths: Iterable[Path]) -> None:
    """Have the system keep these files, and all files in these folders, in memory."""
    for path in _files(paths):
        with path.open("rb", buffering=0) as file:
            while file.read(_CHUNK):
                pass


def drop(paths: Iterable[Path]) -> None:
    """Have the system forget these files, and all files in these folders.

    Written to disk first: the system drops no page that awaits writing, nor one that a process
    has mapped.
    """
    for path in _files(paths):
        descriptor = os.open(path, os.O_RDWR if os.access(path, os.W_OK) else os.O_RDONLY)
        try:
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from (one for one in path.rglob("*") if one.is_file() and not one.is_symlink())
        elif path.exists():
            yield path
