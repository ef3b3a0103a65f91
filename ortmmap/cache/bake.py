"""Baking: entries made in a private folder, and published in a system cache for every user.

The private folder is a cache of the user's own within the system cache's folder, where sessions
write as usual. Its entries are then made readable for everybody, and renamed into the system cache,
one rename each. So a system cache never holds half an entry, and bakers need no lock: of two that
publish the same entry, the first wins.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ortmmap.cache.entry import Entry, hold, is_entry, open_entry, record
from ortmmap.cache.folder import (
    HEADER_NAME,
    SYSTEM_TAG,
    CacheFolder,
    is_system,
    is_temporary,
    sync_folder,
    temporary_name,
    write_file,
)
from ortmmap.cache.header import pack
from ortmmap.cache.system import refusal_of_system

__all__ = ["CannotBake", "open_system_cache", "publish", "staging"]

FOLDER_MODE, FILE_MODE = 0o755, 0o644
TAG = b"A system cache of ortmmap: python -m ortmmap cache list --dir FOLDER\n"
IGNORED = {"lost+found"}  # in the root of a volume
EPOCH_VARIABLE = "SOURCE_DATE_EPOCH"  # https://reproducible-builds.org/specs/source-date-epoch/


class CannotBake(Exception):  # noqa: N818 - a result, not an error
    """The folder cannot become a system cache; the argument says why, and what to do about it."""


def open_system_cache(folder: str) -> CacheFolder:
    """Return the system cache in a folder, which is made if it does not exist.

    Raises
    ------
    CannotBake
        If the folder has other files, or may not be used as a system cache.
    OSError
        If it cannot be made.
    """
    folder = os.path.realpath(folder)
    if not os.path.lexists(folder):
        _check(refusal_of_system(folder, missing=True))
        _make_folders(folder)
    if not is_system(folder):
        if set(os.listdir(folder)) - IGNORED:
            raise CannotBake(f"{folder} has other files; name a new or an empty folder")
        os.chmod(folder, FOLDER_MODE)
        _write_public(os.path.join(folder, SYSTEM_TAG), TAG)
    _check(refusal_of_system(folder))
    return CacheFolder(folder, system=True)


def _check(refusal: str | None) -> None:
    if refusal is not None:
        raise CannotBake(refusal)


@contextmanager
def staging(system: CacheFolder) -> Iterator[str]:
    """Make a private folder within a system cache for the block, and remove it afterwards.

    Those that killed processes have left are removed too.
    """
    for name in system.names(is_temporary):
        _remove_abandoned(system.path(name))
    folder = system.path(temporary_name())
    os.mkdir(folder, 0o700)
    held = hold(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if held is not None and held >= 0:
            os.close(held)


def publish(staged: str, system: CacheFolder) -> list[Entry]:
    """Move the entries of a private folder to a system cache, and return them as they are there.

    An entry that is there already stays, unless sessions would not use it: it is damaged, or a copy
    that they would have to read.
    """
    published = []
    for name in CacheFolder(staged).names(is_entry):
        entry = open_entry(system, name, thorough=False)
        if entry is None:
            _make_public(Entry(staged, name, holding=False))
            if os.path.lexists(system.path(name)):
                system.remove(name)
            os.rename(os.path.join(staged, name), system.path(name))
            sync_folder(system.folder)
            entry = Entry(system.folder, name, system=True)
        published.append(entry)
    return published


def _make_folders(folder: str) -> None:
    """Make a folder and its missing parents, for everybody to enter whatever the umask is."""
    missing = []
    while not os.path.lexists(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    for each in reversed(missing):
        with suppress(FileExistsError):
            os.mkdir(each, FOLDER_MODE)
            os.chmod(each, FOLDER_MODE)


def _make_public(entry: Entry) -> None:
    """Let everybody read an entry; its header describes the files as they are then."""
    for file in entry.files:
        _date(entry.path(file.name))
    files = tuple(record(entry.path(file.name), file.checksum, FILE_MODE) for file in entry.files)
    header = entry.header._replace(files=files)
    _write_public(os.path.join(entry.folder, HEADER_NAME), pack(header))
    os.chmod(entry.folder, FOLDER_MODE)
    sync_folder(entry.folder)


def _date(path: str) -> None:
    """Set a file's time back to ``SOURCE_DATE_EPOCH``, if that is set and earlier.

    Builders of images do that to all files, and a session would take them for others then.
    """
    text = os.environ.get(EPOCH_VARIABLE, "").strip()
    if text.isdecimal() and int(text) < os.stat(path).st_mtime:
        os.utime(path, (int(text), int(text)))


def _write_public(path: str, content: bytes) -> None:
    write_file(path, content)
    os.chmod(path, FILE_MODE)


def _remove_abandoned(path: str) -> None:
    """Remove a private folder unless its maker holds it."""
    try:
        fd = hold(path, alone=True)
    except OSError:
        return
    if fd is None or fd < 0:
        return
    shutil.rmtree(path, ignore_errors=True)
    os.close(fd)
