"""Failures to write the cache, remembered so that later sessions do not try in vain.

A process remembers what concerns it: a folder that is read-only, locks that the file system denies.
What concerns a key, such as too little room, is remembered in the folder, by a file ``failed-*``
without any allocated byte, which a full disk still takes. Its size is the number of bytes that
there was no room for; 0 stands for any other failure.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from ortmmap.cache.folder import NO_FOLLOW, age

if TYPE_CHECKING:
    from ortmmap.cache.folder import CacheFolder
    from ortmmap.cache.key import Key

__all__ = ["RETRY_SECONDS", "failure", "is_failure", "remember", "remember_folder"]

RETRY_SECONDS = 60.0
PREFIX = "failed-"

_folders: dict[str, tuple[float, str]] = {}


def failure(cache: CacheFolder, key: Key) -> str | None:
    """Return why the entries of a key cannot be written, if that is known, or None."""
    since, reason = _folders.get(cache.folder, (0.0, ""))
    if reason and time.monotonic() - since < RETRY_SECONDS:
        return reason
    path = _path(cache, key)
    try:
        needed = os.lstat(path).st_size
    except OSError:
        return None
    if needed:
        return cache.no_room(needed)
    return "writing it has failed lately" if age(path) < RETRY_SECONDS else None


def remember(cache: CacheFolder, key: Key, nbytes: int = 0) -> None:
    """Remember that a key's entries could not be written: for want of `nbytes` bytes, if not 0."""
    try:
        fd = os.open(_path(cache, key), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | NO_FOLLOW, 0o600)
        try:
            os.ftruncate(fd, nbytes)
        finally:
            os.close(fd)
    except OSError:  # the next session finds out for itself
        return


def remember_folder(folder: str, reason: str) -> None:
    """Remember, in this process, that nothing can be written to a folder."""
    _folders[folder] = (time.monotonic(), reason)


def is_failure(name: str) -> bool:
    """Return whether a name in the cache's folder is that of a file that `remember` makes."""
    parts = name.removeprefix(PREFIX).split("-")
    return (
        name.startswith(PREFIX)
        and len(parts) == 2
        and all(len(part) == 32 and set(part) <= set("0123456789abcdef") for part in parts)
    )


def _path(cache: CacheFolder, key: Key) -> str:
    return cache.path(f"{PREFIX}{key.setting}-{key.identity}")
