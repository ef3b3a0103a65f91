"""The cache's folder: its location, whether it can be trusted, its room, its names and its locks.

A cache folder holds folders of entries, files ``*.alias`` that name an entry for another identity
of the same bytes, folders ``tmp-*`` of entries being written, files ``failed-*`` of entries that
could not be written, and ``locks``. Nothing else in it is touched.
"""

import os
import stat
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ortmmap.cache.key import Key

__all__ = [
    "CacheFolder",
    "CacheWarning",
    "default_folder",
    "delete",
    "is_system",
    "limit",
    "make_folder",
    "modified",
    "quoted",
    "refusal",
    "sync_folder",
    "temporary_name",
    "too_large",
    "warn",
    "write_file",
]

FOLDER_VARIABLE = "ORTMMAP_CACHE_DIR"
SYSTEM_VARIABLE = "ORTMMAP_SYSTEM_CACHE"
SYSTEM_TAG = "SYSTEM-CACHE.TAG"  # a file in every system cache; see `ortmmap.cache.system`
LIMIT_VARIABLE = "ORTMMAP_CACHE_LIMIT"
WAIT_VARIABLE = "ORTMMAP_CACHE_WAIT"
DEFAULT_LIMIT = 10 << 30  # bytes
DEFAULT_WAIT = 60.0  # seconds
RESERVE_PART = 100  # a hundredth of the disk stays free
LOCKS = 4096
HEADER_NAME = "header"

# Follow no link and, when reading, do not block on a pipe.
NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
READING = os.O_RDONLY | NO_FOLLOW | getattr(os, "O_NONBLOCK", 0)

# Backup programs skip a folder with this file: https://bford.info/cachedir/
TAG = b"Signature: 8a477f597d28d172789f06886806bc55\n# The cache of ortmmap; may be deleted.\n"

# Types in /proc/self/mountinfo of file systems that lie on, or are shared with, another machine.
NETWORK_TYPES = frozenset(
    {
        *("9p", "acfs", "afs", "auristorfs", "beegfs", "ceph", "cifs", "coda", "gfs", "gfs2"),
        *("glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "panfs"),
        *("pvfs2", "smb", "smb2", "smb3", "smbfs", "afpfs", "webdav", "wekafs"),
    }
)
# FUSE file systems known to be local; any other may be sshfs or a bucket.
LOCAL_FUSE = frozenset(
    {
        *("fuse.fuse-overlayfs", "fuse.unionfs", "fuse.mergerfs", "fuse.bindfs", "fuse.lxcfs"),
        *("fuse.encfs", "fuse.gocryptfs", "fuse.cryfs", "fuse.ntfs-3g", "fuse.exfat"),
    }
)

_warned: set[str] = set()


class CacheWarning(UserWarning):
    """The cache, or an entry of it, is not used; sessions are created without it."""


def warn(topic: str, text: str) -> None:
    """Issue one warning on a topic per process, attributed to the first line outside ortmmap."""
    if topic in _warned:
        return
    _warned.add(topic)
    level = 1
    frame: FrameType | None = sys._getframe(0)
    while frame is not None and f"{frame.f_globals.get('__name__')}.".startswith("ortmmap."):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, CacheWarning, stacklevel=level)


# Location and trust


def default_folder() -> str | None:
    """Return the folder of ``ORTMMAP_CACHE_DIR``, else the platform's; None without a home."""
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        return os.path.abspath(os.path.expanduser(named))
    folder = _platform_folder()
    return folder if os.path.isabs(folder) else None


def _platform_folder() -> str:
    """Return the folder of platformdirs, which Linux does without: importing it is slow."""
    if sys.platform == "linux":
        base = os.environ.get("XDG_CACHE_HOME", "")
        if not os.path.isabs(base):  # a relative path is ignored by the specification
            base = os.path.join(os.path.expanduser("~"), ".cache")
        return os.path.join(base, "ortmmap")
    from platformdirs import user_cache_dir

    return user_cache_dir("ortmmap", appauthor=False)


def refusal(folder: str | None, *, named: bool, make: bool = True) -> str | None:
    """Return why a folder may not be used, or None.

    Parameters
    ----------
    folder : str or None
        None means that the user has no home folder.
    named : bool
        Whether the user named the folder; only then may it be on a network file system.
    make : bool
        Whether the folder is created if it does not exist. If False, a missing one is accepted.
    """
    if folder is None:
        return f"there is no home folder; name a folder: export {FOLDER_VARIABLE}=/a/folder"
    if not named and is_network(folder):
        return (
            f"{folder} is on a network file system; to use it all the same, name it: "
            f"export {FOLDER_VARIABLE}={quoted(folder)}"
        )
    return _distrust(folder, make)


def _distrust(folder: str, make: bool) -> str | None:
    """Create the folder if need be, and return why it cannot be trusted, or None.

    It must be a real folder of this user that nobody else can enter, since the entries decide the
    results of sessions.
    """
    try:
        if make:
            make_folder(folder)
        found = os.lstat(folder)
    except OSError as error:
        if not make and isinstance(error, FileNotFoundError):
            return None
        return f"{folder} cannot be made: {error.strerror}; {_elsewhere()}"
    return _distrust_found(folder, found)


