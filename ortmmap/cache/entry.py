"""An entry of the cache: a folder of files, and a header that describes them.

The folder of an entry appears complete, by a rename, and never changes. Its file ``header``:

1. Integers are little-endian. Magic ``ORTMHEAD`` (8 bytes), version 1 (u32), number of files
   (u32, at most 1024), size of the description (u32), 4 bytes of zero, the entry's name (80 bytes
   of ASCII, padded with zeros), BLAKE2b-256 of the sources' bytes (or zeros).
2. For each file: name (64 bytes of ASCII, padded with zeros; no separator), size, XXH3-64 of its
   bytes, inode (u64 each), time of modification and of change (i64 each, nanoseconds).
3. The description: a JSON object, for people only.
4. BLAKE2b-128 of everything before it. Nothing follows.

A file with the header's inode and times has not changed since it was written, because only this
user can write there. If they differ (a copied folder, a container's layer), the file's bytes are
compared with the checksum once, and the header is rewritten.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
import time
from collections import namedtuple
from collections.abc import Callable, Iterable

from ortmmap.cache.folder import HEADER_NAME, NO_FOLLOW, READING, CacheFolder, warn, write_file
from ortmmap.cache.key import KINDS, pieces

try:
    import fcntl
except ImportError:  # Windows: a folder with a mapped file cannot be renamed there anyway
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "Damaged",
    "Entry",
    "File",
    "Header",
    "hold",
    "is_entry",
    "open_entry",
    "pack",
    "parse",
    "record",
]

MAGIC = b"ORTMHEAD"
VERSION = 1
NAME_BYTES = 80
MOST_FILES = 1024
LARGEST_HEADER = 1 << 20
TOUCH_SECONDS = 60
SHARE_ATTEMPTS = 400
SHARE_SECONDS = 0.005
NO_CONTENT = bytes(32)

_HEAD = struct.Struct(f"<8sIII4x{NAME_BYTES}s32s")
_FILE = struct.Struct("<64sQQQqq")
_CHECKSUM_BYTES = 16

File = namedtuple("File", "name size checksum inode mtime_ns ctime_ns")
Header = namedtuple("Header", "name content files description")


class Damaged(Exception):  # noqa: N818 - a state of the entry
    """An entry is not as it was written."""


def is_entry(name: str) -> bool:
    """Return whether a name has the form of an entry's."""
    parts = name.split("-")
    return (
        len(parts) == 3
        and parts[0] in KINDS
        and all(len(part) == 32 and set(part) <= set("0123456789abcdef") for part in parts[1:])
    )


def pack(header: Header) -> bytes:
    """Return the bytes of a header file.

    Raises
    ------
    ValueError
        If there are too many files, or a file's name is too long.
    """
    if len(header.files) > MOST_FILES or any(len(f.name) > 64 for f in header.files):
        raise ValueError(f"an entry holds {MOST_FILES} files with names of 64 characters at most")
    raw = bytearray(
        _HEAD.pack(
            MAGIC,
            VERSION,
            len(header.files),
            len(header.description),
            header.name.encode("ascii"),
            header.content,
        )
    )
    for file in header.files:
        raw += _FILE.pack(file.name.encode("ascii"), *file[1:])
    raw += header.description
    return bytes(raw) + _checksum(raw)


def parse(raw: bytes, name: str) -> Header:
    """Return the header of the entry `name` from the bytes of its file.

    Raises
    ------
    Damaged
        If they break a rule of the format, or belong to another entry.
    """
    if len(raw) < _HEAD.size + _CHECKSUM_BYTES:
        raise Damaged("the header ends too early")
    if _checksum(raw[:-_CHECKSUM_BYTES]) != raw[-_CHECKSUM_BYTES:]:
        raise Damaged("the header is not what was written")
    magic, version, count, described, said, content = _HEAD.unpack_from(raw)
    end = _HEAD.size + count * _FILE.size
    if magic != MAGIC or version != VERSION or count > MOST_FILES:
        raise Damaged("the header is of another format")
    if end + described + _CHECKSUM_BYTES != len(raw):
        raise Damaged("the header has another size")
    if said.rstrip(b"\0") != name.encode("ascii"):
        raise Damaged("the entry is another's")
    files = [_file(*fields) for fields in _FILE.iter_unpack(raw[_HEAD.size : end])]
    return Header(name, content, tuple(files), raw[end : end + described])


