"""System caches: folders that an administrator bakes, and that sessions of every user read.

A system cache is searched after the user's own folder, and never written by a session: it has no
locks and no aliases, uses are not recorded, and a damaged entry stays. Its folder, all parents of
that, and all files in it belong to root or to the user of the process, and only these can write
there (`ortmmap.cache.trust`). `ortmmap.cache.bake` writes it.
"""

from __future__ import annotations

import os
import sys

from ortmmap.cache.folder import (
    SYSTEM_TAG,
    SYSTEM_VARIABLE,
    CacheFolder,
    is_system,
    quoted,
    warn,
)
from ortmmap.cache.trust import distrust_of, has_owners

__all__ = [
    "DEFAULT_FOLDER",
    "folders",
    "refusal_of_system",
    "system_caches",
]

# Where an administrator, and not a package of the distribution, puts static data that all users
# read. Elsewhere than on Linux no such folder belongs to root alone.
DEFAULT_FOLDER = "/usr/local/share/ortmmap" if sys.platform == "linux" else None


def system_caches() -> list[CacheFolder]:
    """Return the system caches that may be used, in the order of search.

    Warns
    -----
    CacheWarning
        If a folder may not be used, once in a process.
    """
    usable = []
    for folder, reason in folders():
        if reason is None:
            usable.append(CacheFolder(folder, system=True))
        else:
            warn(f"system {folder}", f"the system cache is not used: {reason}")
    return usable


def folders() -> list[tuple[str, str | None]]:
    """Return the folders of system caches, and why each may not be used, or None.

    They are those that ``ORTMMAP_SYSTEM_CACHE`` names, separated as in ``PATH``; none if it is
    empty. If it is not set, the default folder is one if it exists.

    Returns
    -------
    list of (str, str or None)
        In the order of search. A reason ends with what to do about it.
    """
    named = os.environ.get(SYSTEM_VARIABLE)
    if named is not None:
        paths = [os.path.expanduser(path) for path in named.split(os.pathsep) if path.strip()]
    elif DEFAULT_FOLDER is not None and os.path.lexists(DEFAULT_FOLDER):
        paths = [DEFAULT_FOLDER]
    else:
        return []
    return [(path, refusal_of_system(path)) for path in paths]


def refusal_of_system(folder: str, *, missing: bool = False) -> str | None:
    """Return why a folder may not be used as a system cache, and what to do about it, or None.

    If it is `missing`, return why it could not be used once it is made: its parents decide that.
    """
    if not has_owners():
        return "owners of files cannot be compared on this system; use a cache of the user's own"
    try:
        if missing:
            return distrust_of(folder, missing=True)
        real = os.path.realpath(folder, strict=True)
        if real != folder.rstrip(os.sep):
            return f"{folder} is relative or leads over a link; name the folder: {_command(real)}"
        reason = distrust_of(real)
    except OSError as error:
        return f"{folder}: {error.strerror}; {_bake(folder)}"
    return reason or _unreadable(real)


def _unreadable(folder: str) -> str | None:
    if os.path.isdir(folder) and not os.access(folder, os.R_OK | os.X_OK):
        return f"{folder} cannot be read; as its owner: chmod a+rx {quoted(folder)}"
    if not is_system(folder):
        return f"{folder} has no {SYSTEM_TAG}, so it is no system cache; {_bake(folder)}"
    return None


def _command(folder: str) -> str:
    return f"export {SYSTEM_VARIABLE}={quoted(folder)}"


def _bake(folder: str) -> str:
    return f"make one: python -m ortmmap cache bake MODEL --into {quoted(folder)}"
