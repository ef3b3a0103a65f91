"""The file of prepacked blocks: its format, writing, reading.

A file is accepted only if every rule holds:

1. Integers are little-endian. The file is a header, then blocks.
2. The header, without gaps: magic ``ORTMPAGE`` (8 bytes), version 2 (u32), number of blocks n
   (u32), size of the file (u64), 8 bytes of zero, the key (32 bytes); n entries of offset (u64)
   and size (u64); BLAKE2b-128 of everything before it.
3. There are at most 1048576 blocks, and none is empty.
4. The first block begins at the first multiple of 64 KiB after the header, each other one at the
   first multiple of 64 KiB after the one before. So none overlap.
5. The file ends at the first multiple of 64 KiB after the last block or, without blocks, after the
   header.
6. The bytes between blocks are written as zeros, and never read.

The header of the cache entry has the checksum of the whole file. 64 KiB is a multiple of every page
size of Linux, macOS and Windows (its allocation granularity), so each block can be mapped.
"""

import os
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from ortmmap.cache.header import CHECKSUM_BYTES, checksum

__all__ = [
    "ALIGNMENT",
    "BadPages",
    "read_table",
    "read_unfinished_table",
    "write_pages",
]

ALIGNMENT = 1 << 16
MAGIC = b"ORTMPAGE"
VERSION = 2
KEY_BYTES = 32
MOST_BLOCKS = 1 << 20
# Large aligned writes get large folios of the page cache, and blocks mapped from these run faster.
WRITE_BYTES = 1 << 24
READ_BYTES = 1 << 23
MOST_PIECES = 512  # IOV_MAX is 1024 or more

_HEAD = struct.Struct(f"<8sIIQQ{KEY_BYTES}s")
_ENTRY = struct.Struct("<QQ")


class Digest(Protocol):
    """The part of hashlib's objects that `write_pages` uses."""

    def update(self, data: memoryview, /) -> object: ...


class BadPages(ValueError):  # noqa: N818 - a state of the file
    """A file breaks a rule of the format."""


def write_pages(
    fd: int,
    key: bytes,
    blocks: Sequence[memoryview],
    check: Callable[[], object] | None = None,
    digest: Digest | None = None,
    *,
    begun: Callable[[], object] | None = None,
) -> int:
    """Write blocks to an empty file in few large sequential writes, without copying them.

    What lies before the file's end is written, so other processes may read it before the rest is.

    Parameters
    ----------
    fd : int
        Open for writing, at position 0.
    key : bytes
        32 bytes, to be passed to `read_table`.
    blocks : sequence of buffers
        C-contiguous, none empty.
    check : callable, optional
        Called before each write. What it raises ends the writing.
    digest : xxhash.xxh3_64, optional
        Updated with the file's bytes.
    begun : callable, optional
        Called once the file's header is written.

    Returns
    -------
    int
        The size of the file, in bytes.

    Raises
    ------
    ValueError
        If the key or the blocks are not of that form.
    OSError
        If the file cannot be written: a full disk, a quota.
    """
    views = [memoryview(block).cast("B") for block in blocks]
    if len(key) != KEY_BYTES:
        raise ValueError(f"a key has {KEY_BYTES} bytes, not {len(key)}")
    if len(views) > MOST_BLOCKS or not all(view.nbytes for view in views):
        raise ValueError(f"expected at most {MOST_BLOCKS} blocks, none empty")
    table, size = _layout([view.nbytes for view in views])
    header = _header(key, table, size)
    for number, pieces in enumerate(_batches(header, views)):
        if check is not None:
            check()
        if digest is not None:
            for piece in pieces:
                digest.update(piece)
        _write_all(fd, pieces)
        if begun is not None and number == 0:
            begun()
    return size


def read_table(fd: int, key: bytes) -> list[tuple[int, int]]:
    """Check the header and the size of a complete file, and return offset and size of each block.

    Parameters
    ----------
    fd : int
        Open for reading; its position is left alone.
    key : bytes
        The key that the file was written with.

    Returns
    -------
    list of (int, int)
        Offset and size of each block, in bytes.

    Raises
    ------
    BadPages
        If a rule is broken, or the key differs.
    """
    found = os.fstat(fd).st_size
    table, size = read_unfinished_table(fd, key)
    if size != found:
        raise BadPages(f"the file has {found} bytes, its header says {size}")
    return table


