"""Mapping: a file as read-only memory, alive for as long as anything points into it."""

import errno
import os

cimport cython
from cpython.buffer cimport PyBuffer_FillInfo

cimport ortmmap.abi.mapping as cm
from ortmmap.runtime.library cimport native_path

from ortmmap import errors

cdef extern from "process/sigbus.h":
    ortmmap_guard *ortmmap_guard_take()
    void ortmmap_guard_share(ortmmap_guard *guard)
    void ortmmap_guard_give(ortmmap_guard *guard)
    bint ortmmap_guards_have_users() nogil
    void ortmmap_guards_abandon() nogil
    int ortmmap_sigbus_install()

cdef dict ADVICE = {
    "normal": cm.ORTMMAP_ADVICE_NORMAL,
    "random": cm.ORTMMAP_ADVICE_RANDOM,
    "sequential": cm.ORTMMAP_ADVICE_SEQUENTIAL,
    "willneed": cm.ORTMMAP_ADVICE_WILLNEED,
    "dontneed": cm.ORTMMAP_ADVICE_DONTNEED,
    "nohugepage": cm.ORTMMAP_ADVICE_NOHUGEPAGE,
}


cdef class Mapping:
    """A whole file as read-only memory, by mmap(2) or ``CreateFileMapping``.

    The file's descriptor is closed once it is mapped. Every process that maps the same file
    shares one physical copy of it, the system's page cache. The mapping supports the buffer
    protocol, without a copy; while a buffer of it is in use (by a `Session`, a memoryview, an
    array), it cannot be closed.

    A mapping can be pickled: its path and arguments travel, and size and modification time of the
    file, which must be the same where it is unpickled.

    Parameters
    ----------
    path : str, bytes or os.PathLike
        The file. It must be a regular file that is not empty.
    prefault : bool, default False
        Read the whole file and enter its pages in this process before returning, so that no
        access waits for the disk.
    lock : bool, default False
        Keep the pages in physical memory (mlock(2), ``VirtualLock``) until the mapping is closed.

    Raises
    ------
    NoSuchFile
        If there is no such file.
    MappingPermissionError
        If the file may not be read.
    MappingError
        If it is a directory, a device, a FIFO, a socket or empty, or if the system refuses to map,
        prefault or lock it.
    ModelChangedError
        If it was written to while it was being opened.

    All of these are `OSError` too.
    """

    def __cinit__(self, path, *, bint prefault=False, bint lock=False):
        cdef bytes encoded = native_path(path)
        cdef const cm.ortmmap_path_char *name = (
            <const cm.ortmmap_path_char *><const char *>encoded
        )
        cdef cm.ortmmap_mapping_error error
        self.path = os.fsdecode(path)
        self._settings = {"prefault": prefault, "lock": lock}
        with nogil:
            cm.ortmmap_mapping_open(name, &self._mapping, &error)
            if error.status == cm.ORTMMAP_MAPPING_OK and prefault:
                cm.ortmmap_mapping_prefault(&self._mapping, &error)
            if error.status == cm.ORTMMAP_MAPPING_OK and lock:
                cm.ortmmap_mapping_lock(&self._mapping, &error)
        if error.status != cm.ORTMMAP_MAPPING_OK:
            raise_error(&error, self.path)

    def __dealloc__(self):
        with nogil:
            cm.ortmmap_mapping_close(&self._mapping)

    def __getbuffer__(self, Py_buffer *view, int flags):
        self._begin()
        try:
            PyBuffer_FillInfo(view, self, <void *>self._mapping.data, self._mapping.size, 1, flags)
        except BaseException:
            self._end()
            raise

    def __releasebuffer__(self, Py_buffer *view):
        self._end()

    def __len__(self):
        return self.nbytes

    def __enter__(self):
        self._check_open()
        return self

    def __exit__(self, *exc_info):
        self.close()

    def __reduce__(self):
        self._check_open()
        return restore_mapping, (type(self), stamp(self.path, self.identity), self._settings)

    def __repr__(self):
        state = "closed" if self.closed else f"{self.nbytes} bytes"
        return f"<ortmmap.Mapping {self.path!r}, {state}>"

    @property
    def nbytes(self) -> int:
        """Size of the file in bytes; 0 once closed."""
        with cython.critical_section(self):
            return self._mapping.size

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        with cython.critical_section(self):
            return self._mapping.data == NULL

    @property
    def identity(self) -> tuple:
        """Device, inode, size in bytes, times of modification and of change in ns.

        They are those of the file when it was mapped.
        """
        return identity_tuple(&self._mapping.identity)

    def changed(self) -> bool:
        """Whether the path no longer names the file that was mapped, or the file has changed.

        True if the file was written to, truncated, removed, or replaced by another. Of these,
        only writing and truncating change the mapped bytes. It costs one stat(2).
        """
        self._check_open()
        try:
            return identity_of(self.path)[:4] != self.identity[:4]
        except OSError:
            return True

    def resident(self) -> int:
        """Return the number of the file's bytes that are in physical memory (mincore(2)).

        They are in the page cache, whichever process has read them. Linux reports the whole size
        for a file that this user neither owns nor may write.

        Raises
        ------
        OSError
            If the system does not report residence.
        """
        cdef long long count
        self._begin()
        with nogil:
            count = cm.ortmmap_mapping_resident(&self._mapping)
        self._end()
        if count < 0:
            raise OSError(errno.ENOSYS, "no system call reports resident pages", self.path)
        return count

    def advise(self, advice: str, offset: int = 0, length: int | None = None) -> None:
        """Advise the system on how a part of the mapping will be used (madvise(2)).

        Parameters
        ----------
        advice : {"normal", "random", "sequential", "willneed", "dontneed", "nohugepage"}
            "willneed" reads ahead in the background; "dontneed" drops the pages from this process
            (the page cache keeps them, and the next access maps them again); "nohugepage" (Linux)
            makes an access map a few pages, not 2 MiB.
        offset, length : int
            The part, in bytes; by default all. It need not begin at a page.

        Raises
        ------
        ValueError
            If the advice is unknown or the part lies outside the mapping.
        MappingError
            If the system refuses, or has no such advice.
        """
        cdef cm.ortmmap_mapping_error error
        cdef cm.ortmmap_advice kind
        cdef size_t first, size
        self._check_open()
        if advice not in ADVICE:
            raise ValueError(f"advice must be one of {', '.join(ADVICE)}, not {advice!r}")
        if length is None:
            length = self.nbytes - offset
        if offset < 0 or length < 0 or offset + length > self.nbytes:
            raise ValueError(
                f"bytes {offset} to {offset + length} lie outside {self.path}, "
                f"which has {self.nbytes}"
            )
        kind, first, size = ADVICE[advice], offset, length
        self._begin()
        with nogil:
            cm.ortmmap_mapping_advise(&self._mapping, kind, first, size, &error)
        self._end()
        if error.status != cm.ORTMMAP_MAPPING_OK:
            raise_error(&error, self.path)

    def close(self) -> None:
        """Unmap the file. Closing twice is no error.

        Raises
        ------
        BufferError
            If a session, a memoryview or an array still uses it.
        """
        cdef ortmmap_mapping mapping
        cdef Py_ssize_t exports
        with cython.critical_section(self):
            exports, mapping = self._exports, self._mapping
            if exports == 0:
                self._mapping.data, self._mapping.size = NULL, 0   # no other thread unmaps it
        if exports:
            raise BufferError(
                f"cannot close the mapping of {self.path}: {exports} in use "
                "(sessions, memoryviews or arrays over it)"
            )
        with nogil:
            cm.ortmmap_mapping_close(&mapping)

    cdef int _check_open(self) except -1:
        if self.closed:
            raise ValueError(f"the mapping of {self.path} is closed")
        return 0

    cdef int _begin(self) except -1:
        """Keep the file mapped until _end(); raise ValueError if it is closed."""
        cdef bint is_open
        with cython.critical_section(self):
            is_open = self._mapping.data != NULL
            self._exports += is_open
        return 0 if is_open else self._check_open()

    cdef int _end(self) except -1:
        with cython.critical_section(self):
            self._exports -= 1
        return 0