def _distrust_found(folder: str, found: os.stat_result) -> str | None:
    if not stat.S_ISDIR(found.st_mode):
        kind = "a link" if stat.S_ISLNK(found.st_mode) else "not a folder"
        return f"{folder} is {kind}; {_elsewhere()}"
    theirs = hasattr(os, "geteuid") and found.st_uid != os.geteuid()
    others_may_enter = os.name == "posix" and found.st_mode & 0o077
    if (theirs or others_may_enter) and is_system(folder):
        variable = f"export {SYSTEM_VARIABLE}={quoted(folder)}"
        return f"{folder} is a system cache, which no session writes; name it as one: {variable}"
    if theirs:
        return f"{folder} belongs to user {found.st_uid}, not to {os.geteuid()}; {_within(folder)}"
    if others_may_enter:
        mode = stat.S_IMODE(found.st_mode)
        reason = f"others may enter {folder} (mode {mode:o})"
        if os.path.ismount(folder):
            return f"{reason}; {_within(folder)}"
        return f"{reason}; {_close(folder, found)}"
    return None


def _close(folder: str, found: os.stat_result) -> str:
    """Return the command that closes a folder, also if Kubernetes has opened it to a group."""
    command = f"close it to them: chmod -R go-rwx {quoted(folder)}"
    if not (found.st_mode & stat.S_ISGID and found.st_mode & stat.S_IWGRP):
        return command
    return (
        "if it is in a volume of Kubernetes with an fsGroup, set fsGroupChangePolicy: "
        f"OnRootMismatch; then {command}"
    )


def is_system(folder: str) -> bool:
    """Return whether a folder has the tag of a system cache."""
    return os.path.lexists(os.path.join(folder, SYSTEM_TAG))


def _within(folder: str) -> str:
    """Return the command that names a folder of this user's own within a volume."""
    if not os.access(folder, os.W_OK | os.X_OK):
        return _elsewhere()
    within = os.path.join(folder, _own())
    return f"use a folder within it: export {FOLDER_VARIABLE}={quoted(within)}"


def quoted(path: str) -> str:
    """Return a path as a shell reads it."""
    from shlex import quote  # importing it takes longer than most of this module

    return quote(path)


def _own() -> str:
    return f"ortmmap-{os.geteuid()}" if hasattr(os, "geteuid") else "ortmmap"


def _elsewhere() -> str:
    return f"use another folder: export {FOLDER_VARIABLE}=/a/folder/of/your/own"


def make_folder(folder: str) -> None:
    """Create a cache folder, for this user alone and with its tag, if it does not exist."""
    if os.path.lexists(folder):
        return
    os.makedirs(os.path.dirname(folder), mode=0o700, exist_ok=True)
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        return
    with open(os.path.join(folder, "CACHEDIR.TAG"), "wb") as tag:
        tag.write(TAG)


def is_network(folder: str) -> bool:
    """Return whether the folder, or the existing part of its path, is on a network file system."""
    if os.path.realpath(folder).startswith("\\\\"):
        return True
    kind = file_system_of(folder)
    return kind in NETWORK_TYPES or (kind.startswith("fuse.") and kind not in LOCAL_FUSE)


def file_system_of(path: str) -> str:
    """Return the type of the file system under a path, such as ``ext4``; empty if unknown."""
    path = os.path.realpath(path)
    kind = ""
    longest = -1
    for point, mounted in _mounts():
        inside = path == point or path.startswith(point.rstrip(os.sep) + os.sep)
        if inside and len(point) >= longest:  # a later mount hides an earlier one
            longest, kind = len(point), mounted
    return kind


def _mounts() -> Iterator[tuple[str, str]]:
    """Yield mount point and type of each file system, in the order of mounting."""
    if sys.platform == "linux":
        yield from _mountinfo()
        return
    try:
        from psutil import disk_partitions
    except ImportError:
        return
    for partition in disk_partitions(all=True):
        yield partition.mountpoint, partition.fstype


def _mountinfo() -> Iterator[tuple[str, str]]:
    try:
        with open("/proc/self/mountinfo", "rb") as file:
            lines = file.read().splitlines()
    except OSError:
        return
    for line in lines:
        mount, _, system = line.partition(b" - ")
        point = mount.split(b" ")[4]
        for code, character in ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n")):
            point = point.replace(code, character)
        yield os.fsdecode(point.replace(b"\\134", b"\\")), system.split(b" ")[0].decode()


# Settings


def limit() -> int:
    """Return how many bytes the cache may hold, by ``ORTMMAP_CACHE_LIMIT``; default 10 GiB."""
    text = os.environ.get(LIMIT_VARIABLE, "").strip()
    if not text:
        return DEFAULT_LIMIT
    from ortmmap.cache.sizes import parse_size

    try:
        return parse_size(text)
    except ValueError as error:
        warn("limit", f"{LIMIT_VARIABLE}: {error}; the cache may hold {DEFAULT_LIMIT} bytes")
        return DEFAULT_LIMIT