def read_unfinished_table(fd: int, key: bytes) -> tuple[list[tuple[int, int]], int]:
    """Check the header of a file that may be incomplete; return its table and its whole size.

    Parameters and errors are those of `read_table`.
    """
    found, table, size = _read_header(fd)
    if found != key:
        raise BadPages("the file has another key")
    return table, size


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _layout(sizes: Iterable[int]) -> tuple[list[tuple[int, int]], int]:
    """Return offset and size of each block, and the size of the file."""
    sizes = list(sizes)
    offset = _aligned(_HEAD.size + len(sizes) * _ENTRY.size + CHECKSUM_BYTES)
    table = []
    for size in sizes:
        table.append((offset, size))
        offset = _aligned(offset + size)
    return table, offset


def _header(key: bytes, table: list[tuple[int, int]], size: int) -> bytes:
    header = bytearray(_HEAD.pack(MAGIC, VERSION, len(table), size, 0, key))
    for offset, length in table:
        header += _ENTRY.pack(offset, length)
    return bytes(header) + checksum(header)


def _padded(views: list[memoryview]) -> Iterator[memoryview]:
    zeros = memoryview(bytes(ALIGNMENT))
    for view in views:
        yield view
        padding = _aligned(view.nbytes) - view.nbytes
        if padding:
            yield zeros[:padding]


def _batches(header: bytes, views: list[memoryview]) -> Iterator[list[memoryview]]:
    """Yield the padded header, then lists that end at multiples of `WRITE_BYTES` in the file."""
    first = list(_padded([memoryview(header)]))
    yield first
    batch: list[memoryview] = []
    room = WRITE_BYTES - sum(map(len, first)) % WRITE_BYTES
    for view in _padded(views):
        rest = view
        while rest.nbytes:
            piece, rest = rest[:room], rest[room:]
            batch.append(piece)
            room -= piece.nbytes
            if room == 0 or len(batch) == MOST_PIECES:
                yield batch
                batch, room = [], room or WRITE_BYTES
    if batch:
        yield batch


def _write_all(fd: int, pieces: list[memoryview]) -> None:
    if not hasattr(os, "writev"):
        pieces = [memoryview(b"".join(pieces))]
    while pieces:
        written = os.writev(fd, pieces) if hasattr(os, "writev") else os.write(fd, pieces[0])
        while pieces and written >= pieces[0].nbytes:
            written -= pieces.pop(0).nbytes
        if written:
            pieces[0] = pieces[0][written:]


def _read_header(fd: int) -> tuple[bytes, list[tuple[int, int]], int]:
    """Return key, table and size of the file."""
    head = _read_exactly(fd, 0, _HEAD.size)
    magic, version, count, size, reserved, key = _HEAD.unpack(head)
    if magic != MAGIC:
        raise BadPages("this is not a file of prepacked blocks")
    if version != VERSION:
        raise BadPages(f"the format's version is {version}, not {VERSION}")
    if count > MOST_BLOCKS:
        raise BadPages(f"{count} blocks")
    if reserved:
        raise BadPages("the header is of another format")
    length = count * _ENTRY.size
    rest = _read_exactly(fd, _HEAD.size, length + CHECKSUM_BYTES)
    if checksum(head + rest[:length]) != rest[length:]:
        raise BadPages("the header is not what was written")
    table = list(_ENTRY.iter_unpack(rest[:length]))
    _check_layout(table, size)
    return key, table, size


def _check_layout(table: list[tuple[int, int]], size: int) -> None:
    """Refuse a header with a valid checksum that `write_pages` has not written."""
    expected, end = _layout(length for _, length in table)
    if table != expected or end != size or not all(length for _, length in table):
        raise BadPages("a block does not lie where it must")


def _read_exactly(fd: int, offset: int, length: int) -> bytes:
    if offset + length > os.fstat(fd).st_size:
        raise BadPages("the file ends too early")
    return b"".join(_read(fd, offset, length))


def _read(fd: int, offset: int, length: int) -> Iterator[bytes]:
    end = offset + length
    while offset < end:
        piece = os.pread(fd, min(READ_BYTES, end - offset), offset)
        if not piece:
            raise BadPages("the file ends too early")
        offset += len(piece)
        yield piece
