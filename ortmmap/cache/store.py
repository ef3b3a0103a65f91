"""The cache on disk: which store a session uses, and how entries are found, written and removed.

The folder of a store holds folders of entries (`ortmmap.cache.entry`), files ``*.alias`` that name
an entry for another identity of the same bytes, folders ``tmp-*`` of entries being written, and
``locks``. Nothing else in it is touched.
"""

import os
import stat
from collections import namedtuple
from collections.abc import Callable, Iterable

from ortmmap.cache.draft import Draft
from ortmmap.cache.entry import NO_CONTENT, Damaged, Entry, hold, is_entry
from ortmmap.cache.files import (
    READING,
    age,
    delete,
    folder_bytes,
    is_temporary,
    modified,
    temporary_name,
    write_file,
)
from ortmmap.cache.folder import (
    FOLDER_VARIABLE,
    CacheWarning,
    default_folder,
    is_network,
    limit,
    open_folder,
    warn,
)
from ortmmap.cache.key import Key, Source, options_signature, runtime_signature
from ortmmap.cache.lock import Turn, longest_wait

__all__ = [
    "CacheWarning",
    "Draft",
    "Entry",
    "Found",
    "Key",
    "Source",
    "Store",
    "options_signature",
    "runtime_signature",
    "store_for",
]

SWITCH_VARIABLE = "ORTMMAP_CACHE"
SMALLEST_MODEL = 16 << 20
RESERVE_PART = 100  # of a disk's size, one part is kept free
YOUNG_SECONDS = 60  # for so long a temporary folder may not be locked yet
UNLOCKED_SECONDS = 86400  # where there are no locks, only age tells that an owner is dead
MOST_ALIASES = 256
LOCKS = 256

_SWITCHES = {"0": False, "false": False, "off": False, "no": False}
_SWITCHES |= {"1": True, "true": True, "on": True, "yes": True}

Found = namedtuple("Found", "name kind nbytes last_used created sources in_use state")


def store_for(
    setting: bool | str | os.PathLike | None,
    *,
    model_bytes: int,
    cpu_only: bool = True,
    path: str | os.PathLike | None = None,
) -> "Store | None":
    """Return the store that a session uses, or None where it goes without.

    Parameters
    ----------
    setting : bool, str, os.PathLike or None
        What the caller of `Session` said: None for ``ORTMMAP_CACHE``, else for on where it pays;
        True; False; or a folder.
    model_bytes : int
        The size of the model with its external data. Where nobody asked for the cache, a model
        below 16 MiB goes without.
    cpu_only : bool
        Whether no provider but the CPU's was asked for. Others go without, unless asked for.
    path : str or os.PathLike, optional
        The model file, for warnings.

    Warns
    -----
    CacheWarning
        Where the folder cannot be used, once in a process.
    """
    asked = _switch() if setting is None else setting
    if asked is False:
        return None
    if asked is None and (model_bytes < SMALLEST_MODEL or not cpu_only):
        return None
    if asked is None or asked is True:
        folder, named = default_folder(), bool(os.environ.get(FOLDER_VARIABLE))
    else:
        folder, named = os.path.abspath(os.fsdecode(asked)), True
    reason = _unusable(folder, named=named)
    if folder is not None and reason is None:
        return Store(folder)
    model = "" if path is None else f" for {os.fsdecode(path)}"
    warn(f"folder {folder}", f"the cache is not used{model}: {reason}")
    return None


def _switch() -> bool | None:
    text = os.environ.get(SWITCH_VARIABLE, "").strip().lower()
    if text and text not in _SWITCHES:
        warn("switch", f"{SWITCH_VARIABLE} is 0 or 1, not {text!r}")
    return _SWITCHES.get(text)


def _unusable(folder: str | None, *, named: bool) -> str | None:
    if folder is None:
        return f"there is no home folder; name a folder in {FOLDER_VARIABLE}"
    if not named and is_network(folder):
        return f"{folder} lies on a network file system; to use it all the same, name it in " + (
            FOLDER_VARIABLE
        )
    return open_folder(folder)


