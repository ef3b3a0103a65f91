"""What the kernel offers and allows: processors, limits, and what sharing pages needs."""

from __future__ import annotations

import os
import sys

from ortmmap.doctor.finding import NOTE, OK, WARNING, Finding
from ortmmap.runtime.cgroups import read_text

__all__ = ["CHECKS"]

LINUX = sys.platform == "linux"
LEAST_ADDRESS_SPACE = 16 << 30  # bytes; the cache's heap is a quarter of the limit, at least 4 GiB
LEAST_FILES = 256
PROT_READ, PROT_WRITE, MAP_SHARED, MAP_PRIVATE, MAP_FIXED = 1, 2, 1, 2, 0x10
STRICT_OVERCOMMIT = "2"
SECCOMP_FILTER = "2"


def proc() -> Finding | None:
    """Check that /proc is mounted."""
    if not LINUX or os.path.exists("/proc/self/maps"):
        return None
    return Finding(
        WARNING,
        "/proc is not mounted: the file system of a folder is not known, and a truncated model "
        "ends the process instead of raising ModelChangedError",
        "mount -t proc proc /proc",
    )


def processor() -> Finding:
    """Name the class of the processor, which entries of the cache belong to."""
    import platform

    try:
        from ortmmap.cache.cpu_class import cpu_class

        return Finding(OK, cpu_class().name)
    except ImportError:  # a native module, which another check reports
        return Finding(OK, platform.machine())


def threads() -> Finding:
    """Count the processors that are granted to the process, and the threads that sessions get."""
    from ortmmap.runtime.quota import VARIABLE, grant, granted_threads

    found = grant()
    text = f"{min(found.quota, found.affinity):g} of {found.processors} are granted"
    if not found.threads:
        return Finding(OK, text)
    if granted_threads():
        plural = "" if found.threads == 1 else "s"
        return Finding(OK, f"{text}: sessions have {found.threads} thread{plural} by default")
    return Finding(
        WARNING,
        f"{text}, but {VARIABLE} is 0: sessions have more threads by default",
        f"unset {VARIABLE}, or set intra_op_num_threads = {found.threads}",
    )


def thread_limit() -> Finding:
    """Check that the process can start a thread."""
    from ortmmap.session.filing import lack_of_threads

    reason = lack_of_threads()
    if reason is None:
        return Finding(OK, "a thread can be started")
    return Finding(
        WARNING,
        f"no thread can be started ({reason}): sessions of more threads fail, and the cache is "
        "not written",
        "raise the limit of processes: ulimit -u, TasksMax= of systemd, or pids.max of the cgroup",
    )


def address_space() -> Finding | None:
    """Check that the limit of address space leaves room for shared blocks."""
    limit = _limit("RLIMIT_AS")
    if limit is None:
        return None
    if limit >= LEAST_ADDRESS_SPACE:
        return Finding(NOTE, f"limited to {limit} bytes (RLIMIT_AS)")
    return Finding(
        WARNING,
        f"limited to {limit} bytes (RLIMIT_AS): prepacked weights are not shared below "
        f"{LEAST_ADDRESS_SPACE}",
        "ulimit -v unlimited; limit memory by the cgroup instead",
    )


def open_files() -> Finding | None:
    """Check that the limit of open files is not unusually small."""
    limit = _limit("RLIMIT_NOFILE")
    if limit is None or limit >= LEAST_FILES:
        return None
    text = f"limited to {limit} (RLIMIT_NOFILE); a session holds a descriptor of each entry"
    return Finding(WARNING, text, f"ulimit -n {LEAST_FILES * 4}")


def locked_memory() -> Finding | None:
    """Find a limit of locked memory, which only matters to `Session(lock=True)`."""
    limit = _limit("RLIMIT_MEMLOCK")
    if limit is None or not LINUX or os.geteuid() == 0:
        return None
    text = f"limited to {limit} bytes (RLIMIT_MEMLOCK), which Session(lock=True) must not exceed"
    return Finding(NOTE, text, "ulimit -l unlimited")


