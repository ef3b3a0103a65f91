"""The memory that is left to this process: of the machine, and of its cgroups."""

from ortmmap.runtime.cgroups import folders, read_text

__all__ = ["memory_room"]

_NO_LIMIT = 1 << 60  # version 1 has the largest multiple of a page for it, version 2 "max"


def memory_room(root: str = "") -> int:
    """Return how many bytes there are for pages of files and for memory to come.

    That is the machine's available memory or, if that is less, the limit of a cgroup without the
    private memory that its processes have. Pages of files there count as room: they are given up.

    Parameters
    ----------
    root : str
        What all paths begin with.
    """
    machine = _number(f"{root}/proc/meminfo", "MemAvailable:") * 1024
    rooms = [_room(*place) for place in folders("memory", root)]
    return min([machine or _NO_LIMIT, *rooms])


def _room(folder: str, is_unified: bool) -> int:
    names = ("memory.max", "memory.high") if is_unified else ("memory.limit_in_bytes",)
    texts = [read_text(f"{folder}/{name}").strip() for name in names]
    limit = min([int(text) for text in texts if text.isdigit()], default=_NO_LIMIT)
    if limit >= _NO_LIMIT:
        return _NO_LIMIT
    private = _number(f"{folder}/memory.stat", "anon" if is_unified else "total_rss")
    return max(0, limit - private)


def _number(file: str, name: str) -> int:
    """Return the number behind a name at the beginning of a line; 0 if there is none."""
    for line in read_text(file).splitlines():
        words = line.split()
        if words and words[0] == name:
            return int(words[1])
    return 0
