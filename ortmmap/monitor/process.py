"""The processes that have ONNX Runtime's library loaded, found without their cooperation."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple

from ortmmap.monitor.memory_map import Region, Sizes, mapped_paths, regions, total

__all__ = ["Process", "find_processes"]

PACKAGE = "/ortmmap/"
LIBRARY = "libonnxruntime.so"
BINDING = "onnxruntime_pybind11_state."


class Process(NamedTuple):
    """A process with ONNX Runtime.

    Attributes
    ----------
    pid, uid : int
    user : str
        The name of its user, or the number if there is no name.
    command : str
        Its command line.
    runtimes : tuple of str
        Those of ``ortmmap``, ``onnxruntime`` (the Python package) and ``libonnxruntime`` (loaded by
        another program) that it has loaded.
    is_elsewhere : bool
        Whether it has another mount namespace, as in a container: its paths are its own.
    sizes : Sizes
        Of all its memory.
    regions : list of Region
    """

    pid: int
    uid: int
    user: str
    command: str
    runtimes: tuple[str, ...]
    is_elsewhere: bool
    sizes: Sizes
    regions: list[Region]


def find_processes() -> tuple[list[Process], int]:
    """Return the processes with ONNX Runtime, and the number of those that may not be examined.

    Raises
    ------
    OSError
        If there is no /proc, which Linux has.
    """
    found: list[Process] = []
    unreadable = 0
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdecimal()):
        try:
            process = _examine(pid)
        except PermissionError:
            unreadable += 1
        except OSError:  # it has ended
            continue
        else:
            found += [process] if process is not None else []
    return found, unreadable


def _examine(pid: int) -> Process | None:
    """Return a process; None if it has no ONNX Runtime, or no memory of its own."""
    runtimes = _runtimes(mapped_paths(pid))
    if not runtimes:
        return None
    mapped = regions(pid)
    if not mapped:  # it has ended meanwhile
        return None
    uid = os.stat(f"/proc/{pid}").st_uid
    return Process(
        pid,
        uid,
        _user(uid),
        _command(pid),
        runtimes,
        _is_elsewhere(pid),
        total(region.sizes for region in mapped),
        mapped,
    )


def _runtimes(paths: Iterable[str]) -> tuple[str, ...]:
    libraries = {path for path in paths if ".so" in path}
    names = {os.path.basename(path) for path in libraries}
    has_library = any(name.startswith(LIBRARY) for name in names)
    has_package = any(PACKAGE in path for path in libraries)
    has_binding = any(name.startswith(BINDING) for name in names)
    found = {
        "ortmmap": has_library and has_package,
        "onnxruntime": has_binding,
        "libonnxruntime": has_library and not has_package,
    }
    return tuple(name for name, is_loaded in found.items() if is_loaded)


def _user(uid: int) -> str:
    from pwd import getpwuid

    try:
        return getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _command(pid: int) -> str:
    for name in ("cmdline", "comm"):
        with open(f"/proc/{pid}/{name}", "rb") as file:
            words = file.read().rstrip(b"\0\n").split(b"\0")
        if any(words):
            return os.fsdecode(b" ".join(words))
    return ""


def _is_elsewhere(pid: int) -> bool:
    try:
        return os.readlink(f"/proc/{pid}/ns/mnt") != os.readlink("/proc/self/ns/mnt")
    except OSError:
        return False
