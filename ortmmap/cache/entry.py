"""An entry of the cache: a folder of files, and a header that describes them.

The folder of an entry appears complete, by a rename; then only its header is ever replaced.

A file with the header's inode and times has not changed since it was written, because nobody
untrusted can write there. A copy of it (a restored folder, a container's layer) has the header's
size, time of modification (or that in whole seconds), and samples. If the times differ too, the
file's bytes must be compared with the checksum once. Then the header is rewritten, except in a
system cache. A copy of which only samples were compared loses its recognition, by which blocks
would be used without a comparison. A system cache's does not, since its owner vouches for it,
unless a file has the inode in the header: that one is no copy, but was written to.
"""

import errno
import os
import stat
import time
from collections.abc import Callable, Collection, Iterable

from ortmmap.cache.folder import (
    HEADER_NAME,
    NO_FOLLOW,
    READING,
    CacheFolder,
    quoted,
    temporary_name,
    write_file,
)
from ortmmap.cache.header import LARGEST_HEADER, Damaged, File, Header, pack, parse
from ortmmap.cache.identity import is_same_time, pieces, samples_of_file
from ortmmap.cache.key import KINDS
from ortmmap.cache.recognition import RECOGNITION_FILE

try:
    import fcntl
except ImportError:  # Windows: a folder with a mapped file cannot be renamed there anyway
    fcntl = None  # type: ignore[assignment]

__all__ = ["Distrusted", "Entry", "check_file", "hold", "is_entry", "open_entry", "record"]

TOUCH_SECONDS = 60
SHARE_ATTEMPTS = 400
SHARE_SECONDS = 0.005
MOST_TOUCHING_NS = 100_000_000  # from the last write to the change of mode, see `record`


class Distrusted(Damaged):
    """Another user may have written a file of an entry."""


def is_entry(name: str) -> bool:
    """Return whether a name has the form of an entry's."""
    parts = name.split("-")
    return (
        len(parts) == 3
        and parts[0] in KINDS
        and all(len(part) == 32 and set(part) <= set("0123456789abcdef") for part in parts[1:])
    )


def record(path: str, checksum: int | None = None, mode: int = 0o600) -> File:
    """Give a written file its mode, flush it to the disk, and return its description.

    The file is read if its `checksum` is not given.
    """
    fd = os.open(path, os.O_RDWR | NO_FOLLOW)
    try:
        if hasattr(os, "fchmod"):
            os.fchmod(fd, mode)
        if checksum is None:
            checksum = _file_checksum(fd)
        os.fsync(fd)
        found = os.fstat(fd)
        samples = samples_of_file(fd, found.st_size)
        return _describe(os.path.basename(path), checksum, samples, found)
    finally:
        os.close(fd)


def hold(folder: str, *, alone: bool = False) -> int | None:
    """Lock an entry's folder: shared, or exclusively without waiting.

    Returns
    -------
    int or None
        A descriptor; the lock ends when it is closed in every process that inherited it. -1 if
        the system or the file system has no such locks. None if `alone` was requested and another
        descriptor has a lock.

    Raises
    ------
    OSError
        If there is no such folder, or if it stays exclusively locked for seconds.
    """
    if fcntl is None:
        return -1
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | NO_FOLLOW)
    try:
        if alone:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            _share(fd)
    except BaseException as error:
        os.close(fd)
        if not isinstance(error, OSError) or (not alone and isinstance(error, BlockingIOError)):
            raise
        return None if isinstance(error, BlockingIOError) else -1
    return fd


def _share(fd: int) -> None:
    """Lock shared. Exclusive locks are short: they test for other locks, or precede removal."""
    for _ in range(SHARE_ATTEMPTS):
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(SHARE_SECONDS)
        else:
            return
    fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)


