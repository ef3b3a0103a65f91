"""The identity of files: exact, portable, and by content.

A file is recognised by the first of these that holds:

1. its exact identity, from `os.stat`: device, inode, size, times of modification and of change;
2. its place (real path, size, time of modification) together with its samples (a digest of 4 KiB
   of each MiB), if nobody untrusted can have written it;
3. a digest of all its bytes.

A copied file has another inode, and the layers of a container's image keep no more than whole
seconds of a time of modification. The second identity survives both, at 0.4 % of the reading. A
time is the recorded one if it is equal, or equal to the recorded one without its fraction.
"""

import os
import sys
from _blake2 import blake2b  # hashlib's own; hashlib loads OpenSSL too, which takes longer
from collections import namedtuple
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from io import FileIO

__all__ = [
    "NO_SAMPLES",
    "SAMPLE_BYTES",
    "Source",
    "check_unchanged",
    "is_coarse",
    "is_same_time",
    "pieces",
    "place_of",
    "samples_of",
    "samples_of_file",
]

SECOND = 10**9  # in ns
READ_BYTES = 1 << 23
PIECE_BYTES = 1 << 12
SPACING = 1 << 20  # one piece in so many bytes: 0.4 % of a large file
SAMPLE_BYTES = 16  # of a digest
NO_SAMPLES = bytes(SAMPLE_BYTES)


class Source(namedtuple("Source", "path device inode size mtime_ns ctime_ns")):
    """The identity of a file, from `os.stat`, and its path."""

    __slots__ = ()

    @classmethod
    def of(cls, path: str | os.PathLike) -> "Source":
        """Return the file's identity as it is now."""
        return cls.from_stat(os.path.abspath(os.fsdecode(path)), os.stat(path))

    @classmethod
    def from_stat(cls, path: str, found: os.stat_result) -> "Source":
        """Return the identity from the result of `os.stat` or `os.fstat`."""
        return cls(
            path, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
        )

    def exact(self) -> tuple:
        """Return the exact identity.

        Linux numbers file systems without a device of their own (overlayfs, tmpfs, btrfs, NFS) in
        the order of mounting, so such a number differs from mount to mount. The real path stands
        for it then. Otherwise the path does not count.
        """
        if sys.platform == "linux" and os.major(self.device) == 0:
            return (os.path.realpath(self.path), *self[2:])
        return self[1:]

    def place(self, unit: int = 1) -> tuple[str, int, int]:
        """Return the real path, the size, and the time of modification in units of ns."""
        return os.path.realpath(self.path), self.size, self.mtime_ns // unit


def is_coarse(mtime_ns: int) -> bool:
    """Return whether a time has no fraction of a second, as in the layers of an image."""
    return mtime_ns % SECOND == 0


def is_same_time(mtime_ns: int, recorded_ns: int) -> bool:
    """Return whether a time is the recorded one, or the recorded one without its fraction."""
    return mtime_ns in (recorded_ns, recorded_ns // SECOND * SECOND)


def place_of(sources: Iterable[Source], unit: int = 1) -> bytes:
    """Return a digest of the places of files, in `SAMPLE_BYTES` bytes."""
    places = repr([source.place(unit) for source in sources])
    return blake2b(places.encode("utf-8", "replace"), digest_size=SAMPLE_BYTES).digest()


def samples_of(sources: Iterable[Source]) -> bytes:
    """Return a digest of the samples of files, in `SAMPLE_BYTES` bytes.

    Raises
    ------
    OSError
        If a file cannot be read, or is not the one that its `Source` describes.
    """
    digest = blake2b(digest_size=SAMPLE_BYTES)
    for source in sources:
        with open(source.path, "rb", buffering=0) as file:
            digest.update(samples_of_file(file.fileno(), source.size))
            check_unchanged(source, os.fstat(file.fileno()))
    return digest.digest()


def samples_of_file(fd: int, size: int, spacing: int = SPACING) -> bytes:
    """Return a digest of a file's first and last 4 KiB, and of 4 KiB in each `spacing` bytes.

    Parameters
    ----------
    fd : int
        A descriptor for reading.
    size : int
        Of the file in bytes; a part of the digest.
    spacing : int
        In bytes, a multiple of 4096.
    """
    digest = blake2b(size.to_bytes(8, "little"), digest_size=SAMPLE_BYTES)
    _read_no_further(fd)
    for offset in range(0, size, spacing):
        digest.update(_read_at(fd, offset))
    digest.update(_read_at(fd, max(size - PIECE_BYTES, 0)))
    return digest.digest()


def _read_no_further(fd: int) -> None:
    """Turn off the system's reading ahead, which would multiply what is read from the disk."""
    if not hasattr(os, "posix_fadvise"):
        return
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
    except OSError:
        return


def _read_at(fd: int, offset: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(fd, PIECE_BYTES, offset)
    os.lseek(fd, offset, os.SEEK_SET)
    return os.read(fd, PIECE_BYTES)


def check_unchanged(source: Source, found: os.stat_result) -> None:
    """Raise OSError if the result of `os.stat` is not that of the source."""
    if Source.from_stat(source.path, found) != source:
        raise OSError(f"{source.path} has changed")


def pieces(file: "FileIO") -> Iterator[memoryview]:
    """Read the rest of a file in pieces, each valid until the next is asked for.

    Their buffer goes back to the system. malloc would keep it in the arena of the thread.
    """
    from mmap import mmap  # few sessions read a whole file

    with mmap(-1, READ_BYTES) as buffer, memoryview(buffer) as view:
        while count := file.readinto(buffer):
            with view[:count] as piece:
                yield piece
