"""The arena that recorded sessions share: what their runs allocate comes from it.

ONNX Runtime hands out an arena as part of a session, and shrinks one only at the end of a run. So
the arena belongs to a session of a tiny model, which is kept, and run to shrink it.
"""

from libc.stdint cimport int64_t

from ortmmap.runtime.library cimport api, check, cpu_memory, enter_runtime, env, leave_runtime

# The smallest ONNX model whose session has an arena: one Identity node of one float.
MODEL = (
    b"\x08\x08:7\n\x10\n\x01x\x12\x01y\"\x08Identity\x12\x01g"
    b"Z\x0f\n\x01x\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01"
    b"b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\x11"
)

# Set by make_arena(), and constant until the next call, in the child of a fork.
cdef ort.OrtSession *_session = NULL
cdef ort.OrtRunOptions *_shrinking = NULL


cdef ort.OrtAllocator *make_arena() except NULL:
    """Create the session and return its arena; both live until the process ends."""
    global _session, _shrinking
    cdef ort.OrtSessionOptions *options = NULL
    cdef ort.OrtSession *session = NULL
    cdef ort.OrtRunOptions *shrinking = NULL
    cdef ort.OrtAllocator *arena = NULL
    cdef bytes model = MODEL
    check(api.CreateSessionOptions(&options))
    try:
        check(api.SetIntraOpNumThreads(options, 1))
        # The optimizers' code would be read for nothing.
        check(api.SetSessionGraphOptimizationLevel(options, ort.ORT_DISABLE_ALL))
        check(api.CreateSessionFromArray(env, <char *>model, len(model), options, &session))
    finally:
        api.ReleaseSessionOptions(options)
    check(api.CreateAllocator(session, cpu_memory, &arena))
    check(api.CreateRunOptions(&shrinking))
    check(api.AddRunConfigEntry(shrinking, b"memory.enable_memory_arena_shrinkage", b"cpu:0"))
    _session, _shrinking = session, shrinking
    shrink_arena()   # its first region, which never goes, shall be that of one float
    return arena


cdef int shrink_arena() except -1 nogil:
    """Free the arena's memory, but for what is in use and for its first region of 1 MiB."""
    cdef float number = 0
    cdef int64_t shape = 1
    cdef const char *input_name = b"x"
    cdef const char *output_name = b"y"
    cdef ort.OrtValue *fed = NULL
    cdef ort.OrtValue *fetched = NULL
    cdef ort.OrtStatus *status
    if _session == NULL:
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
