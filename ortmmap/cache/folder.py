"""Where the cache is, whether it may be used, and how much it may hold."""

import os
import stat
import sys
import warnings
from collections.abc import Iterator
from types import FrameType

__all__ = ["CacheWarning", "default_folder", "is_network", "limit", "open_folder", "warn"]

FOLDER_VARIABLE = "ORTMMAP_CACHE_DIR"
LIMIT_VARIABLE = "ORTMMAP_CACHE_LIMIT"
DEFAULT_LIMIT = 10 << 30

# Programs that back up leave out a folder with this file: https://bford.info/cachedir/
TAG = b"Signature: 8a477f597d28d172789f06886806bc55\n# The cache of ortmmap; may be deleted.\n"

# Types in /proc/self/mountinfo whose files are another machine's, or are shared with one.
NETWORK_TYPES = frozenset(
    {
        *("9p", "acfs", "afs", "auristorfs", "beegfs", "ceph", "cifs", "coda", "gfs", "gfs2"),
        *("glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "panfs"),
        *("pvfs2", "smb", "smb2", "smb3", "smbfs", "afpfs", "webdav", "wekafs"),
    }
)
# FUSE file systems that are known to be local; any other may be sshfs or a bucket.
LOCAL_FUSE = frozenset(
    {
        *("fuse.fuse-overlayfs", "fuse.unionfs", "fuse.mergerfs", "fuse.bindfs", "fuse.lxcfs"),
        *("fuse.encfs", "fuse.gocryptfs", "fuse.cryfs", "fuse.ntfs-3g", "fuse.exfat"),
    }
)

UNITS = {"": 0, "b": 0, "k": 10, "m": 20, "g": 30, "t": 40}

_warned: set[str] = set()


class CacheWarning(UserWarning):
    """The cache, or an entry of it, is not used; sessions go on without."""


def warn(topic: str, text: str) -> None:
    """Warn of a topic, once in a process, as of the line outside this package."""
    if topic in _warned:
        return
    _warned.add(topic)
    level = 1
    frame: FrameType | None = sys._getframe(0)
    while frame is not None and f"{frame.f_globals.get('__name__')}.".startswith("ortmmap."):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, CacheWarning, stacklevel=level)


def default_folder() -> str | None:
    """Return the folder that ``ORTMMAP_CACHE_DIR`` or the platform names; None for no home."""
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        return os.path.abspath(os.path.expanduser(named))
    folder = _platform_folder()
    return folder if os.path.isabs(folder) else None


def _platform_folder() -> str:
    """Return what platformdirs does, without importing it where that would cost most of a start."""
    if sys.platform == "linux":
        base = os.environ.get("XDG_CACHE_HOME", "")
        if not os.path.isabs(base):  # as the specification says
            base = os.path.join(os.path.expanduser("~"), ".cache")
        return os.path.join(base, "ortmmap")
    from platformdirs import user_cache_dir

    return user_cache_dir("ortmmap", appauthor=False)


def open_folder(folder: str) -> str | None:
    """Make the folder if need be, and return why it may not be used, or None.

    It must be a real folder of ours that nobody else can enter: an entry is as trusted as the
    model, and whoever can write one decides what a session computes.
    """
    try:
        _make(folder)
        found = os.lstat(folder)
    except OSError as error:
        return f"{folder} cannot be made: {error.strerror}"
    if not stat.S_ISDIR(found.st_mode):
        return f"{folder} is a link or no folder"
    if hasattr(os, "geteuid") and found.st_uid != os.geteuid():
        return f"{folder} belongs to user {found.st_uid}, not to {os.geteuid()}"
    if os.name == "posix" and found.st_mode & 0o077:
        mode = stat.S_IMODE(found.st_mode)
        return f"others may enter {folder} (mode {mode:o}); chmod 700 it, or name another folder"
    return None


def _make(folder: str) -> None:
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
    """Tell whether the folder, or what of its path there is, lies on a network file system."""
    path = os.path.realpath(folder)
    if path.startswith("\\\\"):
        return True
    kind = ""
    longest = -1
    for point, mounted in _mounts():
        inside = path == point or path.startswith(point.rstrip(os.sep) + os.sep)
        if inside and len(point) >= longest:  # a later mount hides an earlier one
            longest, kind = len(point), mounted
    return kind in NETWORK_TYPES or (kind.startswith("fuse.") and kind not in LOCAL_FUSE)


def _mounts() -> Iterator[tuple[str, str]]:
    """Yield mount point and type of each file system, those that hide others last."""
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


def limit() -> int:
    """Return how many bytes the cache may hold, by ``ORTMMAP_CACHE_LIMIT``; default 10 GiB."""
    text = os.environ.get(LIMIT_VARIABLE, "").strip()
    if not text:
        return DEFAULT_LIMIT
    try:
        return parse_size(text)
    except ValueError as error:
        warn("limit", f"{LIMIT_VARIABLE}: {error}; the cache may hold {DEFAULT_LIMIT} bytes")
        return DEFAULT_LIMIT


def parse_size(text: str) -> int:
    """Parse a number of bytes: ``1024``, ``500MB`` (10**6), ``10GiB`` or ``10G`` (2**30).

    Raises
    ------
    ValueError
        Where it is none.
    """
    lowered = text.strip().lower()
    number = lowered.rstrip("bikmgt ")
    unit = lowered[len(number) :].strip()
    letter = unit.removesuffix("ib") if unit.endswith("ib") else unit.removesuffix("b")
    decimal = unit.endswith("b") and not unit.endswith("ib")
    try:
        factor = 1000 ** (UNITS[letter] // 10) if decimal else 1 << UNITS[letter]
        size = int(float(number) * factor)
    except (KeyError, ValueError, OverflowError):
        size = -1
    if size < 0:
        raise ValueError(f"{text!r} is no size such as 10GiB")
    return size
