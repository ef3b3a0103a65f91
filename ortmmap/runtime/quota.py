"""The processors that the system grants to this process: cgroup quotas and the affinity mask.

ONNX Runtime starts a thread for each core of the machine, and takes neither into account.
"""

import os
import sys

from ortmmap.runtime.cgroups import folders, read_text

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
            f"{folder}/{_MAX if is_unified else _QUOTA}"
            for folder, is_unified in folders("cpu", root)
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
    multithreaded = read_text("/sys/devices/system/cpu/smt/active").strip() == "1"
    return max(1, _processors // 2) if multithreaded else _processors


def _quota(file: str) -> float | None:
    """Return a cgroup's quota, in processors; None if it has no such file, as the topmost."""
    text = read_text(file)
    if not text:
        return None
    quota, _, period = text.strip().partition(" ")
    if quota in ("max", "-1"):
        return _NO_QUOTA
    if not period:
        period = read_text(file.replace(_QUOTA, _PERIOD))
    return int(quota) / int(period)


def _forget() -> None:
    global _quotas
    _quotas = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)  # which may be put into another cgroup
