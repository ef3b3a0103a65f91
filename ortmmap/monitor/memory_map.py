"""A process's memory map as the kernel counts it: ``/proc/PID/maps`` and ``/proc/PID/smaps``."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

__all__ = ["Region", "Sizes", "mapped_paths", "regions", "total"]

DELETED = " (deleted)"
PAGE_UNIT = 1024  # bytes; smaps counts in these

_HEADER = re.compile(rb"([0-9a-f]+)-([0-9a-f]+) (\S{4}) [0-9a-f]+ (\S+) (\d+) *(.*)")
_SUMMED = {
    b"Rss": "resident",
    b"Pss": "proportional",
    b"Shared_Clean": "shared",
    b"Shared_Dirty": "shared",
    b"Private_Clean": "private",
    b"Private_Dirty": "private",
    b"Anonymous": "anonymous",
    b"Swap": "swapped",
}


class Sizes(NamedTuple):
    """Sizes of mapped memory, in bytes.

    Attributes
    ----------
    mapped : int
        Address space, whether or not there is memory behind it.
    resident : int
        Pages in memory (RSS): `shared` and `private`.
    proportional : int
        Each resident page divided by the number of processes that map it (PSS). Summed over all
        processes, it is the memory that is used.
    shared, private : int
        Resident pages that other processes map too, and pages that only this one maps.
    anonymous : int
        Resident pages that belong to no file: memory that was allocated, or written to in a
        private mapping.
    swapped : int
        Anonymous pages that are swapped out.
    """

    mapped: int = 0
    resident: int = 0
    proportional: int = 0
    shared: int = 0
    private: int = 0
    anonymous: int = 0
    swapped: int = 0


class Region(NamedTuple):
    """A mapped range of addresses.

    Attributes
    ----------
    path : str
        The file's, as the process sees it; empty or in brackets for memory without a file.
    deleted : bool
        Whether the file's name is gone.
    device : str
        ``major:minor``, in hexadecimal.
    inode : int
    permissions : str
        Such as ``r-xp``; the last letter is ``s`` for a shared mapping.
    sizes : Sizes
    """

    path: str
    deleted: bool
    device: str
    inode: int
    permissions: str
    sizes: Sizes


def total(sizes: Iterable[Sizes]) -> Sizes:
    """Return the sum, field by field."""
    return Sizes(*map(sum, zip(*sizes, strict=True)))


def mapped_paths(pid: int) -> set[str]:
    """Return the paths of the files that a process maps, which is quicker than `regions`.

    Raises
    ------
    PermissionError
        If the process may not be examined by this user.
    OSError
        If it has ended.
    """
    matches = map(_HEADER.fullmatch, _read(pid, "maps").splitlines())
    return {_path(match[6])[0] for match in matches if match and match[5] != b"0"}


def regions(pid: int) -> list[Region]:
    """Return the mapped ranges of a process, with their sizes; raise as `mapped_paths` does.

    The kernel walks the page tables for this, and holds a lock of the process's meanwhile.
    """
    return list(_parsed(_read(pid, "smaps").splitlines()))


def _read(pid: int, name: str) -> bytes:
    with open(f"/proc/{pid}/{name}", "rb") as file:
        return file.read()


def _parsed(lines: Iterable[bytes]) -> Iterator[Region]:
    header: re.Match[bytes] | None = None
    sums: dict[str, int] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        field = _SUMMED.get(name)
        if field is not None:
            sums[field] = sums.get(field, 0) + int(value.split()[0]) * PAGE_UNIT
            continue
        match = None if colon and b"-" not in name else _HEADER.fullmatch(line)
        if match is not None:
            if header is not None:
                yield _region(header, sums)
            header, sums = match, {}
    if header is not None:
        yield _region(header, sums)


def _region(header: re.Match[bytes], sums: dict[str, int]) -> Region:
    start, end, permissions, device, inode, name = header.groups()
    path, deleted = _path(name)
    sizes = Sizes(mapped=int(end, 16) - int(start, 16), **sums)
    return Region(path, deleted, device.decode(), int(inode), permissions.decode(), sizes)


def _path(name: bytes) -> tuple[str, bool]:
    """Return the path, and whether the kernel marks it as deleted."""
    text = os.fsdecode(name.replace(b"\\012", b"\n"))  # the only character that is escaped
    return text.removesuffix(DELETED), text.endswith(DELETED)
