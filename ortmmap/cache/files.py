"""Files and folders of the cache: names for what is unfinished, writing, ages, removal."""

import os
import stat
import time

__all__ = [
    "HEADER_NAME",
    "NO_FOLLOW",
    "READING",
    "age",
    "delete",
    "folder_bytes",
    "is_temporary",
    "modified",
    "sync_folder",
    "temporary_name",
    "write_file",
]

HEADER_NAME = "header"
# Flags to open with, which neither follow a link nor, reading, wait for a pipe's other end.
NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
READING = os.O_RDONLY | NO_FOLLOW | getattr(os, "O_NONBLOCK", 0)


def temporary_name() -> str:
    """Return a name that nothing has yet."""
    return f"tmp-{os.urandom(8).hex()}"


def is_temporary(name: str) -> bool:
    """Tell whether `temporary_name` makes such names."""
    random = name.removeprefix("tmp-")
    return len(name) == 20 and len(random) == 16 and set(random) <= set("0123456789abcdef")


def write_file(path: str, content: bytes) -> None:
    """Write a small file of ours, and have it on the disk."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | NO_FOLLOW, 0o600)
    try:
        while content:
            content = content[os.write(fd, content) :]
        os.fsync(fd)
    finally:
        os.close(fd)


def modified(path: str) -> int:
    """Return when a file was modified, in nanoseconds; 0 where it is not there."""
    try:
        return os.lstat(path).st_mtime_ns
    except OSError:
        return 0


def age(path: str) -> float:
    """Return seconds since a change; a clock that went back makes nothing young for ever."""
    return abs(time.time() - modified(path) / 1e9)


def folder_bytes(path: str) -> int:
    """Return the size of a folder's files together."""
    try:
        with os.scandir(path) as found:
            return sum(each.stat(follow_symlinks=False).st_size for each in found)
    except OSError:
        return 0


def delete(path: str) -> None:
    """Delete a folder of files, its header first, or a file or link."""
    if not stat.S_ISDIR(os.lstat(path).st_mode):
        os.unlink(path)
        return
    names = os.listdir(path)
    for name in sorted(names, key=lambda name: name != HEADER_NAME):
        delete(os.path.join(path, name))
    os.rmdir(path)


def sync_folder(path: str) -> None:
    """Have the names in a folder on the disk."""
    if os.name != "posix":
        return
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
