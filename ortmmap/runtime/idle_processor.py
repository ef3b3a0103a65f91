"""Whether a processor is idle: then work on another thread takes none of this thread's time."""

import os

__all__ = ["has_idle_processor"]

LOAD = "/proc/loadavg"  # proc(5): its fourth field begins with the number of runnable threads


def has_idle_processor(path: str = LOAD) -> bool:
    """Return whether fewer threads are running than there are processors, in about 0.01 ms.

    Threads and processors are those of the machine, whatever of it this process may use: of one
    processor that is the caller's none is left, and of some the machine's state is the best guess.
    False on other systems than Linux, and without ``/proc``.

    Parameters
    ----------
    path : str
        The file to read.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        running = int(os.read(fd, 128).split()[3].partition(b"/")[0])
    except (OSError, IndexError, ValueError):  # another system's idea of /proc
        return False
    finally:
        os.close(fd)
    return len(os.sched_getaffinity(0)) > 1 and running < (os.cpu_count() or 1)
