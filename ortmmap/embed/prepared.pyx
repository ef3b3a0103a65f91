"""Prepared: inputs and outputs bound once, for many runs.

Nothing here touches a reference count or takes the interpreter lock, but release_prepared(), which
releases the session.
"""

from libc.stdlib cimport calloc, free

from ortmmap.abi.capi cimport (
    ORTMMAP_BUSY,
    ORTMMAP_INVALID_ARGUMENT,
    ORTMMAP_OK,
    ORTMMAP_OUT_OF_MEMORY,
)
from ortmmap.embed.arguments cimport (
    Arguments,
    bind_arguments,
    check_lists,
    release_arguments,
)
from ortmmap.embed.errors cimport fail, fail_status, succeed
from ortmmap.embed.handle cimport Handle, check, end_run, enter, leave
from ortmmap.embed.lifetime cimport release, retain
from ortmmap.process.guard cimport ortmmap_count, ortmmap_count_set
from ortmmap.runtime.library cimport (
    api,
    default_run_options,
    enter_runtime,
    intact_since,
    leave_runtime,
)
from ortmmap.session.open_session cimport OpenSession

cdef struct Prepared:
    # The struct behind an ortmmap_prepared.
    Handle *handle             # retained once it is handed out
    ortmmap_count busy         # 1 while a thread runs it
    ort.OrtIoBinding *binding  # owns the values


cdef int prepare(
    ortmmap_session *session,
    const ortmmap_input *inputs,
    size_t input_count,
    const ortmmap_output *outputs,
    size_t output_count,
    ortmmap_prepared **prepared,
    ortmmap_error *error,
) noexcept nogil:
    cdef Handle *handle = <Handle *>session
    cdef Prepared *made
    cdef Arguments arguments
    cdef int code
    if prepared == NULL:
        return fail(error, ORTMMAP_INVALID_ARGUMENT, b"prepared is NULL")
    prepared[0] = NULL
    code = check_lists(session, inputs, input_count, outputs, output_count, error)
    if code == ORTMMAP_OK:
        code = check(session, error)
    if code != ORTMMAP_OK:
        return code
    made = <Prepared *>calloc(1, sizeof(Prepared))
    if made == NULL:
        return fail(error, ORTMMAP_OUT_OF_MEMORY, b"no memory for a prepared run")
    made.handle = handle
    code = bind_arguments(
        &arguments, handle, inputs, input_count, outputs, output_count, False, error
    )
    if code == ORTMMAP_OK:
        code = make_binding(made, &arguments, error)
    release_arguments(&arguments)
    if code != ORTMMAP_OK:
        unbind(made)
        return code
    retain(session)
    prepared[0] = <ortmmap_prepared *>made
    return succeed(error)


cdef int make_binding(
    Prepared *made, const Arguments *arguments, ortmmap_error *error
) noexcept nogil:
    cdef size_t index
    cdef const char *name
    cdef ort.OrtValue *value
    cdef ort.OrtStatus *status
    enter_runtime()
    status = api.CreateIoBinding(made.handle.session, &made.binding)
    for index in range(arguments.inputs + arguments.outputs):
        if status != NULL:
            break
        name, value = arguments.names[index], arguments.values[index]
        if index < arguments.inputs:
            status = api.BindInput(made.binding, name, value)
        else:
            status = api.BindOutput(made.binding, name, value)
    leave_runtime()
    return ORTMMAP_OK if status == NULL else fail_status(error, status)


cdef int run_prepared(
    ortmmap_prepared *prepared, const ort.OrtRunOptions *options, ortmmap_error *error
) noexcept nogil:
    cdef Prepared *bound = <Prepared *>prepared
    cdef int code
    if bound == NULL:
        return fail(error, ORTMMAP_INVALID_ARGUMENT, b"prepared is NULL")
    code = enter(bound.handle, error)
    if code != ORTMMAP_OK:
        return code
    if ortmmap_count_set(&bound.busy, 1):
        leave(bound.handle, NULL)
        return fail(error, ORTMMAP_BUSY, b"another thread is running this; threads need one each")
    code = end_run(bound.handle, api.RunWithBinding(
        bound.handle.session,
        default_run_options if options == NULL else options,
        bound.binding,
    ), error)
    ortmmap_count_set(&bound.busy, 0)
    return succeed(error) if code == ORTMMAP_OK else code


cdef void release_prepared(ortmmap_prepared *prepared) noexcept nogil:
    cdef ortmmap_session *session
    if prepared == NULL:
        return
    session = <ortmmap_session *>(<Prepared *>prepared).handle
    unbind(<Prepared *>prepared)
    release(session)


cdef void unbind(Prepared *prepared) noexcept nogil:
    """Free a prepared run, but no binding that was made before a fork that was not clean."""
    enter_runtime()
    if prepared.binding != NULL and (<OpenSession>prepared.handle.open).forks >= intact_since:
        api.ReleaseIoBinding(prepared.binding)
    leave_runtime()
    free(prepared)
