"""The store: a cache folder whose entries are found, written, listed and removed."""

import os
from collections import namedtuple
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ortmmap.cache.entry import Distrusted, Entry, hold, is_entry, open_entry
from ortmmap.cache.folder import (
    FOLDER_VARIABLE,
    CacheFolder,
    age,
    default_folder,
    folder_bytes,
    is_temporary,
    longest_wait,
    modified,
    refusal,
    warn,
)
from ortmmap.cache.header import Damaged
from ortmmap.cache.identity import Source, is_same_time
from ortmmap.cache.key import Key, options_signature, runtime_signature

# Modules that only writing and searching need are imported then: opening should import little.
if TYPE_CHECKING:
    from ortmmap.cache.draft import Draft
    from ortmmap.cache.lock import Turn
    from ortmmap.cache.search import Place

__all__ = [
    "Found",
    "Key",
    "Source",
    "Store",
    "open_store",
    "options_signature",
    "runtime_signature",
    "store_of",
]

YOUNG_SECONDS = 60  # an alias may be younger than its entry
UNLOCKED_SECONDS = 86400  # without locks, a temporary folder of this age has lost its owner
MOST_ALIASES = 256

Found = namedtuple("Found", "name kind nbytes last_used created sources in_use state")
Found.__doc__ = """An entry as `Store.entries` lists it.

Attributes
----------
name, kind : str
nbytes : int
last_used, created : float
    In seconds since the epoch; `created` is None if it is not known.
sources : tuple of (str, int, int)
    Path, size in bytes and time of modification in nanoseconds of the files it was made from.
in_use : bool
state : str
    ``ok``, ``unverified`` (copied, and not compared since), ``source changed``, ``source gone``,
    ``unfinished``, ``damaged: …`` or, in a system cache, ``refused: …`` if others may have written
    it.
"""


def open_store(
    setting: bool | str | os.PathLike | None, path: str | os.PathLike | None = None
) -> "Store":
    """Return the store of a session that uses the cache; its folder may be refused.

    The user's folder is created if it does not exist. If there is a system cache, which may have
    all that the session needs, that is left to `Store.prepare`, and so is the warning.

    Parameters
    ----------
    setting : bool, str, os.PathLike or None
        The folder, or anything else for the default folder.
    path : str or os.PathLike, optional
        The model file, for the warning.
    """
    store = store_of(setting, path)
    if store.refused is None and not os.path.lexists(store.folder) and not store.system_caches():
        store.refused = refusal(store.folder, named=True)
    return store


def store_of(
    setting: bool | str | os.PathLike | None, path: str | os.PathLike | None = None
) -> "Store":
    """Return the store that `open_store` would return; its folder may be refused or missing."""
    if setting is None or isinstance(setting, bool):
        folder, named = default_folder(), bool(os.environ.get(FOLDER_VARIABLE))
    else:
        folder, named = os.path.abspath(os.fsdecode(setting)), True
    reason = refusal(folder, named=named, make=False)
    return Store(folder or "", refused=reason, model=path)