def record(path: str, checksum: int | None = None) -> File:
    """Make a written file private, flush it to the disk, and return its description.

    The file is read if its `checksum` is not given.
    """
    fd = os.open(path, os.O_RDWR | NO_FOLLOW)
    try:
        if hasattr(os, "fchmod"):
            os.fchmod(fd, 0o600)
        if checksum is None:
            checksum = _file_checksum(fd)
        os.fsync(fd)
        return _describe(os.path.basename(path), checksum, os.fstat(fd))
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

    Attributes
    ----------
    name : str
    folder : str
        The folder of its files.
    files : tuple of File
        Their descriptions.
    content : bytes
        The digest of the sources, or `NO_CONTENT`.

    Raises
    ------
    Damaged
        If the header is not valid.
    FileNotFoundError
        If there is no such entry.
    """

    def __init__(self, cache: str, name: str, *, holding: bool = True) -> None:
        self._fd: int | None = None  # before anything may raise: __del__ reads it
        self.name = name
        self.folder = os.path.join(cache, name)
        if not stat.S_ISDIR(os.lstat(self.folder).st_mode):
            raise Damaged("it is a link or no folder")
        if holding:
            self._fd = hold(self.folder)
        try:
            self._check_held()
            self._header = self._read()
        except BaseException:
            self.close()
            raise
        self.files = self._header.files
        self.content = self._header.content

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
            found = json.loads(self._header.description)
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
            If a file is missing, has another size, or is not a file of this user only.
        """
        return [file for file in self.files if not _is_same(self._stat(file), file)]

    def check(self) -> None:
        """Raise `Damaged` if a file is not as it was written, comparing bytes only if necessary."""
        changed = self.changed()
        if changed:
            self.verify(changed)
            self._renew()

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
            _check_ours(HEADER_NAME, os.fstat(fd))
            raw = os.read(fd, LARGEST_HEADER)
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
        _check_ours(file.name, found)
        if found.st_size != file.size:
            raise Damaged(f"{file.name} has {found.st_size} bytes, not {file.size}")
        return found

    def _renew(self) -> None:
        """Rewrite the header, if possible, after the bytes of changed files were compared."""
        files = [_describe(file.name, file.checksum, self._stat(file)) for file in self.files]
        self._header = self._header._replace(files=tuple(files))
        self.files = self._header.files
        path = os.path.join(self.folder, f"{HEADER_NAME}.{os.getpid()}")
        try:
            write_file(path, pack(self._header))
            os.replace(path, os.path.join(self.folder, HEADER_NAME))
        except OSError:
            return


def open_entry(cache: CacheFolder, name: str) -> Entry | None:
    """Open the entry of that name, or return None. If it is damaged, remove it and warn."""
    try:
        return _checked(Entry(cache.folder, name))
    except FileNotFoundError:
        return None
    except Damaged as damage:
        cache.remove(name)
        warn(f"damaged {name}", f"an entry of the cache was removed: {name}: {damage}")
        return None


def _checked(entry: Entry) -> Entry:
    try:
        entry.check()
    except BaseException:
        entry.close()
        raise
    return entry


def _file(name: bytes, *fields: int) -> File:
    try:
        text = name.rstrip(b"\0").decode("ascii")
    except UnicodeDecodeError:
        raise Damaged("a file's name is not ASCII") from None
    if not text or text in (".", "..", HEADER_NAME) or "/" in text or "\\" in text or "\0" in text:
        raise Damaged(f"a file cannot be called {text!r}")
    return File(text, *fields)


def _describe(name: str, checksum: int, found: os.stat_result) -> File:
    return File(name, found.st_size, checksum, found.st_ino, found.st_mtime_ns, found.st_ctime_ns)


def _is_same(found: os.stat_result, file: File) -> bool:
    return (found.st_ino, found.st_mtime_ns, found.st_ctime_ns) == file[3:]


def _check_ours(name: str, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise Damaged(f"{name} is no regular file")
    if hasattr(os, "geteuid") and found.st_uid != os.geteuid():
        raise Damaged(f"{name} belongs to user {found.st_uid}")
    if os.name == "posix" and found.st_mode & 0o022:
        raise Damaged(f"others may write {name}")


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


def _checksum(raw: bytes | bytearray) -> bytes:
    from _blake2 import blake2b  # hashlib's own; hashlib loads OpenSSL too, which takes longer

    return blake2b(raw, digest_size=_CHECKSUM_BYTES).digest()
