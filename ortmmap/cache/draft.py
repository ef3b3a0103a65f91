"""An entry being written: it appears under its name complete, or not at all."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING

from ortmmap.cache.entry import Entry, hold, open_entry, record
from ortmmap.cache.folder import (
    HEADER_NAME,
    CacheFolder,
    delete,
    make_folder,
    sync_folder,
    temporary_name,
    too_large,
    warn,
    write_file,
)
from ortmmap.cache.header import LARGEST_HEADER, NO_CONTENT, Header, pack
from ortmmap.cache.key import KINDS
from ortmmap.errors import OrtError

if TYPE_CHECKING:
    from ortmmap.cache.key import Key

__all__ = ["Draft", "add_file", "identify"]

MOST_SOURCES = 20  # in a description
ATTEMPTS = 10  # other processes may write or remove the same entry at the same time
TAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR, errno.EACCES)


class Draft:
    """An entry being written: enter it, write files into `folder`, leave it.

    On a normal exit the files are made private, checksummed, flushed to the disk and, in one
    rename, become an entry, which is `entry` then. It has no digest of the sources, which takes
    longer than all this: `identify` adds it. On an OSError or an OrtError (a full disk, a
    quota, a model that ONNX Runtime cannot save) everything written is deleted, a warning is
    issued, and `entry` is None. Any other exception propagates after the same cleaning.

    Parameters
    ----------
    cache : CacheFolder
        Where the entry will be.
    key : Key
    kind : str
        ``model`` or ``pages``.
    committed : callable
        Called with the entry's name once it has been written.

    Attributes
    ----------
    key : bytes
        32 bytes, which `Entry.key` will be too.
    folder : str
        The folder to write files into, with ASCII names of at most 64 characters.
    entry : Entry or None
        The result.
    """

    def __init__(
        self, cache: CacheFolder, key: Key, kind: str, committed: Callable[[str], object]
    ) -> None:
        self.entry: Entry | None = None
        self.name = key.name(kind)
        self.key = bytes.fromhex(key.setting + key.identity)
        self.folder = cache.path(temporary_name())
        self._cache = cache
        self._key = key
        self._committed = committed
        self._fd: int | None = None
        self._description: dict[str, object] = {}
        self._unmade: OSError | None = None
        self._checksums: dict[str, int] = {}

    def describe(self, **description: object) -> None:
        """Add items to `Entry.description`."""
        self._description.update(description)

    def path(self, name: str) -> str:
        """Return the path for a file of that name."""
        return os.path.join(self.folder, name)

    def note_checksum(self, name: str, checksum: int) -> None:
        """Use this XXH3-64 of a file's bytes, which are not read again for it."""
        self._checksums[name] = checksum

    def check_room(self, nbytes: int) -> None:
        """Raise OSError if there is no room for that many bytes."""
        reason = self._cache.no_room(nbytes)
        if reason is not None:
            raise OSError(reason)

    def check_writing(self, nbytes: int) -> None:
        """Raise OSError unless that many bytes may be written here, whatever the disk has room for.

        A quota or a limit on file sizes may not permit it.
        """
        self.check_room(nbytes)
        if hasattr(os, "posix_fallocate"):
            from tempfile import TemporaryFile

            with TemporaryFile(dir=self.folder) as file:
                os.posix_fallocate(file.fileno(), 0, nbytes)

    def __enter__(self) -> Draft:
        try:
            self._make_folder()
        except OSError as error:
            self._unmade = error  # raised on exit, unless writing into the folder fails first
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        failure = self._try_to_commit() if exc is None else exc
        self._clean()
        if failure is None:
            self._committed(self.name)
            return False
        self._cache.note_failure(self._key)
        if not isinstance(failure, (OSError, OrtError)):
            return False
        reason = self._unmade or failure
        warn("write", f"the cache is not written for {self._key.model}: {reason}")
        return True

    def _make_folder(self) -> None:
        """Create and lock the folder; another process may clear the cache in between."""
        for _ in range(ATTEMPTS):
            make_folder(self._cache.folder)  # it may have been removed since it was found
            try:
                os.mkdir(self.folder, 0o700)
                fd = self._fd = hold(self.folder)
                if fd is None or fd < 0 or os.path.samestat(os.fstat(fd), os.lstat(self.folder)):
                    return
            except FileNotFoundError:
                pass
            self._clean()
            self.folder = self._cache.path(temporary_name())
        raise FileNotFoundError(self.folder)

    def _try_to_commit(self) -> OSError | None:
        """Commit; return the OSError that prevented it, if any."""
        try:
            if self._unmade is not None:
                raise self._unmade
            self._commit()
        except OSError as error:
            return error
        except BaseException:
            self._clean()
            raise
        return None

    def _commit(self) -> None:
        names = sorted(os.listdir(self.folder))
        files = tuple(record(self.path(name), self._checksums.get(name)) for name in names)
        self._check_size(sum(file.size for file in files))
        self._key.check_sources()
        marks = *self._key.places(), self._key.samples()
        header = Header(self.name, NO_CONTENT, *marks, files, self._described())
        self._write_header(header)
        sync_folder(self.folder)
        self.entry = self._publish()

    def _write_header(self, header: Header) -> None:
        raw = pack(header)
        if len(raw) > LARGEST_HEADER:
            raise OSError(f"a description of {len(header.description)} bytes is too long")
        write_file(self.path(HEADER_NAME), raw)

    def _check_size(self, nbytes: int) -> None:
        most = self._cache.most_bytes
        if nbytes > most:
            raise OSError(too_large(nbytes, most))

    def _described(self) -> bytes:
        import json

        sources = [
            (source.path, source.size, source.mtime_ns)
            for source in self._key.sources[:MOST_SOURCES]
        ]
        description = {"created": time.time(), "sources": sources, **self._description}
        return json.dumps(description).encode("ascii")

    def _publish(self) -> Entry | None:
        """Rename the folder to the entry's name.

        An entry that has the name already is returned instead if it is whole, else replaced.
        """
        target = self._cache.path(self.name)
        for _ in range(ATTEMPTS):
            try:
                os.rename(self.folder, target)
            except OSError as error:
                if error.errno not in TAKEN:
                    raise
            else:
                sync_folder(self._cache.folder)
                return open_entry(self._cache, self.name)
            existing = open_entry(self._cache, self.name)
            if existing is not None:
                return existing
            self._cache.remove(self.name)
        raise OSError(f"{target} cannot be replaced")

    def _clean(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None and fd >= 0:
            os.close(fd)
        try:
            delete(self.folder)
        except OSError:
            return


def identify(cache: CacheFolder, key: Key, check: Callable[[], object] | None = None) -> None:
    """Add the digest of the sources to a key's entries, by which copies of the model find them.

    This takes about a second per gigabyte, so sessions do it after the entries have appeared. If it
    fails, the entries stay as they are.

    Parameters
    ----------
    cache : CacheFolder
    key : Key
    check : callable, optional
        Called for each piece that is read. An exception that it raises ends the work.
    """
    try:
        found = [open_entry(cache, key.name(kind)) for kind in KINDS]
        entries = [each for each in found if each is not None and each.content == NO_CONTENT]
        if key.sources and entries:
            content = key.content(check)
            for entry in entries:
                entry.replace_header(entry.header._replace(content=content))
    except OSError:  # a source has changed, or has gone
        return


def add_file(cache: CacheFolder, entry: Entry, name: str, raw: bytes) -> None:
    """Add a file to an entry that is in its place, or replace it; if that fails, it stays as it is.

    A file that the header does not describe is never read, so the header is replaced last.
    """
    path = cache.path(temporary_name())
    try:
        write_file(path, raw)
        file = record(path)._replace(name=name)
        os.replace(path, os.path.join(entry.folder, name))
        found = os.stat(os.path.join(entry.folder, name))
    except OSError:
        with suppress(OSError):
            os.unlink(path)
        return
    file = file._replace(ctime_ns=found.st_ctime_ns)
    others = [each for each in entry.files if each.name != name]
    entry.replace_header(entry.header._replace(files=(*others, file)))
    entry.files = entry.header.files