class Entry:
    """An entry with a valid header. While the object lives, pruning spares the entry.

    Parameters
    ----------
    cache : str
        The cache's folder.
    name : str
        ``kind-setting-identity``.
    holding : bool
        False leaves the entry unlocked, so that it may be removed at any time.
    system : bool
        Whether the cache is a system cache: its entries belong to root or to this user, are not
        locked, and never change.

    Attributes
    ----------
    name : str
    system : bool
        As above.
    cache, folder : str
        The cache's folder, and the folder of the entry's files.
    files : tuple of File
        Their descriptions.
    header : Header
    content, place, coarse_place, samples : bytes
        Digests of the sources: of their bytes (or `NO_CONTENT`), places and samples.

    Raises
    ------
    Damaged
        If the header is not valid.
    FileNotFoundError
        If there is no such entry.
    """

    def __init__(
        self, cache: str, name: str, *, holding: bool = True, system: bool = False
    ) -> None:
        self._fd: int | None = None  # before anything may raise: __del__ reads it
        self.name = name
        self.cache = cache
        self.folder = os.path.join(cache, name)
        self.system = system
        found = os.lstat(self.folder)
        if not stat.S_ISDIR(found.st_mode):
            raise Damaged("it is a link or no folder")
        if system:
            _check_owner(self.folder, found, owners_of(system), cache)
        elif holding:
            self._fd = hold(self.folder)
        try:
            self._check_held()
            self.header = self._read()
        except BaseException:
            self.close()
            raise
        self.files = self.header.files
        self.content = self.header.content
        self.place, self.coarse_place = self.header.place, self.header.coarse_place
        self.samples = self.header.samples

    @property
    def kind(self) -> str:
        """``model`` or ``pages``."""
        return self.name.partition("-")[0]

    @property
    def key(self) -> bytes:
        """The 32 bytes that identify the entry's `Key`."""
        return bytes.fromhex(self.name.partition("-")[2].replace("-", ""))

    @property
    def nbytes(self) -> int:
        """The total size of its files."""
        return sum(file.size for file in self.files)

    @property
    def description(self) -> dict:
        """The writer's description, for people."""
        import json

        try:
            found = json.loads(self.header.description)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def last_used(self) -> float:
        """The time of its last use by a session, in seconds since the epoch."""
        return os.stat(self.folder).st_mtime

    def path(self, name: str | None = None) -> str:
        """Return the path of a file, by default the first."""
        return os.path.join(self.folder, self.files[0].name if name is None else name)

    def open(self, name: str | None = None) -> int:
        """Open a file for reading, and return its descriptor, which the caller closes."""
        return os.open(self.path(name), READING)

    def touch(self) -> None:
        """Record a use, at most once a minute; a read-only entry stays as it is."""
        if self.system:
            return
        try:
            if abs(time.time() - self.last_used) > TOUCH_SECONDS:
                os.utime(self.folder)
        except OSError:
            return

    def changed(self) -> list[File]:
        """Return the files whose inode or times differ from the header's.

        Raises
        ------
        Damaged
            If a file is missing, has another size, or is not a file of the cache's owner only.
        """
        return [file for file in self.files if not _is_same(self._stat(file), file)]

    def is_original(self, name: str) -> bool:
        """Return whether a file has not been touched since it was written, not even by copying.

        A copy that keeps the time of modification is created at a later one.
        """
        try:
            found = os.stat(self.path(name))
        except OSError:  # the cache was cleared in between
            return False
        return found.st_ctime_ns - found.st_mtime_ns < MOST_TOUCHING_NS

    def is_unverified(self) -> bool:
        """Return whether files have been copied, and not compared since.

        In a system cache, whose headers stay as they are, samples are compared each time.
        """
        changed = self.changed()
        return bool(changed) and not (self.system and all(map(self._is_copy, changed)))

    def check(self, *, thorough: bool = True) -> bool:
        """Return whether the files are as they were written, reading no more than necessary.

        Parameters
        ----------
        thorough : bool
            Whether to read a file whose time of modification has changed, and to compare it with
            its checksum. Otherwise the result is False.

        Raises
        ------
        Damaged
            If a file is not as it was written.
        """
        changed = self.changed()
        if not changed:
            return True
        others = [file for file in changed if not self._is_copy(file)]
        if others and not thorough:
            return False
        self.verify(others)
        if not self._is_vouched_for(changed, others):
            self.files = tuple(file for file in self.files if file.name != RECOGNITION_FILE)
        if not self.system:
            self._renew()
        return True

    def _is_vouched_for(self, changed: list[File], compared: list[File]) -> bool:
        """Return whether nothing but copying can have changed files since they were written."""
        if self.system:
            return all(self._stat(file).st_ino != file.inode for file in changed)
        return len(compared) == len(changed)

    def verify(
        self,
        files: Iterable[File] | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> None:
        """Read files, by default all, and raise `Damaged` if a checksum differs.

        `progress` is called with the number of bytes of each read.
        """
        for file in self.files if files is None else files:
            self._stat(file)
            fd = self.open(file.name)
            try:
                if _file_checksum(fd, progress) != file.checksum:
                    raise Damaged(f"{file.name} is not what was written")
            finally:
                os.close(fd)

    def close(self) -> None:
        """Unlock the entry."""
        fd, self._fd = self._fd, None
        if fd is not None and fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Entry {self.name}>"

    def _check_held(self) -> None:
        """Refuse a folder that was renamed while this waited for its lock."""
        if self._fd is None or self._fd < 0:
            return
        if not os.path.samestat(os.fstat(self._fd), os.lstat(self.folder)):
            raise FileNotFoundError(self.folder)

    def _read(self) -> Header:
        path = os.path.join(self.folder, HEADER_NAME)
        try:
            fd = os.open(path, READING)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise Damaged("the header is a link") from None
            raise
        try:
            found = os.fstat(fd)
            self._check_file(HEADER_NAME, found)
            raw = os.read(fd, min(found.st_size, LARGEST_HEADER))
        finally:
            os.close(fd)
        return parse(raw, self.name)

    def _stat(self, file: File) -> os.stat_result:
        try:
            found = os.lstat(self.path(file.name))
        except FileNotFoundError:
            if not os.path.lexists(self.path(HEADER_NAME)):  # the whole entry has been removed
                raise
            raise Damaged(f"{file.name} is missing") from None
        self._check_file(file.name, found)
        if found.st_size != file.size:
            raise Damaged(f"{file.name} has {found.st_size} bytes, not {file.size}")
        return found

    def _check_file(self, name: str, found: os.stat_result) -> None:
        """Raise `Damaged`, which names a file of a system cache by its path; see `check_file`."""
        label, system = (self.path(name), self.cache) if self.system else (name, None)
        check_file(label, found, owners_of(self.system), system)

    def _is_copy(self, file: File) -> bool:
        """Return whether a file has the time of modification of the one that was written.

        Raises
        ------
        Damaged
            If it has, but its samples differ.
        """
        if not is_same_time(self._stat(file).st_mtime_ns, file.mtime_ns):
            return False
        fd = self.open(file.name)
        try:
            samples = samples_of_file(fd, file.size)
        finally:
            os.close(fd)
        if samples != file.samples:
            raise Damaged(f"{file.name} is not what was written")
        return True

    def _renew(self) -> None:
        """Rewrite the header, if possible, after changed files were compared."""
        files = [
            _describe(file.name, file.checksum, file.samples, self._stat(file))
            for file in self.files
        ]
        self.files = tuple(files)
        self.replace_header(self.header._replace(files=self.files))

    def replace_header(self, header: Header) -> None:
        """Replace the header's file, if possible, unless the entry was removed meanwhile."""
        self.header = header
        path = os.path.join(self.cache, temporary_name())
        try:
            self._check_held()
            write_file(path, pack(header))
            os.replace(path, os.path.join(self.folder, HEADER_NAME))
        except OSError:
            return


def open_entry(cache: CacheFolder, name: str, *, thorough: bool = True) -> Entry | None:
    """Open the entry of that name, or return None.

    A damaged entry is removed, with a warning; one of a system cache stays.

    Parameters
    ----------
    cache : CacheFolder
    name : str
    thorough : bool
        As for `Entry.check`; if False, an entry that would have to be read is left alone.
    """
    try:
        return _checked(Entry(cache.folder, name, system=cache.system), thorough)
    except FileNotFoundError:
        return None
    except Damaged as damage:
        cache.discard(name, str(damage))
        return None


def _checked(entry: Entry, thorough: bool) -> Entry | None:
    try:
        unchanged = entry.check(thorough=thorough)
    except BaseException:
        entry.close()
        raise
    if unchanged:
        return entry
    entry.close()
    return None


def _describe(name: str, checksum: int, samples: bytes, found: os.stat_result) -> File:
    times = found.st_mtime_ns, found.st_ctime_ns
    return File(name, found.st_size, checksum, found.st_ino, *times, samples)


def _is_same(found: os.stat_result, file: File) -> bool:
    return (found.st_ino, found.st_mtime_ns, found.st_ctime_ns) == file[3:6]


def owners_of(system: bool) -> Collection[int]:
    """Return the users whose files an entry may have; nobody where files have no owners."""
    if not hasattr(os, "geteuid"):
        return ()
    if not system:
        return (os.geteuid(),)
    from ortmmap.cache.trust import owners

    return owners()


def check_file(
    name: str, found: os.stat_result, owners: Collection[int], system: str | None = None
) -> None:
    """Raise `Damaged` unless it is a regular file of an owner that nobody else can write.

    If the folder of a `system` cache is given, a reason ends with the command that mends it.
    """
    if not stat.S_ISREG(found.st_mode):
        raise Damaged(f"{name} is no regular file")
    _check_owner(name, found, owners, system)


def _check_owner(
    name: str, found: os.stat_result, owners: Collection[int], system: str | None
) -> None:
    if owners and found.st_uid not in owners:
        reason, command = f"{name} belongs to user {found.st_uid}", "chown -R root"
    elif os.name == "posix" and found.st_mode & 0o022:
        from ortmmap.cache.trust import writers

        mode = stat.S_IMODE(found.st_mode)
        reason, command = f"{writers(found)} may write {name} (mode {mode:o})", "chmod -R go-w"
    else:
        return
    mend = "" if system is None else f"; as root: {command} {quoted(system)}"
    raise Distrusted(f"{reason}{mend}")


def _file_checksum(fd: int, progress: Callable[[int], object] | None = None) -> int:
    from xxhash import xxh3_64

    digest = xxh3_64()
    with open(fd, "rb", buffering=0, closefd=False) as file:
        file.seek(0)
        for piece in pieces(file):
            digest.update(piece)
            if progress is not None:
                progress(piece.nbytes)
    return digest.intdigest()
