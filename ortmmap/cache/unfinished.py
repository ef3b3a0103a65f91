"""An entry that another process is writing, whose files can be read as far as they are written."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ortmmap.cache.entry import check_file, hold, owners_of
from ortmmap.cache.folder import READING, CacheFolder, is_temporary
from ortmmap.cache.header import NO_CONTENT, Damaged

if TYPE_CHECKING:
    from ortmmap.cache.key import Key

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["UnfinishedEntry", "claim", "is_claimed", "unfinished_entries"]


class UnfinishedEntry:
    """The folder of a `Draft`, as an `Entry`. While the object lives, pruning spares the entry.

    Parameters
    ----------
    cache : CacheFolder
    draft : str
        The draft's name, which it has until it becomes an entry.
    key : Key
    kind : str
        ``model`` or ``pages``.

    Attributes
    ----------
    name, kind : str
        Those of the entry to be.
    key : bytes
        32 bytes that identify the entry's `Key`.
    cache : str
        The cache's folder.
    folder : str
        The draft's folder.
    files : tuple
        Empty: no file has a description yet.
    content : bytes
        `NO_CONTENT`.

    Raises
    ------
    OSError
        If there is no such draft any more.
    """

    files = ()
    content = NO_CONTENT

    def __init__(self, cache: CacheFolder, draft: str, key: Key, kind: str) -> None:
        self.name, self.kind = key.name(kind), kind
        self.key = bytes.fromhex(key.setting + key.identity)
        self.folder = cache.path(draft)
        self.cache = cache.folder
        self._fd: int | None = hold(self.folder)

    def open(self, name: str) -> int:
        """Open a file for reading, and return its descriptor, which the caller closes.

        Raises
        ------
        OSError
            If it is not there, or not a file of this user only.
        """
        fd = os.open(os.path.join(self.folder, name), READING)
        try:
            check_file(name, os.fstat(fd), owners_of(system=False))
        except Damaged as damage:
            os.close(fd)
            raise OSError(str(damage)) from None
        return fd

    def paths(self, name: str) -> list[str]:
        """Return the paths that a file has before and after the draft becomes an entry."""
        folders = (self.folder, os.path.join(self.cache, self.name))
        return [os.path.join(os.path.realpath(folder), name) for folder in folders]

    def close(self) -> None:
        """Unlock the folder."""
        fd, self._fd = self._fd, None
        if fd is not None and fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        if hasattr(self, "_fd"):
            self.close()


def claim(fd: int) -> None:
    """Lock a new file until it is closed, as a sign that it is being written.

    Without such locks, other processes take it for one that a killed process has left.
    """
    if fcntl is None:
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return


def is_claimed(fd: int) -> bool:
    """Return whether another process has the file claimed."""
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    fcntl.flock(fd, fcntl.LOCK_UN)
    return False


def unfinished_entries(cache: CacheFolder, key: Key, kind: str) -> list[UnfinishedEntry]:
    """Return the drafts in the folder, any of which may be that of the key."""
    found = []
    for name in cache.names(is_temporary):
        try:
            found.append(UnfinishedEntry(cache, name, key, kind))
        except OSError:  # it has become an entry, or its writer has failed
            continue
    return found
