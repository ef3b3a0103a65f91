"""Runs of a session from plain pointers; outputs in ONNX Runtime's memory.

Nothing here touches a reference count or takes the interpreter lock.
"""

from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from ortmmap.abi.capi cimport ORTMMAP_OK, ORTMMAP_OUT_OF_MEMORY
from ortmmap.embed.arguments cimport (
    Arguments,
    bind_arguments,
    check_lists,
    release_arguments,
)
from ortmmap.embed.errors cimport fail, fail_status, succeed
from ortmmap.embed.handle cimport Handle, end_run, enter
from ortmmap.runtime.library cimport (
    api,
    default_run_options,
    enter_runtime,
    forks,
    intact_since,
    leave_runtime,
    newer_api,
)
from ortmmap.values.native_tensor cimport (
    Layout,
    allocated_tensor,
    copy_layout,
    lies_in,
    nbytes_of,
    read_layout,
)


cdef int run(
    ortmmap_session *session,
    const ortmmap_input *inputs,
    size_t input_count,
    ortmmap_output *outputs,
    size_t output_count,
    const ort.OrtRunOptions *options,
    ortmmap_error *error,
) noexcept nogil:
    cdef const Handle *handle = <const Handle *>session
    cdef Arguments arguments
    cdef int code = check_lists(session, inputs, input_count, outputs, output_count, error)
    if code != ORTMMAP_OK:
        return code
    code = bind_arguments(
        &arguments, handle, inputs, input_count, outputs, output_count, True, error
    )
    if code == ORTMMAP_OK:
        code = execute(&arguments, handle, options, error)
    enter_runtime()
    if code == ORTMMAP_OK:
        code = set_outputs(&arguments, inputs, outputs, error)
    release_arguments(&arguments)
    leave_runtime()
    return succeed(error) if code == ORTMMAP_OK else code


cdef int execute(
    Arguments *arguments, const Handle *handle, const ort.OrtRunOptions *options,
    ortmmap_error *error,
) noexcept nogil:
    cdef int code = enter(handle, error)
    if code != ORTMMAP_OK:
        return code
    return end_run(handle, api.Run(
        handle.session,
        default_run_options if options == NULL else options,
        arguments.names,
        <const ort.OrtValue *const *>arguments.values,
        arguments.inputs,
        arguments.names + arguments.inputs,
        arguments.outputs,
        arguments.values + arguments.inputs,
    ), error)


# --- outputs in ONNX Runtime's memory ---

cdef int set_outputs(
    Arguments *arguments, const ortmmap_input *inputs, ortmmap_output *outputs,
    ortmmap_error *error,
) noexcept nogil:
    """Hand the outputs that ONNX Runtime allocated to the caller: all of them, or none."""
    cdef size_t index
    cdef int code
    for index in range(arguments.outputs):
        if outputs[index].data != NULL:
            continue
        code = set_output(arguments, index, inputs, &outputs[index], error)
        if code != ORTMMAP_OK:
            release_outputs(outputs, index)
            return code
    return ORTMMAP_OK


cdef int set_output(
    Arguments *arguments, size_t index, const ortmmap_input *inputs, ortmmap_output *output,
    ortmmap_error *error,
) noexcept nogil:
    """Hand an output to the caller, as a copy if it lies in an input's memory."""
    cdef ort.OrtValue **value = &arguments.values[arguments.inputs + index]
    cdef ortmmap_output made = output[0]
    cdef int code = describe(value[0], &made, error)
    if code == ORTMMAP_OK and is_input(&made, inputs, arguments.inputs):
        code = copy(value, &made, error)
    if code != ORTMMAP_OK:
        free_shape(&made)
        return code
    made.owner, made.process = value[0], forks
    value[0] = NULL
    output[0] = made
    return ORTMMAP_OK


cdef int describe(
    ort.OrtValue *value, ortmmap_output *output, ortmmap_error *error
) noexcept nogil:
    """Set the data, size and layout of an output; free_shape() comes after it, also if it fails."""
    cdef Layout layout
    cdef ort.OrtStatus *status
    output.shape, output.rank = NULL, 0
    status = read_layout(value, &layout)
    if status == NULL:
        status = api.GetTensorMutableData(value, &output.data)
    if status == NULL:
        output.element_type, output.rank = layout.element_type, layout.rank
        output.shape = layout.shape
        if newer_api.GetTensorElementTypeAndShapeDataReference == NULL:
            status = own_shape(value, &layout, output)
    if status != NULL:
        return fail_status(error, status)
    if output.rank and output.shape == NULL:
        return fail(error, ORTMMAP_OUT_OF_MEMORY, b"no memory for the shape of an output")
    output.size = nbytes_of(output.shape, output.rank, output.element_type)
    return ORTMMAP_OK


cdef ort.OrtStatus *own_shape(
    ort.OrtValue *value, Layout *layout, ortmmap_output *output
) noexcept nogil:
    """Copy the shape, which is the value's own from version 24 of the API on; NULL: no memory."""
    cdef int64_t *shape = NULL
    if layout.rank:
        shape = <int64_t *>malloc(layout.rank * sizeof(int64_t))
    output.shape = shape
    if shape == NULL:
        return NULL
    if layout.shape == NULL:   # it has more sizes than a Layout
        return copy_layout(value, layout, shape, layout.rank)
    memcpy(shape, layout.shape, layout.rank * sizeof(int64_t))
    return NULL


cdef inline void free_shape(ortmmap_output *output) noexcept nogil:
    if newer_api.GetTensorElementTypeAndShapeDataReference == NULL:
        free(<void *>output.shape)
    output.shape = NULL


cdef bint is_input(
    const ortmmap_output *output, const ortmmap_input *inputs, size_t count
) noexcept nogil:
    """Whether an output lies in an input's memory: a model may hand an input through."""
    cdef size_t index
    for index in range(count):
        if lies_in(output.data, inputs[index].data, inputs[index].size):
            return True
    return False


cdef int copy(
    ort.OrtValue **value, ortmmap_output *output, ortmmap_error *error
) noexcept nogil:
    """Replace an output by a copy in ONNX Runtime's memory."""
    cdef ort.OrtValue *made = NULL
    cdef ortmmap_output copied = output[0]
    cdef int code
    cdef ort.OrtStatus *status = allocated_tensor(
        output.shape, output.rank, output.element_type, &made
    )
    if status != NULL:
        return fail_status(error, status)
    code = describe(made, &copied, error)
    if code != ORTMMAP_OK:
        free_shape(&copied)
        api.ReleaseValue(made)
        return code
    memcpy(copied.data, output.data, output.size)
    free_shape(output)
    api.ReleaseValue(value[0])
    value[0], output[0] = made, copied
    return ORTMMAP_OK


cdef void release_outputs(ortmmap_output *outputs, size_t count) noexcept nogil:
    """Free the outputs that ONNX Runtime allocated, if no fork since then was unclean."""
    cdef size_t index
    if outputs == NULL:
        return
    enter_runtime()
    for index in range(count):
        if outputs[index].owner == NULL:
            continue
        if outputs[index].process >= intact_since:
            free_shape(&outputs[index])
            api.ReleaseValue(<ort.OrtValue *>outputs[index].owner)
        outputs[index].owner = outputs[index].data = NULL
        outputs[index].size = outputs[index].rank = 0
    leave_runtime()
