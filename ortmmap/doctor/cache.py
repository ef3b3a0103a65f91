"""Whether the cache will be used, where it lies, and what that place means."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ortmmap.cache import SWITCH_VARIABLE, SWITCHES
from ortmmap.cache.folder import (
    FOLDER_VARIABLE,
    LIMIT_VARIABLE,
    RESERVE_PART,
    CacheFolder,
    default_folder,
    file_system_of,
    folder_bytes,
    is_network,
    limit,
    refusal,
)
from ortmmap.cache.sizes import parse_size
from ortmmap.doctor.finding import NOTE, OK, WARNING, Check, Finding, mebibytes, of_reason

__all__ = ["MEMORY_TYPES", "checks", "user_folder_refusal"]

MEMORY_TYPES = frozenset({"tmpfs", "ramfs", "hugetlbfs"})
LEAST_ROOM = 1 << 30  # bytes


def checks(path: str | None) -> Sequence[tuple[str, Check]]:
    """Return the checks; with a model, there must be room for its entries."""
    return (
        ("switch", switch),
        ("folder", folder),
        ("file system", file_system),
        ("file locks", file_locks),
        ("room", lambda: room(path)),
        ("system cache", system_cache),
    )


def switch() -> Finding:
    """Check the variable that switches the cache on and off."""
    text = os.environ.get(SWITCH_VARIABLE, "").strip().lower()
    setting = SWITCHES.get(text)
    if setting is False:
        return Finding(WARNING, f"off, by {SWITCH_VARIABLE}={text}", f"unset {SWITCH_VARIABLE}")
    if setting:
        return Finding(OK, f"on for all models that gain from it, by {SWITCH_VARIABLE}={text}")
    if text:
        found = f"{SWITCH_VARIABLE}={text} is neither 0 nor 1"
        return Finding(WARNING, found, f"unset {SWITCH_VARIABLE}")
    return Finding(OK, "on for models of 16 MiB and more, on the CPU")


def folder() -> Finding:
    """Check whether the user's folder may be used, and written to."""
    path, reason = default_folder(), user_folder_refusal()
    if reason is not None:
        return of_reason("not used", reason)
    if path is None or not os.path.lexists(path):
        return Finding(OK, f"{path}, which the first session makes")
    if not os.access(path, os.W_OK | os.X_OK):
        text = f"{path} can only be read: entries in it are used, and none is added"
        return Finding(WARNING, text, f"fill it beforehand, or export {FOLDER_VARIABLE}=/a/folder")
    return Finding(OK, path)


def user_folder_refusal() -> str | None:
    """Return why the user's folder may not be used, or None; unlike a session, do not make it."""
    path = default_folder()
    if path is None or os.path.lexists(path):
        return refusal(path, named=_is_named())
    parent = _existing(path)
    if not _is_named() and is_network(path):
        return refusal(path, named=False)
    if os.access(parent, os.W_OK | os.X_OK) and os.path.isdir(parent):
        return None
    return (
        f"{path} cannot be made, since {parent} cannot be written; use another folder: "
        f"export {FOLDER_VARIABLE}=/a/folder/of/your/own"
    )


def system_cache() -> Finding | None:
    """Check whether the system caches, and each of their entries, may be used.

    Find nothing if there is none.
    """
    from ortmmap.cache.system import folders

    found = folders()
    for path, reason in found:
        if reason is not None:
            return of_reason(f"{path} is not used", reason)
        unusable = _unusable_entry(path)
        if unusable is not None:
            return of_reason(f"an entry in {path} is not used", unusable)
    return Finding(OK, ", ".join(path for path, _ in found)) if found else None


def _unusable_entry(folder: str) -> str | None:
    """Return why one entry of a system cache is not used, or None."""
    from ortmmap.cache.store import Store  # imports native modules

    for entry in Store(folder, system=True).entries():
        kind, _, reason = entry.state.partition(": ")
        if kind in ("refused", "damaged"):
            return reason
    return None