def restore_mapping(cls, source, settings):
    """Map a file that was mapped in another process; unpickling calls it.

    Parameters
    ----------
    cls : type
        `Mapping`, or a class derived from it.
    source : (str, int, int)
        Absolute path, size in bytes and modification time in ns of the file.
    settings : dict
        The other arguments of `cls`.

    Raises
    ------
    NoSuchFile, MappingError
        If the file is missing or cannot be mapped.
    ModelChangedError
        If its size or modification time differs.
    """
    check_sources([source])
    return cls(source[0], **settings)


# --- Files that must stay as they are ---

def check_sources(sources) -> None:
    """Raise if a file is missing, or has changed.

    Parameters
    ----------
    sources : iterable of (str, int, int)
        Absolute path, size in bytes and modification time in ns of each file.

    Raises
    ------
    NoSuchFile, MappingError
        If a file is missing or cannot be examined.
    ModelChangedError
        If its size or modification time differs.
    """
    for path, size, mtime_ns in sources:
        found = stamp(path, identity_of(path))
        if found != (path, size, mtime_ns):
            raise errors.file_error(
                errors.ModelChangedError,
                f"is not the file that it was: expected {size} bytes, modified at {mtime_ns} ns, "
                f"found {found[1]} bytes, modified at {found[2]} ns",
                path,
            )


