"""Trust: whose files may decide the results of a session.

A path is trusted if only root and this process's user can have written it: it and all its parent
folders belong to one of the two, and neither their group nor others may write them. A parent folder
may have the sticky bit instead, as ``/tmp`` has: other users cannot replace its files then.

The rules apply to the entries of a system cache and to the files of a model. The user's own cache
folder has stricter ones (`ortmmap.cache.folder`).
"""

import os
import stat
from collections.abc import Iterator

from ortmmap.cache.folder import quoted

__all__ = ["distrust_of", "distrust_of_file", "has_owners", "owners", "writers"]

WRITABLE = stat.S_IWGRP | stat.S_IWOTH


def has_owners() -> bool:
    """Return whether files have owners here that can be compared: not so on Windows."""
    return hasattr(os, "geteuid")


def owners() -> frozenset[int]:
    """Return the users whose files are trusted: root, and the user of this process."""
    return frozenset((0, os.geteuid()))


def writers(found: os.stat_result) -> str | None:
    """Return who but its owner may write a file or folder, or None."""
    if not found.st_mode & WRITABLE:
        return None
    return "everybody" if found.st_mode & stat.S_IWOTH else f"members of group {found.st_gid}"


def distrust_of(path: str, *, missing: bool = False) -> str | None:
    """Return why a path and its parent folders are not trusted, or None.

    Parameters
    ----------
    path : str
        Absolute, and without links.
    missing : bool
        Whether the path may be one that is to be made; then only what exists is examined.

    Raises
    ------
    OSError
        If it does not exist, unless it may be missing.
    """
    for each in _with_parents(path):
        if missing and not os.path.lexists(each):
            continue
        reason = _distrust(each, os.lstat(each), is_parent=each != path)
        if reason is not None:
            return reason
    return None


def distrust_of_file(path: str) -> str | None:
    """Return why others may have changed a file under the same name, or None.

    A file on a file system that is mounted read-only counts as unchanged, whoever owns it.

    Raises
    ------
    OSError
        If it does not exist.
    """
    if not has_owners():
        return "owners of files cannot be compared on this system"
    path = os.path.realpath(path)
    for each in _with_parents(path):
        reason = _distrust(each, os.lstat(each), is_parent=each != path)
        if reason is not None and not os.statvfs(each).f_flag & os.ST_RDONLY:
            return reason
    return None


def _with_parents(path: str) -> Iterator[str]:
    yield path
    while (parent := os.path.dirname(path)) != path:
        path = parent
        yield path


def _distrust(path: str, found: os.stat_result, *, is_parent: bool) -> str | None:
    """Return why a file or folder is not trusted, and the command that mends it, or None."""
    if stat.S_ISLNK(found.st_mode):
        return f"{path} is a link"
    is_folder = stat.S_ISDIR(found.st_mode)
    recursive = "-R " if is_folder and not is_parent else ""  # what is in it is mended too
    if found.st_uid not in owners():
        return (
            f"{path} belongs to user {found.st_uid}, neither to root nor to user {os.geteuid()}; "
            f"as root: chown {recursive}root {quoted(path)}"
        )
    others = writers(found)
    if others is None or (is_parent and found.st_mode & stat.S_ISVTX):
        return None
    reason = f"{others} may write {path} (mode {stat.S_IMODE(found.st_mode):o})"
    close = f"as root: chmod {recursive}go-w {quoted(path)}"
    if is_folder and found.st_mode & stat.S_ISGID and not found.st_mode & stat.S_IWOTH:
        return f"{reason}; {_mend_volume(path, is_parent=is_parent)}; else {close}"
    return f"{reason}; {close}"


def _mend_volume(path: str, *, is_parent: bool) -> str:
    """Return how to use a volume whose files Kubernetes has given to a group (fsGroup)."""
    below = "" if is_parent else ", bake into a folder within it"
    return (
        f"if it is a volume of Kubernetes with an fsGroup, set fsGroupChangePolicy: "
        f"OnRootMismatch{below}, and as root: chmod +t {quoted(path)}"
    )
