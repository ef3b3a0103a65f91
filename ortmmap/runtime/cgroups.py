"""The cgroups of this process, of version 1 and 2, and small files of the system."""

import os
from collections.abc import Iterator

__all__ = ["folders", "read_text"]


def folders(controller: str, root: str = "") -> Iterator[tuple[str, bool]]:
    """Iterate over the folders of the process's cgroups, and of those above them.

    Parameters
    ----------
    controller : str
        Of version 1, such as ``cpu``.
    root : str
        What all paths begin with.

    Yields
    ------
    folder : str
    is_unified : bool
        Whether it is of version 2.
    """
    paths = _paths(read_text(f"{root}/proc/self/cgroup"), controller)
    if not paths:
        return
    for line in read_text(f"{root}/proc/self/mountinfo").splitlines():
        mount, _, system = line.partition(" - ")
        kind, _, options = system.split(" ")[:3]
        if kind not in paths or (kind == "cgroup" and controller not in options.split(",")):
            continue
        top, point = map(_unescape, mount.split(" ")[3:5])
        below = _below(paths[kind], top)
        if below is not None:
            del paths[kind]  # it may be mounted again elsewhere
            for folder in _upwards(root + point, below):
                yield folder, kind == "cgroup2"


def read_text(path: str) -> str:
    """Return a small file's text; empty if it cannot be read."""
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
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


def _paths(text: str, controller: str) -> dict[str, str]:
    """Return the process's cgroups by the type of their file system, from /proc/self/cgroup."""
    paths = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            paths["cgroup2"] = path
        elif controller in controllers.split(","):
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


def _unescape(text: str) -> str:
    r"""Return a path of mountinfo, in which a space is ``\040``."""
    head, *rest = text.split("\\")
    return head + "".join(chr(int(piece[:3], 8)) + piece[3:] for piece in rest)