def page_exchange() -> Finding | None:
    """Check that pages of a file can replace others, which is how weights come to be shared."""
    if not LINUX:
        return Finding(NOTE, "pages cannot be exchanged on this system; graphs are still cached")
    try:
        _exchange_pages()
    except OSError as error:
        return Finding(
            WARNING,
            f"{error.strerror} in {error.filename}: prepacked weights are not shared",
            "allow the system call in the seccomp profile of the container or service",
        )
    return Finding(OK, "memfd_create and mmap with MAP_FIXED work")


def inotify() -> Finding | None:
    """Check that a process can sleep until another one has written an entry."""
    if not LINUX:
        return None
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    fd = library.inotify_init1(os.O_CLOEXEC)
    if fd >= 0:
        os.close(fd)
        return Finding(OK, "works")
    reason = os.strerror(ctypes.get_errno())
    text = f"{reason}: processes that wait for an entry look again and again, and do not sleep"
    return Finding(NOTE, text, "sysctl fs.inotify.max_user_instances=1024")


def huge_pages() -> Finding | None:
    """Read the setting of transparent huge pages."""
    setting = read_text("/sys/kernel/mm/transparent_hugepage/enabled")
    if "[" not in setting:
        return None
    return Finding(OK, setting.partition("[")[2].partition("]")[0])


def overcommit() -> Finding | None:
    """Check that the kernel reserves no memory for private mappings before they are written to."""
    setting = read_text("/proc/sys/vm/overcommit_memory").strip()
    if setting != STRICT_OVERCOMMIT:
        return Finding(OK, "memory is reserved when it is written to") if setting else None
    return Finding(
        WARNING,
        "vm.overcommit_memory is 2: each process reserves memory for shared weights too, and "
        "opening fails once the reserve is used up",
        "sysctl vm.overcommit_memory=0",
    )


def seccomp() -> Finding | None:
    """Note a filter of system calls; the other checks find out what it denies."""
    for line in read_text("/proc/self/status").splitlines():
        if line.partition(":")[0] == "Seccomp" and line.split()[1] == SECCOMP_FILTER:
            return Finding(NOTE, "system calls are filtered; those that matter are checked above")
    return None


def _limit(name: str) -> int | None:
    """Return a limit of this process; None if there is none."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    limit = resource.getrlimit(getattr(resource, name))[0]
    return None if limit == resource.RLIM_INFINITY else limit


def _exchange_pages() -> None:
    """Put a page of a file in memory into the place of an anonymous one.

    Raises
    ------
    OSError
        Its `filename` is the name of the system call that failed.
    """
    import ctypes
    import mmap

    library = ctypes.CDLL(None, use_errno=True)
    library.mmap.restype = ctypes.c_void_p
    library.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    failed = ctypes.c_void_p(-1).value
    with mmap.mmap(-1, mmap.PAGESIZE) as page:
        address = ctypes.addressof(ctypes.c_char.from_buffer(page))
        try:
            fd = os.memfd_create("ortmmap doctor", os.MFD_CLOEXEC)
        except OSError as error:
            raise OSError(error.errno, error.strerror, "memfd_create") from None
        try:
            os.ftruncate(fd, mmap.PAGESIZE)
            flags = MAP_PRIVATE | MAP_FIXED
            access = PROT_READ | PROT_WRITE
            if library.mmap(address, mmap.PAGESIZE, access, flags, fd, 0) == failed:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number), "mmap")
        finally:
            os.close(fd)


CHECKS = (
    ("/proc", proc),
    ("processor", processor),
    ("processors", threads),
    ("threads", thread_limit),
    ("address space", address_space),
    ("open files", open_files),
    ("locked memory", locked_memory),
    ("page exchange", page_exchange),
    ("inotify", inotify),
    ("huge pages", huge_pages),
    ("overcommit", overcommit),
    ("seccomp", seccomp),
)
