"""Fetched models: one copy a node, complete or not there at all.

The folder of fetched models has, for each version of a model, a folder named after the digest of
its files. It appears complete, by a rename, and never changes. For each source there are a lock,
held while it is fetched, a folder ``*.fetching`` meanwhile, and a record ``*.json`` of the version
that was fetched last. A version that no record names is removed unless a process uses it.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress

from ortmmap.cache.entry import hold
from ortmmap.cache.folder import (
    FOLDER_VARIABLE,
    CacheFolder,
    delete,
    sync_folder,
    temporary_name,
)
from ortmmap.engines.pinned import beside
from ortmmap.engines.record import PATH_RECORD, Record, discard, hashed, read_record, write_record
from ortmmap.engines.source import Source

__all__ = ["MODEL_FILE", "Fetched", "fetched_digest"]

MODEL_FILE = "model.onnx"  # also of a model in ORT format, which is recognized by its bytes
PIECE_BYTES = 1 << 22
DIGEST_CHARACTERS = 32

_holds: dict[str, int] = {}  # descriptors of the locked folders that this process uses


class Fetched:
    """The fetched versions of one model.

    Parameters
    ----------
    folder : str
        The folder of fetched models.
    source : Source
    files, digest : callable
        Functions of a model file's path: the names of all its files, the model file's own first,
        and the digest of these, which takes the names too.
    """

    def __init__(
        self,
        folder: str,
        source: Source,
        files: Callable[[str], list[str]],
        digest: Callable[[str, list[str]], str],
    ) -> None:
        self.folder = folder
        self._source = source
        self._files = files
        self._digest = digest
        self._prefix = os.path.join(folder, hashed(source.url))
        self._record = f"{self._prefix}.json"
        self._unfinished = f"{self._prefix}.fetching"

    def model(self) -> tuple[str, str]:
        """Return path and digest of the present version, which is fetched if it is not here."""
        found = self._present() or self._fetch_once()
        return os.path.join(self.folder, found, MODEL_FILE), found

    def _present(self) -> str | None:
        """Return the digest of the present version if it is here, and hold it."""
        record = read_record(self._record)
        if record is None or record.version != self._source.version():
            return None
        return record.digest if self._hold(record.digest) else None

    def _fetch_once(self) -> str:
        """Fetch the present version, unless another process has done so meanwhile."""
        from filelock import FileLock

        with FileLock(f"{self._prefix}.lock", mode=0o600):
            found = self._present()
            if found is not None:
                return found
            discard(self._unfinished)  # of a process that was killed
            try:
                version, found = self._fetch()
                with FileLock(os.path.join(self.folder, "models.lock"), mode=0o600):
                    self._publish(version, found)
                    self._remove_unused()
            finally:
                discard(self._unfinished)
        return found

    def _fetch(self) -> tuple[str, str]:
        """Copy the files to the unfinished folder, and return their version and digest."""
        version = self._source.version()
        os.mkdir(self._unfinished, 0o700)
        model = os.path.join(self._unfinished, MODEL_FILE)
        self._copy("", model)
        names = self._files(model)
        for name in names[1:]:
            self._copy(name, beside(model, name))
        if self._source.version() != version:
            raise OSError(errno.EAGAIN, "the model was replaced while it was fetched")
        return version, self._digest(model, names)

    def _copy(self, name: str, target: str) -> None:
        os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        reason = CacheFolder(self.folder, sys.maxsize).no_room(self._source.size(name))
        if reason is not None:
            raise OSError(errno.ENOSPC, f"{reason}; {FOLDER_VARIABLE} can name another folder")
        with self._source.open(name) as source, open(target, "xb") as file:
            while piece := source.read(PIECE_BYTES):
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())

    def _publish(self, version: str, found: str) -> None:
        """Give the files their name, unless they are here already, then record them."""
        target = os.path.join(self.folder, found)
        if not os.path.isfile(os.path.join(target, MODEL_FILE)):
            discard(target)
            sync_folder(self._unfinished)
            os.rename(self._unfinished, target)
        write_record(self._record, Record(self._source.url, version, found))
        sync_folder(self.folder)
        self._hold(found)

    def _hold(self, found: str) -> bool:
        """Lock a version for the rest of this process; return whether it is here."""
        folder = os.path.join(self.folder, found)
        here = os.path.isfile(os.path.join(folder, MODEL_FILE))
        if folder in _holds and not here:  # somebody has emptied the folder of models
            _close(_holds.pop(folder))
        if folder in _holds or not here:
            return here
        try:
            held = hold(folder)
        except OSError:
            return False
        if held is not None:
            _holds[folder] = held
        return os.path.isfile(os.path.join(folder, MODEL_FILE))

    def _remove_unused(self) -> None:
        named = {record.digest for record in self._records()}
        for name in os.listdir(self.folder):
            path = os.path.join(self.folder, name)
            if len(name) == DIGEST_CHARACTERS and name not in named and os.path.isdir(path):
                with suppress(OSError):
                    _remove_unless_held(path)

    def _records(self) -> Iterator[Record]:
        """Yield the records of fetched models; those of local files that are gone are deleted."""
        for name in os.listdir(self.folder):
            path = os.path.join(self.folder, name)
            record = read_record(path) if name.endswith(".json") else None
            if record is None:
                continue
            if os.path.isabs(record.url) and not os.path.exists(record.url):
                discard(path)
                discard(path.removesuffix(".json") + ".lock")
            elif not name.startswith(PATH_RECORD):
                yield record


def fetched_digest(folder: str, path: str) -> str | None:
    """Return the digest of a fetched version by its path; None if the path is of another file."""
    parent, name = os.path.split(os.path.dirname(path))
    is_fetched = os.path.basename(path) == MODEL_FILE and len(name) == DIGEST_CHARACTERS
    return name if is_fetched and parent == folder else None


def _remove_unless_held(path: str) -> None:
    held = hold(path, alone=True)
    if held is None or held < 0:  # in use, or not known to be unused
        return
    try:
        hidden = os.path.join(os.path.dirname(path), temporary_name())
        os.rename(path, hidden)
        delete(hidden)
    finally:
        _close(held)


def _close(fd: int) -> None:
    if fd >= 0:
        os.close(fd)
