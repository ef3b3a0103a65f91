"""The search for an entry in one cache folder, from the cheapest way to the dearest.

1. By name: the key has the exact identity of the model's files.
2. By an alias, which an earlier search has left for this exact identity.
3. By place and samples, if nobody untrusted can have changed the model's files.
4. By the digest of their bytes, about a second per gigabyte: only for `thorough` searches, which no
   session makes while it opens.
"""

from __future__ import annotations

import os
import stat
import time
from collections import namedtuple
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from ortmmap.cache.entry import Entry, is_entry, open_entry
from ortmmap.cache.folder import READING, CacheFolder, temporary_name, write_file
from ortmmap.cache.header import NO_CONTENT

if TYPE_CHECKING:
    from ortmmap.cache.key import Key

__all__ = ["Place", "distrust_of_sources", "explain", "find_entry", "read_alias", "settled_times"]

UNSETTLED_NS = 10**8  # clocks of files tick some milliseconds apart, those of servers differ

Place = namedtuple("Place", "folder kinds refusal system")
Place.__doc__ = """A folder that `Store.explain` has searched.

Attributes
----------
folder : str or None
    None if there is no folder for this user.
kinds : tuple of str
    Of the entries found: ``model``, ``pages``.
refusal : str or None
    Why the folder, or an entry that it has of the model, is not used, and what to do about it.
system : bool
    Whether it is a system cache.
"""


def find_entry(cache: CacheFolder, key: Key, kind: str, *, thorough: bool) -> Entry | None:
    """Return the entry of a key, or None.

    Parameters
    ----------
    cache : CacheFolder
    key : Key
    kind : str
        ``model`` or ``pages``.
    thorough : bool
        Whether files are read in full where that may lead to an entry: those of the model, and
        those of an entry that has been copied with new times.

    Raises
    ------
    OSError
        If the folder cannot be read.
    """
    entry = open_entry(cache, key.name(kind), thorough=thorough)
    if entry is not None:
        return entry
    if not cache.system:
        entry = _of_alias(cache, key, kind, thorough)
    entry = entry or _of_samples(cache, key, kind, thorough)
    return entry or (_of_content(cache, key, kind) if thorough else None)


def settled_times(caches: Iterable[CacheFolder]) -> tuple[int, ...] | None:
    """Return times of modification of folders, in ns; 0 for one that does not exist.

    An entry or an alias that appears in a folder changes its time. None if a folder was changed a
    moment ago, so that it might get the same time again, or if it cannot be examined.
    """
    now, times = time.time_ns(), []
    for cache in caches:
        try:
            times.append(os.stat(cache.folder).st_mtime_ns)
        except FileNotFoundError:
            times.append(0)
        except OSError:
            return None
    return tuple(times) if all(abs(now - each) > UNSETTLED_NS for each in times) else None


def explain(own: CacheFolder, refused: str | None, key: Key, kinds: Iterable[str]) -> list[Place]:
    """Search the user's folder, which may be refused, and the system caches; see `Place`."""
    from ortmmap.cache.system import folders

    system = [(CacheFolder(path, system=True), reason) for path, reason in folders()]
    return [_place(cache, reason, key, kinds) for cache, reason in [(own, refused), *system]]


def _place(cache: CacheFolder, refused: str | None, key: Key, kinds: Iterable[str]) -> Place:
    found = []
    try:
        for kind in kinds if refused is None else ():
            entry = find_entry(cache, key, kind, thorough=False)
            if entry is not None:
                found.append(kind)
                entry.close()
        missing = [kind for kind in kinds if kind not in found] if refused is None else []
        if any(_has_entry_of_place(cache, key, kind) for kind in missing):
            refused = distrust_of_sources(key)
    except OSError as error:
        refused = str(error)
    return Place(cache.folder or None, tuple(found), refused, cache.system)


def _has_entry_of_place(cache: CacheFolder, key: Key, kind: str) -> bool:
    """Return whether there is an entry of files that were at the places of the model's."""
    for entry in _of_settings(cache, key, kind, thorough=False):
        is_here = key.is_at(entry.place, entry.coarse_place)
        entry.close()
        if is_here:
            return True
    return False


def distrust_of_sources(key: Key) -> str | None:
    """Return why others may have changed the model's files, or None."""
    from ortmmap.cache.trust import distrust_of_file

    for source in key.sources:
        reason = distrust_of_file(source.path)
        if reason is not None:
            return reason
    return None


def _of_alias(cache: CacheFolder, key: Key, kind: str, thorough: bool) -> Entry | None:
    target = read_alias(_alias_path(cache, key, kind))
    if target is None or not target.startswith(key.prefix(kind)):
        return None
    return open_entry(cache, target, thorough=thorough)


def _of_samples(cache: CacheFolder, key: Key, kind: str, thorough: bool) -> Entry | None:
    """Find an entry of files that had the same places and samples.

    The samples are read only if an entry with the same settings, sizes and places exists.
    """
    for entry in _of_settings(cache, key, kind, thorough):
        try:
            same = (
                key.is_at(entry.place, entry.coarse_place)
                and distrust_of_sources(key) is None
                and entry.samples == key.samples()
            )
        except OSError:  # a file of the model has gone or changed meanwhile
            return None
        if same:
            return _aliased(cache, key, kind, entry)
        entry.close()
    return None


def _of_content(cache: CacheFolder, key: Key, kind: str) -> Entry | None:
    """Find an entry of other files of the same bytes."""
    for entry in _of_settings(cache, key, kind, thorough=True):
        try:
            same = entry.content != NO_CONTENT and key.content() == entry.content
        except OSError:
            return None
        if same:
            return _aliased(cache, key, kind, entry)
        entry.close()
    return None


def _of_settings(cache: CacheFolder, key: Key, kind: str, thorough: bool) -> Iterator[Entry]:
    """Open the entries of the same settings and sizes of sources, one after another."""
    prefix = key.prefix(kind)
    for name in cache.names(lambda name: name.startswith(prefix) and is_entry(name)):
        entry = open_entry(cache, name, thorough=thorough)
        if entry is not None:
            yield entry


def _aliased(cache: CacheFolder, key: Key, kind: str, entry: Entry) -> Entry:
    """Leave an alias for the next search, unless the entry has the key's name or is a system's."""
    if not cache.system and entry.name != key.name(kind):
        _write_alias(_alias_path(cache, key, kind), entry.name)
    return entry


def _alias_path(cache: CacheFolder, key: Key, kind: str) -> str:
    return cache.path(f"{key.name(kind)}.alias")


def read_alias(path: str) -> str | None:
    """Return the name of an entry from an alias file of this user, or None."""
    try:
        fd = os.open(path, READING)
    except OSError:
        return None
    try:
        found = os.fstat(fd)
        ours = stat.S_ISREG(found.st_mode) and (
            not hasattr(os, "geteuid") or found.st_uid == os.geteuid()
        )
        name = os.read(fd, 100).decode("ascii", "replace").strip() if ours else ""
    finally:
        os.close(fd)
    return name if is_entry(name) else None


def _write_alias(path: str, name: str) -> None:
    temporary = os.path.join(os.path.dirname(path), temporary_name())
    try:
        write_file(temporary, f"{name}\n".encode("ascii"))
        os.replace(temporary, path)
    except OSError:  # a read-only folder: the next search takes the same way
        return