class Store:
    """A cache folder.

    Methods that a session calls (`find`, `write`, `lock`) raise nothing for what may be wrong with
    the folder or the disk: they warn, once in a process, and the session goes on without.

    Parameters
    ----------
    folder : str
        A folder that `open_folder` has accepted.
    most_bytes : int, optional
        How much it may hold; by default what ``ORTMMAP_CACHE_LIMIT`` says, or 10 GiB.
    """

    def __init__(self, folder: str, most_bytes: int | None = None) -> None:
        self.folder = folder
        self.most_bytes = limit() if most_bytes is None else most_bytes

    def find(self, key: Key, kind: str) -> Entry | None:
        """Return the entry of that key, or None.

        Keep the `Entry` as long as its files are in use: it keeps them from being removed to make
        room. `clear` removes them all the same, which harms no mapping but fails who opens them
        later; a file that cannot be opened is an entry that is not there.
        """
        try:
            entry = self.open(key.name(kind)) or self._alias(key, kind) or self._adopt(key, kind)
        except OSError as error:
            warn("read", f"the cache cannot be read: {error}")
            return None
        if entry is not None:
            entry.touch()
        return entry

    def open(self, name: str) -> Entry | None:
        """Open the entry of that name; where it is damaged, remove it, warn, and return None."""
        try:
            return _checked(Entry(self.folder, name))
        except FileNotFoundError:
            return None
        except Damaged as damage:
            self.remove(name)
            warn(f"damaged {name}", f"an entry of the cache was removed: {name}: {damage}")
            return None

    def write(self, key: Key, kind: str, *, expect: int = 0) -> Draft | None:
        """Begin an entry; None where it cannot be written.

        Parameters
        ----------
        key, kind
            What it will be found by.
        expect : int
            About how many bytes it will have; it is not begun where these have no room.
        """
        reason = self._no_room(expect)
        if reason is not None:
            warn("write", f"the cache is not written: {reason}")
            return None
        return Draft(self, key, kind)

    def build(
        self, key: Key, kind: str, fill: Callable[[Draft], object], *, expect: int = 0
    ) -> Entry | None:
        """Find an entry, or have `fill` write it while others wait; None for neither."""
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
            return draft.entry

    def lock(self, key: Key, timeout: float | None = None) -> Turn:
        """Return what to enter before looking once more for an entry, and writing it.

        ``with store.lock(key) as turn``: `turn` is True for one thread of one process at a time.
        It is False where the wait has reached its bound, where somebody else has tried to write
        meanwhile and failed, and where the folder cannot be written: look once more, and go on
        without. A killed owner's lock is free. Not to be entered again inside.

        Parameters
        ----------
        key : Key
            Of all its kinds.
        timeout : float, optional
            How long to wait, in seconds; by default ``ORTMMAP_CACHE_WAIT``, or 60.
        """
        return Turn(self._lock_path(key), longest_wait() if timeout is None else timeout)

    def entries(self) -> list[Found]:
        """Describe each entry, least recently used first."""
        found = [self._describe(name) for name in self._names(is_entry)]
        return sorted((each for each in found if each is not None), key=lambda each: each.last_used)

    def verify(self, name: str, progress: Callable[[int], object] | None = None) -> str | None:
        """Read an entry's every byte; where it is damaged, remove it and return what is wrong."""
        try:
            entry = Entry(self.folder, name)
            try:
                entry.verify(progress=progress)
                _verify_pages(entry)
            finally:
                entry.close()
        except FileNotFoundError:
            return None
        except Damaged as damage:
            self.remove(name)
            return str(damage)
        return None

    def remove(self, name: str) -> bool:
        """Make an entry invisible at once, then remove its files; tell whether it is gone."""
        path = os.path.join(self.folder, name)
        hidden = os.path.join(self.folder, temporary_name())
        try:
            os.rename(path, hidden)
        except FileNotFoundError:
            return True
        except OSError:  # overlayfs renames no folder of a lower layer; Windows none in use
            hidden = path
        try:
            delete(hidden)
        except OSError:
            return not os.path.lexists(path)
        return True

    def clear(self) -> int:
        """Remove every entry, also those in use, whose mappings live on; return their bytes."""
        found = self.entries()
        for each in found:
            self.remove(each.name)
        for name in self._names(lambda name: name.endswith(".alias") or name.startswith("tmp-")):
            self._remove_leftover(name, young=0)
        left = set(self._names(is_entry))
        return sum(each.nbytes for each in found if each.name not in left)

    def prune(self, most_bytes: int | None = None, *, keep: Iterable[str] = ()) -> int:
        """Remove what nobody uses, least recently used first, until the rest has room.

        Entries in use are left alone, and those named in `keep`. What a killed process left
        unfinished is removed too.

        Returns
        -------
        int
            The bytes of the entries removed.
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

    def _alias(self, key: Key, kind: str) -> Entry | None:
        """Open the entry that an earlier start has found to be of the same bytes."""
        target = _read_alias(os.path.join(self.folder, f"{key.name(kind)}.alias"))
        if target is None or not target.startswith(key.prefix(kind)):
            return None
        return self.open(target)

    def _adopt(self, key: Key, kind: str) -> Entry | None:
        """Look for an entry that was made from other files of the same bytes.

        A container's file system numbers devices and inodes anew at every start, and a model may
        be copied. Sources are only read where an entry of the same sizes and settings is there.
        """
        prefix = key.prefix(kind)
        for name in self._names(lambda name: name.startswith(prefix) and is_entry(name)):
            entry = self.open(name)
            if entry is None or entry.content == NO_CONTENT:
                continue
            try:
                same = key.content() == entry.content
            except OSError:
                return None
            if same:
                _write_alias(os.path.join(self.folder, f"{key.name(kind)}.alias"), name)
                return entry
        return None

    def _no_room(self, expect: int) -> str | None:
        if expect > self.most_bytes:
            return f"{expect} bytes are more than the cache may hold ({self.most_bytes})"
        if not hasattr(os, "statvfs"):
            return None
        try:
            disk = os.statvfs(self.folder)
        except OSError as error:
            return str(error)
        reserve = disk.f_blocks * disk.f_frsize // RESERVE_PART if expect else 0
        if disk.f_bavail * disk.f_frsize < expect + reserve:
            return f"{self.folder}: too little room for {expect} bytes on the disk"
        return None

    def _lock_path(self, key: Key) -> str:
        # A fixed number of files, never removed: removing a lock's file would free those who wait.
        number = (int(key.setting, 16) ^ int(key.identity, 16)) % LOCKS
        return os.path.join(self.folder, "locks", f"{number:02x}")

    def _note_failure(self, key: Key) -> None:
        """Tell those who wait for the key's lock that writing has failed."""
        try:
            os.utime(self._lock_path(key))
        except OSError:
            return

    def _names(self, wanted: Callable[[str], bool]) -> list[str]:
        try:
            return [name for name in os.listdir(self.folder) if wanted(name)]
        except OSError:
            return []

    def _describe(self, name: str) -> Found | None:
        try:
            entry = Entry(self.folder, name, holding=False)
        except FileNotFoundError:
            return self._describe_damaged(name, "unfinished")
        except (Damaged, OSError) as damage:
            return self._describe_damaged(name, f"damaged: {damage}")
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
        path = os.path.join(self.folder, name)
        try:
            last_used = os.lstat(path).st_mtime
        except OSError:
            return None
        kind = name.partition("-")[0]
        return Found(name, kind, folder_bytes(path), last_used, None, (), False, state)

    def _is_in_use(self, name: str) -> bool:
        fd = hold(os.path.join(self.folder, name), alone=True)
        if fd is not None and fd >= 0:
            os.close(fd)
        return fd is None

    def _remove_unused(self, name: str, unlocked: float = 0) -> bool:
        """Remove an entry, unless somebody holds it; tell whether it is gone.

        Where there are no locks, it must be `unlocked` seconds old.
        """
        path = os.path.join(self.folder, name)
        try:
            fd = hold(path, alone=True)
        except FileNotFoundError:
            return True
        except OSError:  # a link, or no folder: nobody can hold that
            fd = -1
        if fd is None or (fd < 0 and age(path) < unlocked):
            return False
        try:
            return self.remove(name)
        finally:
            if fd >= 0:
                os.close(fd)

    def _remove_leftovers(self) -> None:
        for name in self._names(lambda name: name.startswith("tmp-")):
            self._remove_leftover(name, YOUNG_SECONDS)
        aliases = self._names(lambda name: name.endswith(".alias"))
        aliases.sort(key=lambda name: modified(os.path.join(self.folder, name)))
        for index, name in enumerate(aliases):
            target = _read_alias(os.path.join(self.folder, name))
            lost = target is None or not os.path.lexists(os.path.join(self.folder, target))
            if lost or index < len(aliases) - MOST_ALIASES:
                self._remove_leftover(name, YOUNG_SECONDS)

    def _remove_leftover(self, name: str, young: float) -> None:
        """Remove a temporary folder whose owner is dead, or an alias."""
        stem = name.removesuffix(".alias")
        if not (is_temporary(name) or (stem != name and is_entry(stem))):
            return
        path = os.path.join(self.folder, name)
        if age(path) < young:
            return
        if stem == name:
            self._remove_unused(name, UNLOCKED_SECONDS if young else 0)
            return
        try:
            os.unlink(path)
        except OSError:
            return


def _checked(entry: Entry) -> Entry:
    try:
        entry.check()
    except BaseException:
        entry.close()
        raise
    return entry


def _state(entry: Entry, sources: Iterable[tuple]) -> str:
    """Say whether an entry is whole and will be found again."""
    try:
        copied = entry.changed()
    except (Damaged, OSError) as damage:
        return f"damaged: {damage}"
    if copied:
        return "unverified"
    for path, size, mtime_ns in sources:
        try:
            found = os.stat(path)
        except OSError:
            return "source gone"
        if (found.st_size, found.st_mtime_ns) != (size, mtime_ns):
            return "source changed"
    return "ok"


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


def _read_alias(path: str) -> str | None:
    """Return the name of an entry that an alias names."""
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
    except OSError:  # a read-only folder: the sources are compared again at the next start
        return
