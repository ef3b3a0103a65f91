"""The processors that the system grants to this process: cgroup quotas and the affinity mask.

ONNX Runtime starts a thread for each core of the machine, and takes neither into account.
"""

import os
import sys
from collections.abc import Iterator

__all__ = ["VARIABLE", "Grant", "Quotas", "grant", "granted_threads", "threads_within"]

VARIABLE = "ORTMMAP_QUOTA"
_OFF = ("0", "false", "off", "no")

# Files with the quota of a cgroup, of version 2 and of version 1, in microseconds of a period.
_MAX = "cpu.max"  # "QUOTA PERIOD"; the quota may be "max"
_QUOTA, _PERIOD = "cpu.cfs_quota_us", "cpu.cfs_period_us"  # -1: no quota

_NO_QUOTA = float("inf")

_quotas: "Quotas | None" = None  # of this process, found at first use
_processors = 0  # of the machine; 0: not counted yet


class Grant:
    """The processors that the system grants to this process.

    Attributes
    ----------
    threads : int
        How many threads a pool gets by default; 0: ONNX Runtime chooses.
    quota : float
        The least quota of the process's cgroup and those above it, in processors; infinite if
        there is none.
    affinity : int
        How many processors the calling thread may run on.
    processors : int
        How many processors the machine has.
    """

    __slots__ = ("affinity", "processors", "quota", "threads")

    def __init__(self, threads: int, quota: float, affinity: int, processors: int) -> None:
        self.threads, self.quota = threads, quota
        self.affinity, self.processors = affinity, processors


class Quotas:
    """The files with the quotas of a process's cgroup, and of the cgroups above it.

    Finding them takes about 0.3 ms. They are read each time, in 0.02 ms, since a quota may change
    while a container runs; a process rarely moves to another cgroup.

    Parameters
    ----------
    root : str
        What all paths begin with.
    """

    __slots__ = ("_files",)

    def __init__(self, root: str = "") -> None:
        self._files = [
            f"{folder}/{name}" for place, name in _cgroups(root) for folder in _upwards(*place)
        ]

    def least(self) -> float:
        """Return the least quota, in processors; infinite if there is none."""
        found = {file: _quota(file) for file in self._files}
        if None in found.values():
            self._files = [file for file, quota in found.items() if quota is not None]
        return min((quota for quota in found.values() if quota is not None), default=_NO_QUOTA)


def granted_threads() -> int:
    """Return how many threads a pool gets where the user has not said; 0: ONNX Runtime chooses.

    That is so on other systems than Linux, if ``ORTMMAP_QUOTA`` is 0, and if the process may use
    the whole machine.
    """
    if os.environ.get(VARIABLE, "").strip().lower() in _OFF:
        return 0
    return grant().threads


def grant() -> Grant:
    """Return what the system grants to this process, whatever ``ORTMMAP_QUOTA`` is."""
    global _quotas, _processors
    if sys.platform != "linux":
        count = os.cpu_count() or 1
        return Grant(0, _NO_QUOTA, count, count)
    if _quotas is None:
        _processors = os.sysconf("SC_NPROCESSORS_ONLN")
        _quotas = Quotas()  # last: other threads then find both
    quota, affinity = _quotas.least(), len(os.sched_getaffinity(0))
    threads = 0
    if min(quota, affinity) < _processors:
        threads = threads_within(quota, affinity, _processors, _cores())
    return Grant(threads, quota, affinity, _processors)


def threads_within(quota: float, affinity: int, processors: int, cores: int) -> int:
    """Return how many threads to start; 0: as many as ONNX Runtime does.

    A fraction of a processor counts as one from a half on: docs/architecture.md has the
    measurements. There are never more threads than ONNX Runtime would start, one a core. If the
    mask is narrowed, the number is never 0: ONNX Runtime would bind its threads to processors
    outside of the mask.
    """
    granted = affinity if quota >= affinity else max(1, int(quota + 0.5))
    if granted >= cores and affinity >= processors:
        return 0
    return min(granted, cores)


def _cores() -> int:
    """Return the number of cores, of which each has two processors if they are multithreaded."""
    multithreaded = _read("/sys/devices/system/cpu/smt/active").strip() == "1"
    return max(1, _processors // 2) if multithreaded else _processors


def _cgroups(root: str) -> Iterator[tuple[tuple[str, str], str]]:
    """Iterate over the cgroups with processor quotas: (mount point, path below it), file name."""
    paths = _paths(_read(f"{root}/proc/self/cgroup"))
    if not paths:
        return
    for line in _read(f"{root}/proc/self/mountinfo").splitlines():
        mount, _, system = line.partition(" - ")
        kind, _, options = system.split(" ")[:3]
        if kind not in paths or (kind == "cgroup" and "cpu" not in options.split(",")):
            continue
        top, point = map(_unescape, mount.split(" ")[3:5])
        below = _below(paths[kind], top)
        if below is not None:
            del paths[kind]  # it may be mounted again elsewhere
            yield (root + point, below), _MAX if kind == "cgroup2" else _QUOTA


def _paths(text: str) -> dict[str, str]:
    """Return the process's cgroups by the type of their file system, from /proc/self/cgroup."""
    paths = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            paths["cgroup2"] = path
        elif "cpu" in controllers.split(","):
            paths["cgroup"] = path
    return paths


def _below(path: str, top: str) -> str | None:
    """Return a cgroup's path below the mounted one; None if it does not lie there."""
    if top == "/":
        return path
    return path[len(top) :] if f"{path}/".startswith(f"{top}/") else None


def _upwards(point: str, below: str) -> Iterator[str]:
    """Iterate over a cgroup's folder and those above it, up to the mount point."""
    folder = point + below.rstrip("/")
    while len(folder) > len(point):
        yield folder
        folder = folder.rpartition("/")[0]
    yield point


def _quota(file: str) -> float | None:
    """Return a cgroup's quota, in processors; None if it has no such file, as the topmost."""
    text = _read(file)
    if not text:
        return None
    quota, _, period = text.strip().partition(" ")
    if quota in ("max", "-1"):
        return _NO_QUOTA
    if not period:
        period = _read(file.replace(_QUOTA, _PERIOD))
    return int(quota) / int(period)


def _read(path: str) -> str:
    """Return a small file's text; empty if it cannot be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        pieces = []
        while piece := os.read(fd, 1 << 16):
            pieces.append(piece)
    except OSError:
        return ""
    finally:
        os.close(fd)
    return os.fsdecode(b"".join(pieces))


def _unescape(text: str) -> str:
    r"""Return a path of mountinfo, in which a space is ``\040``."""
    head, *rest = text.split("\\")
    return head + "".join(chr(int(piece[:3], 8)) + piece[3:] for piece in rest)


def _forget() -> None:
    global _quotas
    _quotas = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)  # which may be put into another cgroup
