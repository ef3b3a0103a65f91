"""An entry being written: whole under its name, or not there."""

from __future__ import annotations

import errno
import os
import time
from types import TracebackType
from typing import TYPE_CHECKING

from ortmmap.cache.entry import LARGEST_HEADER, NO_CONTENT, Entry, Header, hold, pack, record
from ortmmap.cache.files import HEADER_NAME, delete, sync_folder, temporary_name, write_file
from ortmmap.cache.folder import warn
from ortmmap.errors import OrtError

if TYPE_CHECKING:
    from threading import Thread

    from ortmmap.cache.key import Key
    from ortmmap.cache.store import Store

__all__ = ["Draft"]

MOST_SOURCES = 20  # that a description names
ATTEMPTS = 10  # against processes that remove or write the same entry meanwhile
TAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR, errno.EACCES)


class Draft:
    """An entry being written: enter it, write files into `folder`, leave it.

    Left without an exception, the files are closed to others, checksummed, written to the disk
    and, in one rename, an entry, which `entry` then is. Left by an OSError or an OrtError (a full
    disk, a quota, a model that ONNX Runtime cannot save) nothing is left behind, there is one
    warning, and `entry` is None; any other exception goes on after the same cleaning.

    Attributes
    ----------
    key : bytes
        32 bytes, which `Entry.key` will be too.
    folder : str
        Where to write; files of plain ASCII names, at most 64 characters.
    entry : Entry or None
        What came of it.
    """

    def __init__(self, store: Store, key: Key, kind: str) -> None:
        self.entry: Entry | None = None
        self.name = key.name(kind)
        self.key = bytes.fromhex(key.setting + key.identity)
        self.folder = os.path.join(store.folder, temporary_name())
        self._store = store
        self._key = key
        self._fd: int | None = None
        self._description: dict[str, object] = {}
        self._unmade: OSError | None = None
        self._reader: Thread | None = None

    def describe(self, **description: object) -> None:
        """Add to what `Entry.description` will say, for people."""
        self._description.update(description)

    def path(self, name: str) -> str:
        """Return the path for a file of that name."""
        return os.path.join(self.folder, name)

    def check_room(self, nbytes: int) -> None:
        """Raise OSError where so many bytes have no room."""
        reason = self._store._no_room(nbytes)
        if reason is not None:
            raise OSError(reason)

    def __enter__(self) -> Draft:
        try:
            self._make_folder()
        except OSError as error:
            self._unmade = error  # writing into the folder will fail, or commit
        else:
            self._read_sources()
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
            self._make_room()
            return False
        self._store._note_failure(self._key)
        if not isinstance(failure, (OSError, OrtError)):
            return False
        warn("write", f"the cache is not written: {self._unmade or failure}")
        return True

    def _make_folder(self) -> None:
        """Make and lock the folder; whoever clears the cache may take it away in between."""
        for _ in range(ATTEMPTS):
            os.mkdir(self.folder, 0o700)
            try:
                self._fd = fd = hold(self.folder)
                if fd is None or fd < 0 or os.path.samestat(os.fstat(fd), os.lstat(self.folder)):
                    return
            except FileNotFoundError:
                pass
            self._clean()
            self.folder = os.path.join(self._store.folder, temporary_name())
        raise FileNotFoundError(self.folder)

    def _try_to_commit(self) -> OSError | None:
        """Commit, and return what the system said against it."""
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
        files = tuple(record(self.path(name)) for name in names)
        self._check_size(sum(file.size for file in files))
        header = Header(self.name, self._content(), files, self._described())
        self._write_header(header)
        sync_folder(self.folder)
        self.entry = self._publish()

    def _write_header(self, header: Header) -> None:
        raw = pack(header)
        if len(raw) > LARGEST_HEADER:
            raise OSError(f"a description of {len(header.description)} bytes is too long")
        write_file(self.path(HEADER_NAME), raw)

    def _check_size(self, nbytes: int) -> None:
        if nbytes > self._store.most_bytes:
            raise OSError(
                f"{nbytes} bytes are more than the cache may hold ({self._store.most_bytes})"
            )

    def _read_sources(self) -> None:
        """Begin to digest the sources, for who will have the same bytes by another identity.

        It takes about a second a gigabyte, without the interpreter lock, while the caller writes.
        """
        from threading import Thread

        self._reader = Thread(target=self._key.try_content, name="ortmmap cache", daemon=True)
        self._reader.start()

    def _content(self) -> bytes:
        if self._reader is not None:
            self._reader.join()
        self._key.check_sources()
        return self._key.content() if self._key.sources else NO_CONTENT

    def _described(self) -> bytes:
        import json

        sources = [
            (source.path, source.size, source.mtime_ns)
            for source in self._key.sources[:MOST_SOURCES]
        ]
        description = {"created": time.time(), "sources": sources, **self._description}
        return json.dumps(description).encode("ascii")

    def _publish(self) -> Entry | None:
        """Give the folder its name; what has it by now gives way, or is returned if it is whole."""
        target = os.path.join(self._store.folder, self.name)
        for _ in range(ATTEMPTS):
            try:
                os.rename(self.folder, target)
            except OSError as error:
                if error.errno not in TAKEN:
                    raise
            else:
                sync_folder(self._store.folder)
                return self._store.open(self.name)
            there = self._store.open(self.name)
            if there is not None:
                return there
            self._store.remove(self.name)
        raise OSError(f"{target} cannot be replaced")

    def _clean(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None and fd >= 0:
            os.close(fd)
        try:
            delete(self.folder)
        except OSError:
            return

    def _make_room(self) -> None:
        try:
            self._store.prune(keep=(self.name,))
        except OSError as error:
            warn("prune", f"the cache cannot be kept below its limit: {error}")