class Store(CacheFolder):
    """A cache folder and its entries, and the system caches that are searched after it.

    The methods that sessions call (`find`, `write`, `build`, `lock`) raise nothing if the folder or
    the disk fails: they warn, once in a process, and the session goes on without the cache.

    Parameters
    ----------
    folder, most_bytes, system
        As for `CacheFolder`.
    refused : str, optional
        Why the folder may not be used. Then only the system caches are.
    model : str or os.PathLike, optional
        The model file, for the warning.
    """

    def __init__(
        self,
        folder: str,
        most_bytes: int | None = None,
        *,
        system: bool = False,
        refused: str | None = None,
        model: str | os.PathLike | None = None,
    ) -> None:
        super().__init__(folder, most_bytes, system=system)
        self.refused = refused
        self._model = model
        self._system_caches: list[CacheFolder] | None = [] if system else None
        # Of names that were searched in vain, the times of the folders then. A dict has its lock.
        self._missing: dict[str, tuple[int, ...]] = {}

    def system_caches(self) -> list[CacheFolder]:
        """Return the system caches that may be used."""
        if self._system_caches is None:
            from ortmmap.cache.system import system_caches

            self._system_caches = system_caches()
        return self._system_caches

    def is_searched(self) -> bool:
        """Return whether there is a folder, the user's or a system cache, that may be used."""
        return self.refused is None or bool(self.system_caches())

    def prepare(self, key: Key | None = None, kinds: Iterable[str] = ()) -> str | None:
        """Create the folder if it does not exist; return why it cannot be used, or None.

        Parameters
        ----------
        key : Key, optional
            If given, the reason also says why entries of a system cache are not used.
        kinds : iterable of str
            The kinds of these entries: ``model``, ``pages``.

        Warns
        -----
        CacheWarning
            If it cannot be used, once in a process for each reason.
        """
        if self.refused is None:
            self.refused = refusal(self.folder, named=True)
        if self.refused is None:
            return None
        reasons = [self.refused]
        if key is not None:
            reasons += [
                f"and the system cache {place.folder} is not used: {place.refusal}"
                for place in self.explain(key, kinds)
                if place.system and place.refusal is not None
            ]
        reason = "; ".join(reasons)
        model = "" if self._model is None else f" for {os.fsdecode(self._model)}"
        warn(f"folder {reason}", f"the cache is not used{model}: {reason}")
        return reason

    def find(self, key: Key, kind: str, *, thorough: bool = True) -> Entry | None:
        """Return the entry of that key, or None.

        Keep the `Entry` while its files are in use, so that pruning spares it. `clear` removes it
        all the same: mappings stay valid, but opening a file fails. Treat that as a missing entry.

        Parameters
        ----------
        key : Key
        kind : str
            ``model`` or ``pages``.
        thorough : bool
            Whether copied files are read in full if that may lead to an entry. It can take longer
            than creating a session without the cache.
        """
        entry = self._find_by_name(key, kind, thorough)
        if entry is None:
            entry = self._search(key, kind, thorough)
        if entry is not None:
            entry.touch()
        return entry

    def drop(self, entry: Entry, damage: Exception) -> None:
        """Remove an entry whose content is of no use; one of a system cache stays."""
        if entry.system:
            CacheFolder(entry.cache, system=True).discard(entry.name, str(damage))
        else:
            self.remove(entry.name)

    def _find_by_name(self, key: Key, kind: str, thorough: bool) -> Entry | None:
        if self.refused is not None:
            return None
        try:
            return open_entry(self, key.name(kind), thorough=thorough)
        except OSError as error:
            warn("read", f"the cache cannot be read: {error}")
            return None

    def _search(self, key: Key, kind: str, thorough: bool) -> Entry | None:
        from ortmmap.cache.search import find_entry, settled_times

        name, own = key.name(kind), [] if self.refused is not None else [self]
        caches = (*own, *self.system_caches())
        times = None if thorough else settled_times(caches)
        if times is not None and self._missing.get(name) == times:
            return None
        for cache in caches:
            try:
                entry = find_entry(cache, key, kind, thorough=thorough and not cache.system)
            except OSError as error:
                warn("read", f"the cache cannot be read: {error}")
                continue
            if entry is not None:
                return entry
        if times is not None:
            self._missing[name] = times
        return None

    def explain(self, key: Key, kinds: Iterable[str] = ("model", "pages")) -> "list[Place]":
        """Return where a session that opens now would look for its entries, in the order of search.

        No folder is created and no file read in full. As any search does, this one may leave an
        alias, and remove a damaged entry.
        """
        from ortmmap.cache.search import explain

        return explain(self, self.refused, key, kinds)

    def write(self, key: Key, kind: str, *, expect: int = 0) -> "Draft | None":
        """Begin an entry; return None if there is no room for `expect` bytes.

        `expect` is an estimate, and may be too small.
        """
        self._remove_leftovers()
        reason = self.no_room(expect)
        if reason is not None:
            warn("write", f"the cache is not written for {key.model}: {reason}")
            return None
        from ortmmap.cache.draft import Draft

        return Draft(self, key, kind, self._make_room)

    def build(
        self, key: Key, kind: str, fill: "Callable[[Draft], object]", *, expect: int = 0
    ) -> Entry | None:
        """Return an entry, which `fill` writes if there is none; None if that fails.

        Other processes that build the same entry wait for this one.
        """
        from ortmmap.cache.draft import identify

        entry = self.find(key, kind)
        if entry is not None:
            return entry
        with self.lock(key) as turn:
            entry = self.find(key, kind)
            draft = self.write(key, kind, expect=expect) if entry is None and turn else None
            if draft is None:
                return entry
            with draft:
                fill(draft)
        identify(self, key)
        return draft.entry

    def lock(self, key: Key, timeout: float | None = None) -> "Turn":
        """Return the lock to hold while looking for an entry once more and writing it.

        ``with store.lock(key) as turn``: `turn` is True for one thread of one process at a time.
        It is False if the timeout has passed, if another writer has failed meanwhile, or if the
        folder is read-only: look for the entry once more, and go on without it.

        Parameters
        ----------
        key : Key
            The lock is for its entries of every kind.
        timeout : float, optional
            In seconds; by default the value of ``ORTMMAP_CACHE_WAIT``, or 60.
        """
        from ortmmap.cache.lock import Turn

        return Turn(self.lock_path(key), longest_wait() if timeout is None else timeout)

    def entries(self) -> list[Found]:
        """Describe each entry, least recently used first."""
        found = [self._describe(name) for name in self.names(is_entry)]
        return sorted((each for each in found if each is not None), key=lambda each: each.last_used)

    def verify(self, name: str, progress: Callable[[int], object] | None = None) -> str | None:
        """Read every byte of an entry; if it is damaged, remove it and return the reason.

        An entry of a system cache is not removed.

        `progress` is called with the number of bytes of each read.
        """
        try:
            entry = Entry(self.folder, name, system=self.system)
            try:
                entry.verify(progress=progress)
                _verify_pages(entry)
            finally:
                entry.close()
        except FileNotFoundError:
            return None
        except Damaged as damage:
            if not self.system:
                self.remove(name)
            return str(damage)
        return None

    def clear(self) -> int:
        """Remove every entry, and return their bytes. Mappings of entries in use stay valid."""
        from ortmmap.cache.failures import is_failure

        found = self.entries()
        for each in found:
            self.remove(each.name)
        for name in self.names(lambda name: name.endswith(".alias") or name.startswith("tmp-")):
            self._remove_leftover(name, young=0)
        for name in self.names(is_failure):
            self._unlink(name)
        left = set(self.names(is_entry))
        return sum(each.nbytes for each in found if each.name not in left)

    def prune(self, most_bytes: int | None = None, *, keep: Iterable[str] = ()) -> int:
        """Remove unused entries, least recently used first, until the rest is within the limit.

        Entries in use, and those named in `keep`, stay. Unfinished entries of killed processes are
        removed too.

        Returns
        -------
        int
            The bytes of the removed entries.
        """
        most_bytes = self.most_bytes if most_bytes is None else most_bytes
        self._remove_leftovers()
        found = self.entries()
        total = sum(each.nbytes for each in found)
        removed = 0
        for each in found:
            if total - removed <= most_bytes:
                break
            if each.name not in keep and self._remove_unused(each.name):
                removed += each.nbytes
        return removed

    def __repr__(self) -> str:
        return f"<Store {self.folder}>"

    def _make_room(self, name: str) -> None:
        """Prune after the entry of that name was written."""
        try:
            self.prune(keep=(name,))
        except OSError as error:
            warn("prune", f"the cache cannot be kept below its limit: {error}")

    def _describe(self, name: str) -> Found | None:
        try:
            entry = Entry(self.folder, name, holding=False, system=self.system)
        except FileNotFoundError:
            return self._describe_damaged(name, "unfinished")
        except (Damaged, OSError) as damage:
            return self._describe_damaged(name, _unusable(damage, self.system))
        try:
            last_used = entry.last_used
            in_use = self._is_in_use(name)
        except OSError:
            return None
        text = entry.description
        sources = tuple(tuple(source) for source in text.get("sources", ()))
        state = _state(entry, sources)
        return Found(
            name, entry.kind, entry.nbytes, last_used, text.get("created"), sources, in_use, state
        )

    def _describe_damaged(self, name: str, state: str) -> Found | None:
        path = self.path(name)
        try:
            last_used = os.lstat(path).st_mtime
        except OSError:
            return None
        kind = name.partition("-")[0]
        return Found(name, kind, folder_bytes(path), last_used, None, (), False, state)

    def _is_in_use(self, name: str) -> bool:
        fd = hold(self.path(name), alone=True)
        if fd is not None and fd >= 0:
            os.close(fd)
        return fd is None

    def _remove_unused(self, name: str, unlocked: float = 0) -> bool:
        """Remove an entry that no session holds, and return whether it is gone.

        On a file system without locks it must be `unlocked` seconds old.
        """
        path = self.path(name)
        try:
            fd = hold(path, alone=True)
        except FileNotFoundError:
            return True
        except OSError:  # not a folder, so nobody can hold it; it is soon renamed
            fd, unlocked = -1, min(unlocked, YOUNG_SECONDS)
        if fd is None or (fd < 0 and age(path) < unlocked):
            return False
        try:
            return self.remove(name)
        finally:
            if fd >= 0:
                os.close(fd)

    def _remove_leftovers(self) -> None:
        """Remove temporary folders of killed processes, old failures, and useless aliases.

        An alias is useless if its entry is gone, or if there are too many. A temporary folder whose
        lock is free has lost its owner, or is just being made: then `Draft` makes another one.
        """
        from ortmmap.cache.failures import RETRY_SECONDS, is_failure
        from ortmmap.cache.search import read_alias

        for name in self.names(is_temporary):
            self._remove_unused(name, UNLOCKED_SECONDS)
        for name in self.names(is_failure):
            if age(self.path(name)) > RETRY_SECONDS:
                self._unlink(name)
        aliases = self.names(lambda name: name.endswith(".alias"))
        aliases.sort(key=lambda name: modified(self.path(name)))
        for index, name in enumerate(aliases):
            target = read_alias(self.path(name))
            lost = target is None or not os.path.lexists(self.path(target))
            if lost or index < len(aliases) - MOST_ALIASES:
                self._remove_leftover(name, YOUNG_SECONDS)

    def _remove_leftover(self, name: str, young: float) -> None:
        """Remove a temporary folder whose owner is dead, or an alias, if it is not too young."""
        stem = name.removesuffix(".alias")
        if not (is_temporary(name) or (stem != name and is_entry(stem))):
            return
        path = self.path(name)
        if age(path) < young:
            return
        if stem == name:
            self._remove_unused(name, UNLOCKED_SECONDS if young else 0)
        else:
            self._unlink(name)

    def _unlink(self, name: str) -> None:
        try:
            os.unlink(self.path(name))
        except OSError:
            return


def _state(entry: Entry, sources: Iterable[tuple]) -> str:
    """Return `Found.state` of an entry with a valid header."""
    try:
        copied = entry.is_unverified()
    except (Damaged, OSError) as damage:
        return _unusable(damage, entry.system)
    if copied:
        return "unverified"
    for path, size, mtime_ns in sources:
        try:
            found = os.stat(path)
        except OSError:
            return "source gone"
        if found.st_size != size or not is_same_time(found.st_mtime_ns, mtime_ns):
            return "source changed"
    return "ok"


def _unusable(damage: Exception, system: bool) -> str:
    """Return `Found.state` of an entry that sessions do not use; those of a user's are removed."""
    refused = system and isinstance(damage, Distrusted)
    return f"{'refused' if refused else 'damaged'}: {damage}"


def _verify_pages(entry: Entry) -> None:
    if entry.kind != "pages" or not entry.files:
        return
    from ortmmap.cache.pages import BadPages, read_table

    fd = entry.open()
    try:
        read_table(fd, entry.key)
    except BadPages as error:
        raise Damaged(str(error)) from error
    finally:
        os.close(fd)