def too_large(nbytes: int, most_bytes: int) -> str:
    """Return why an entry is not stored that is larger than all entries may be together."""
    from ortmmap.cache.sizes import readable

    return (
        f"an entry of {readable(nbytes)} is more than the cache may hold "
        f"({readable(most_bytes)}); raise {LIMIT_VARIABLE}"
    )


def longest_wait() -> float:
    """Return how many seconds to wait for another writer, by ``ORTMMAP_CACHE_WAIT``."""
    text = os.environ.get(WAIT_VARIABLE, "").strip()
    try:
        seconds = float(text) if text else DEFAULT_WAIT
    except ValueError:
        seconds = -1.0
    if seconds >= 0:
        return seconds
    warn("wait", f"{WAIT_VARIABLE} is a number of seconds, not {text!r}")
    return DEFAULT_WAIT


# Names and files


def temporary_name() -> str:
    """Return a new name for an unfinished file or folder."""
    return f"tmp-{os.urandom(8).hex()}"


def is_temporary(name: str) -> bool:
    """Return whether `name` has the form of `temporary_name`."""
    random = name.removeprefix("tmp-")
    return len(name) == 20 and len(random) == 16 and set(random) <= set("0123456789abcdef")


def write_file(path: str, content: bytes) -> None:
    """Write a small private file, and flush it to the disk."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | NO_FOLLOW, 0o600)
    try:
        while content:
            content = content[os.write(fd, content) :]
        os.fsync(fd)
    finally:
        os.close(fd)


def modified(path: str) -> int:
    """Return the time of modification in nanoseconds; 0 if the file does not exist."""
    try:
        return os.lstat(path).st_mtime_ns
    except OSError:
        return 0


def age(path: str) -> float:
    """Return seconds since modification, also if the clock has been set back since then."""
    return abs(time.time() - modified(path) / 1e9)


def folder_bytes(path: str) -> int:
    """Return the total size of a folder's files."""
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
    """Flush the names in a folder to the disk."""
    if os.name != "posix":
        return
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class CacheFolder:
    """A cache folder that `refusal` has accepted.

    Parameters
    ----------
    folder : str
        Its absolute path.
    most_bytes : int, optional
        How much it may hold; by default the value of ``ORTMMAP_CACHE_LIMIT``, or 10 GiB.
    system : bool
        Whether it is a system cache, which sessions never change.
    """

    def __init__(self, folder: str, most_bytes: int | None = None, *, system: bool = False) -> None:
        self.folder = folder
        self.system = system
        self.most_bytes = limit() if most_bytes is None else most_bytes

    def path(self, name: str) -> str:
        """Return the path of a file or folder of that name."""
        return os.path.join(self.folder, name)

    def names(self, wanted: Callable[[str], bool]) -> list[str]:
        """Return the names in the folder that `wanted` accepts; none if it cannot be read."""
        try:
            return [name for name in os.listdir(self.folder) if wanted(name)]
        except OSError:
            return []

    def no_room(self, nbytes: int) -> str | None:
        """Return why there is no room for that many bytes, or None."""
        if nbytes > self.most_bytes:
            return too_large(nbytes, self.most_bytes)
        if not hasattr(os, "statvfs"):
            return None
        try:
            make_folder(self.folder)  # it may have been removed since it was found
            disk = os.statvfs(self.folder)
        except OSError as error:
            return str(error)
        reserve = disk.f_blocks * disk.f_frsize // RESERVE_PART if nbytes else 0
        if disk.f_bavail * disk.f_frsize < nbytes + reserve:
            from ortmmap.cache.sizes import readable

            return f"{self.folder}: too little room for {readable(nbytes)} on the disk"
        return None

    def remove(self, name: str) -> bool:
        """Make an entry invisible at once, then delete its files; return whether it is gone."""
        path, hidden = self.path(name), self.path(temporary_name())
        try:
            os.rename(path, hidden)
        except FileNotFoundError:
            return True
        except OSError:  # a folder of overlayfs's lower layer, or one in use on Windows
            hidden = path
        try:
            delete(hidden)
        except OSError:
            return not os.path.lexists(path)
        return True

    def discard(self, name: str, damage: str) -> None:
        """Remove a damaged entry, with a warning; one of a system cache stays."""
        if self.system:
            warn(
                f"damaged {self.folder}/{name}",
                f"an entry of the system cache {self.folder} is not used: {name}: {damage}",
            )
            return
        self.remove(name)
        warn(f"damaged {name}", f"an entry of the cache was removed: {name}: {damage}")

    def note_failure(self, key: "Key") -> None:
        """Let processes that wait for the key's lock know that writing has failed."""
        try:
            os.utime(self.lock_path(key))
        except OSError:
            return

    def lock_path(self, key: "Key") -> str:
        """Return the path of the file whose lock the key's writer holds."""
        # A fixed set of files, never removed: processes wait for the lock of an open file.
        number = (int(key.setting, 16) ^ int(key.identity, 16)) % LOCKS
        return os.path.join(self.folder, "locks", f"{number:03x}")
