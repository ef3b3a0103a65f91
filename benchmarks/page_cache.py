"""The page cache: named files are read into it, or dropped from it."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

DROPS = hasattr(os, "posix_fadvise")  # not on Windows and macOS


def read(paths: Iterable[Path]) -> None:
    """Read files, and all files in folders, so that the system keeps them in memory."""
    for path in _files(paths):
        with path.open("rb", buffering=0) as file:
            while file.read(1 << 24):
                pass


def drop(paths: Iterable[Path]) -> None:
    """Drop files, and all files in folders, from memory; what a process has mapped stays."""
    for path in _files(paths):
        with path.open("rb+" if os.access(path, os.W_OK) else "rb", buffering=0) as file:
            os.fsync(file)  # the system drops no page that awaits writing
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        found = path.rglob("*") if path.is_dir() else [path]
        yield from (one for one in found if one.is_file() and not one.is_symlink())