def file_system() -> Finding | None:
    """Check the file system under the folder: whether it takes memory, or the network."""
    path = default_folder()
    if path is None or _cannot_be_made(path):
        return None
    kind = file_system_of(path)
    if kind in MEMORY_TYPES:
        return Finding(
            WARNING,
            f"{kind}, which lies in memory: entries are charged to the container, and cannot be "
            "dropped when memory is short",
            f"use a folder on a disk: export {FOLDER_VARIABLE}=/a/folder",
        )
    if is_network(path):
        text = f"{kind}, a network file system: pages are read over the network"
        return Finding(WARNING, text, f"use a local disk: export {FOLDER_VARIABLE}=/a/folder")
    if kind == "overlay":
        return Finding(
            NOTE,
            "overlay: entries live as long as the container, and no other one shares them",
            "fill the cache in the image, or use a volume",
        )
    return Finding(OK, kind or "unknown")


def file_locks() -> Finding | None:
    """Check whether files can be locked, so that one process writes an entry and others wait."""
    path = default_folder()
    try:
        import fcntl
    except ImportError:  # Windows, which has locks of another kind
        return None
    if path is None or _cannot_be_made(path):
        return None
    fd = os.open(_existing(path), os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:  # another process has it
        pass
    except OSError as error:
        text = f"denied ({error.strerror}): the cache is not written"
        return Finding(WARNING, text, f"use another folder: export {FOLDER_VARIABLE}=/a/folder")
    finally:
        os.close(fd)
    return Finding(OK, "work")


def room(model: str | None) -> Finding | None:
    """Check whether there is room for more entries, by the limit and on the disk."""
    path = default_folder()
    text = os.environ.get(LIMIT_VARIABLE, "").strip()
    try:
        parse_size(text or "0")
    except ValueError as error:
        return Finding(WARNING, f"{LIMIT_VARIABLE}: {error}", f"export {LIMIT_VARIABLE}=10GiB")
    if path is None or user_folder_refusal() is not None or not hasattr(os, "statvfs"):
        return None
    disk = os.statvfs(_existing(path))
    free, most = disk.f_bavail * disk.f_frsize, limit()
    used = sum(map(folder_bytes, _entries(path)))
    needed = _needed(model)
    found = f"{mebibytes(used)} of {mebibytes(most)} used, {mebibytes(free)} free on the disk"
    if needed > most:
        remedy = f"export {LIMIT_VARIABLE}={4 * needed}"
        return Finding(WARNING, f"{found}: the limit is below {mebibytes(needed)}", remedy)
    if free < needed + disk.f_blocks * disk.f_frsize // RESERVE_PART:
        remedy = f"make room on the disk, or export {FOLDER_VARIABLE}=/a/folder"
        return Finding(WARNING, f"{found}: too little for {mebibytes(needed)}", remedy)
    return Finding(OK, found)


def _needed(model: str | None) -> int:
    """Return the size of a model's entries at most, in bytes; a guess if there is no model."""
    if model is None:
        return LEAST_ROOM
    try:
        return os.path.getsize(model) + _external_bytes(model)
    except OSError:
        return LEAST_ROOM


def _external_bytes(model: str) -> int:
    """Return the size of a model's external data; 0 if that cannot be found out."""
    try:
        from ortmmap.errors import OrtError
        from ortmmap.model.inspect import inspect  # imports native modules
    except ImportError:
        return 0
    try:
        return inspect(model, largest=0).external_bytes
    except OrtError:
        return 0


def _entries(folder: str) -> list[str]:
    from ortmmap.cache.entry import is_entry  # imports native modules

    names = CacheFolder(folder).names(is_entry)
    return [os.path.join(folder, name) for name in names]


def _is_named() -> bool:
    return bool(os.environ.get(FOLDER_VARIABLE))


def _cannot_be_made(path: str) -> bool:
    """Return whether there is no folder, and can be none, so that nothing lies under it."""
    return not os.path.lexists(path) and user_folder_refusal() is not None and not is_network(path)


def _existing(path: str) -> str:
    """Return the path, or the nearest parent folder that exists."""
    while not os.path.lexists(path) and os.path.dirname(path) != path:
        path = os.path.dirname(path)
    return path
