"""The arena that recorded sessions share: what their runs allocate comes from it.

ONNX Runtime hands out an arena as part of a session, and shrinks one only at the end of a run. So
the arena belongs to a session of a tiny model, which is kept, and run to shrink it.

The first session in a process takes milliseconds, in which ONNX Runtime registers its kernels. So
this one is created on a thread of its own, while the cache is read for the session that is opened.
"""

from libc.stdint cimport int64_t
from libc.stdlib cimport free

from ortmmap.process.malloc_grow cimport ortmmap_malloc_grow
from ortmmap.process.native_thread cimport (
    ortmmap_thread,
    ortmmap_thread_join,
    ortmmap_thread_start,
)
from ortmmap.runtime.library cimport (
    api,
    check,
    cpu_memory,
    enter_runtime,
    env,
    forks,
    hold_forks,
    intact_since,
    leave_runtime,
    let_forks,
)

# The smallest ONNX model whose session has an arena: one Identity node of one float.
cdef bytes MODEL = (
    b"\x08\x08:7\n\x10\n\x01x\x12\x01y\"\x08Identity\x12\x01g"
    b"Z\x0f\n\x01x\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01"
    b"b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\x11"
)
cdef const char *_model = MODEL
cdef size_t _model_size = len(MODEL)

# Written under the lock of prepack.start(), or by the thread while that is joinable. Constant after
# make_arena(), until it is called in the child of a fork.
cdef ort.OrtSession *_session = NULL
cdef ort.OrtRunOptions *_shrinking = NULL
cdef ort.OrtStatus *_status = NULL   # why there is no session

cdef ortmmap_thread _thread
cdef bint _is_joinable = False
cdef int _forks = 0   # the fork count of the process that began to create the session


cdef int begin_arena() except -1:
    """Begin to create the session, on a thread of its own if the system grants one.

    make_arena() or await_arena() must follow: the process must not end meanwhile.
    """
    global _is_joinable, _forks
    _forks = forks
    hold_forks()
    _is_joinable = ortmmap_thread_start(&_thread, _create_on_thread)
    if not _is_joinable:
        let_forks()
    return 0


cdef int await_arena() except -1:
    """Wait until a session that was begun is created, or has failed to be."""
    global _is_joinable
    # A fork waits for the thread, so a child has what it has made, but not the thread itself.
    if _is_joinable and _forks == forks:
        with nogil:
            ortmmap_thread_join(_thread)
    _is_joinable = False
    return 0


cdef ort.OrtAllocator *make_arena() except NULL:
    """Create the session unless it was begun, and return its arena; both live for ever."""
    global _shrinking, _session, _status, _forks
    cdef ort.OrtRunOptions *shrinking = NULL
    cdef ort.OrtAllocator *arena = NULL
    cdef ort.OrtStatus *status
    await_arena()
    if _forks < intact_since:
        _session, _status = NULL, NULL   # the parent's, which may be locked
    if _session == NULL and _status == NULL:
        with nogil:
            hold_forks()
            _create()
            let_forks()
    _forks, status, _status = forks, _status, NULL
    check(status)
    check(api.CreateAllocator(_session, cpu_memory, &arena))
    check(api.CreateRunOptions(&shrinking))
    check(api.AddRunConfigEntry(shrinking, b"memory.enable_memory_arena_shrinkage", b"cpu:0"))
    _shrinking = shrinking
    arena.Free(arena, arena.Alloc(arena, sizeof(float)))   # its first region, which never goes
    return arena


cdef void *_create_on_thread(void *unused) noexcept nogil:
    cdef void *end = ortmmap_malloc_grow()
    _create()
    free(end)
    let_forks()
    return NULL


cdef void _create() noexcept nogil:
    """Create the session, or set the status."""
    global _status
    cdef ort.OrtSessionOptions *options = NULL
    _status = api.CreateSessionOptions(&options)
    if _status == NULL:
        _status = api.SetIntraOpNumThreads(options, 1)
    if _status == NULL:
        # The optimizers' code would be read for nothing.
        _status = api.SetSessionGraphOptimizationLevel(options, ort.ORT_DISABLE_ALL)
    if _status == NULL:
        _status = api.CreateSessionFromArray(env, _model, _model_size, options, &_session)
    if options != NULL:
        api.ReleaseSessionOptions(options)


cdef int shrink_arena() except -1 nogil:
    """Free the arena's memory, but for what is in use and for its first region of 1 MiB."""
    cdef float number = 0
    cdef int64_t shape = 1
    cdef const char *input_name = b"x"
    cdef const char *output_name = b"y"
    cdef ort.OrtValue *fed = NULL
    cdef ort.OrtValue *fetched = NULL
    cdef ort.OrtStatus *status
    if _shrinking == NULL:
        return 0
    enter_runtime()
    status = api.CreateTensorWithDataAsOrtValue(
        cpu_memory, &number, sizeof(number), &shape, 1, ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
        &fed,
    )
    if status == NULL:
        status = api.Run(
            _session, _shrinking, &input_name, <const ort.OrtValue *const *>&fed, 1,
            &output_name, 1, &fetched,
        )
    if fetched != NULL:
        api.ReleaseValue(fetched)
    if fed != NULL:
        api.ReleaseValue(fed)
    leave_runtime()
    return check(status)
