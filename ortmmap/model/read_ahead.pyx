"""Reading ahead: a thread reads files into the page cache before a session needs them.

The kernel reads ahead too, but only what lies behind an access, and 128 KiB at a time unless the
disk is set up otherwise. A process has one such thread, which goes on when the session is open. It
takes no lock while it reads, and allocates nothing: a fork does not wait for it.
"""

from libc.stdint cimport uint64_t

from ortmmap.process.guard cimport (
    ortmmap_count,
    ortmmap_count_replace,
    ortmmap_count_set,
)
from ortmmap.process.native_thread cimport (
    ortmmap_thread,
    ortmmap_thread_join,
    ortmmap_thread_start,
)
from ortmmap.process.page_cache cimport (
    ortmmap_page_cache_close,
    ortmmap_page_cache_lacks,
    ortmmap_page_cache_read,
)
from ortmmap.runtime.library cimport hold_forks, let_forks

import os

cdef enum:
    LEAST_BYTES = 8 << 20   # of a file: a smaller one is read while a thread is started
    MOST_FILES = 16

cdef enum:      # states of the thread
    NONE
    BEGINNING   # a call of read_ahead() makes the list of files
    READING
    ENDED       # it is to be joined

cdef struct File:
    int fd
    uint64_t size

# Of the one that has set the state: the call in BEGINNING, the thread in READING.
cdef File[MOST_FILES] _files
cdef size_t _count = 0
cdef ortmmap_thread _thread
cdef ortmmap_count _state = NONE


def read_ahead(list files not None) -> bool:
    """Have a thread read files into the page cache, in this order.

    Files that are small, or in memory already, are left out. Nothing is read if the thread is at
    work for another session, or if that would take more than half of the memory that the system
    and the cgroups have: then pages would be given up before they are needed.

    Parameters
    ----------
    files : list of (str, int)
        Paths and sizes in bytes.

    Returns
    -------
    bool
        Whether the thread has begun.
    """
    cdef long state = NONE
    paths = [path for path, size in files if size >= LEAST_BYTES]
    if not paths:
        return False
    if ortmmap_count_replace(&_state, ENDED, BEGINNING):
        with nogil:
            ortmmap_thread_join(_thread)
    elif not ortmmap_count_replace(&_state, NONE, BEGINNING):
        return False
    try:
        list_files(paths)
        if _count:
            ortmmap_count_set(&_state, READING)
            state = READING if ortmmap_thread_start(&_thread, read_files) else NONE
    finally:
        if state == NONE:
            close_files()
            ortmmap_count_set(&_state, NONE)
    return state == READING


cdef int list_files(list paths) except -1:
    """Open the files that are to be read; none, if there is no room for them."""
    cdef uint64_t nbytes = 0
    cdef size_t index
    for path in paths:
        if _count < MOST_FILES:
            add_file(path)
    for index in range(_count):
        nbytes += _files[index].size
    if _count and not is_room(nbytes):
        close_files()
    return 0


cdef bint is_room(uint64_t nbytes) except -1:
    from ortmmap.runtime.memory_room import memory_room

    return 2 * nbytes <= memory_room()


cdef int add_file(path) except -1:
    global _count
    cdef int fd
    cdef uint64_t size
    cdef bint lacks
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except OSError:
        return 0   # whoever needs the file says so
    try:
        size = os.fstat(fd).st_size
        with nogil:
            lacks = ortmmap_page_cache_lacks(fd, size)
    except OSError:
        lacks = False
    if not lacks:
        os.close(fd)
        return 0
    _files[_count] = File(fd, size)
    _count += 1
    return 0


cdef void *read_files(void *unused) noexcept nogil:
    cdef size_t index
    for index in range(_count):
        ortmmap_page_cache_read(_files[index].fd, _files[index].size)
    hold_forks()   # a child knows which files are open
    close_files()
    ortmmap_count_set(&_state, ENDED)
    let_forks()
    return NULL


cdef void close_files() noexcept nogil:
    global _count
    cdef size_t index
    for index in range(_count):
        ortmmap_page_cache_close(_files[index].fd)
    _count = 0


def _forget():
    """Close the files in the child of a fork, which has no such thread."""
    close_files()
    ortmmap_count_set(&_state, NONE)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