cdef tuple stamp(str path, tuple identity):
    """Absolute path, size and modification time in ns: an entry of check_sources()'s argument."""
    return os.path.abspath(path), identity[2], identity[3]


cdef tuple identity_of(str path):
    """Identity, as in `Mapping.identity`, of the file that a path names now."""
    cdef bytes encoded = native_path(path)
    cdef const cm.ortmmap_path_char *name = <const cm.ortmmap_path_char *><const char *>encoded
    cdef cm.ortmmap_file_identity identity
    cdef cm.ortmmap_mapping_error error
    with nogil:
        cm.ortmmap_file_identity_get(name, &identity, &error)
    if error.status != cm.ORTMMAP_MAPPING_OK:
        raise_error(&error, path)
    return identity_tuple(&identity)


cdef tuple identity_tuple(const cm.ortmmap_file_identity *found):
    return found.device, found.inode, found.size, found.mtime_ns, found.ctime_ns


# --- Guards of files that may be truncated while they are mapped ---

cdef ortmmap_guard *take_guard() except NULL:
    """Return a guard of a model's files, which give_guard() takes back.

    The first call installs the process's handler of SIGBUS. It is compiled into this module only.
    """
    cdef ortmmap_guard *guard
    error = ortmmap_sigbus_install()
    if error:
        raise OSError(error, f"no handler of SIGBUS: {os.strerror(error)}")
    guard = ortmmap_guard_take()
    if guard == NULL:
        raise MemoryError("a model's guard")
    return guard


cdef int give_guard(ortmmap_guard *guard) noexcept:
    ortmmap_guard_give(guard)
    return 0


cdef ortmmap_guard *share_guard(ortmmap_guard *guard) noexcept:
    """Return a guard for a further owner, which gives it back too."""
    ortmmap_guard_share(guard)
    return guard


cdef bint guards_have_users() noexcept nogil:
    """Return whether a run or a creation of this process is under way."""
    return ortmmap_guards_have_users()


cdef void abandon_guards() noexcept nogil:
    """Leave the runs and creations under way to the parent of this process."""
    ortmmap_guards_abandon()


# --- Errors ---

cdef int raise_error(const cm.ortmmap_mapping_error *error, str path) except -1:
    """Raise the exception for a failed call of mapping.h."""
    if error.status == cm.ORTMMAP_MAPPING_OPEN_FAILED:
        raise errors.system_error("cannot open", path, error.os_error)
    if error.status == cm.ORTMMAP_MAPPING_CHANGED:
        raise errors.file_error(
            errors.ModelChangedError,
            f"was written to while it was opened: expected {error.size_expected} bytes, "
            f"found {error.size_found}",
            path,
        )
    if error.status in REFUSED:
        number, reason = REFUSED[error.status]
        raise errors.file_error(errors.MappingError, reason, path, number)
    raise errors.system_error(FAILED[error.status], path, error.os_error)


cdef dict REFUSED = {
    cm.ORTMMAP_MAPPING_IS_DIRECTORY: (errno.EISDIR, "is a directory, not a model file"),
    cm.ORTMMAP_MAPPING_NOT_REGULAR: (errno.ENODEV, "is a device, a FIFO or a socket, not a file"),
    cm.ORTMMAP_MAPPING_EMPTY: (errno.EINVAL, "is empty: expected a model, found 0 bytes"),
    cm.ORTMMAP_MAPPING_TOO_LARGE: (errno.EFBIG, "does not fit this process's address space"),
    cm.ORTMMAP_MAPPING_UNSUPPORTED: (errno.ENOTSUP, "this system has no such call"),
}
cdef dict FAILED = {
    cm.ORTMMAP_MAPPING_MAP_FAILED: "cannot map",
    cm.ORTMMAP_MAPPING_PREFAULT_FAILED: "cannot prefault",
    cm.ORTMMAP_MAPPING_LOCK_FAILED: "cannot lock in memory (see ulimit -l)",
    cm.ORTMMAP_MAPPING_ADVISE_FAILED: "cannot advise",
}
