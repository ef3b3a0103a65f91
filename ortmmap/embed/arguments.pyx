"""Arguments: the inputs and outputs of a run, checked, as values over the caller's memory.

Nothing here touches a reference count or takes the interpreter lock.
"""

from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport strcmp

from ortmmap.abi.capi cimport (
    ORTMMAP_INVALID_ARGUMENT,
    ORTMMAP_KIND_TENSOR,
    ORTMMAP_NOT_SUPPORTED,
    ORTMMAP_OK,
    ORTMMAP_OUT_OF_MEMORY,
    ORTMMAP_STRING,
)
from ortmmap.embed.errors cimport fail, fail_argument, fail_status
from ortmmap.runtime.library cimport api
from ortmmap.values.native_tensor cimport nbytes_of, tensor_over

cdef struct Tensor:
    # The members that ortmmap_input and ortmmap_output have in common.
    const char *kind          # "input" or "output"
    size_t index
    const char *name
    const void *data
    size_t size
    const int64_t *shape
    size_t rank
    int element_type


cdef int check_lists(
    const ortmmap_session *session,
    const ortmmap_input *inputs,
    size_t input_count,
    const ortmmap_output *outputs,
    size_t output_count,
    ortmmap_error *error,
) noexcept nogil:
    """Check the arguments of a run, but not the elements of the lists."""
    cdef const Handle *handle = <const Handle *>session
    if handle == NULL:
        return fail(error, ORTMMAP_INVALID_ARGUMENT, b"session is NULL")
    if inputs == NULL and input_count:
        return fail(error, ORTMMAP_INVALID_ARGUMENT, b"inputs is NULL, and its number is not 0")
    if outputs == NULL or output_count == 0:
        return fail(error, ORTMMAP_INVALID_ARGUMENT, b"expected an output or more, found none")
    if input_count > handle.input_count + handle.initializer_count:
        return fail(error, ORTMMAP_INVALID_ARGUMENT, b"more inputs than the model has")
    if output_count > handle.output_count:
        return fail(error, ORTMMAP_INVALID_ARGUMENT, b"more outputs than the model has")
    return ORTMMAP_OK


cdef int bind_arguments(
    Arguments *arguments,
    const Handle *handle,
    const ortmmap_input *inputs,
    size_t input_count,
    const ortmmap_output *outputs,
    size_t output_count,
    bint allocate,
    ortmmap_error *error,
) noexcept nogil:
    """Make the values of a run; release_arguments() comes after it, also if it fails.

    If `allocate`, outputs without data are left to ONNX Runtime.
    """
    cdef int code = reserve(arguments, input_count, output_count, error)
    if code == ORTMMAP_OK:
        code = bind_inputs(arguments, handle, inputs, error)
    if code == ORTMMAP_OK:
        code = bind_outputs(arguments, handle, outputs, allocate, error)
    return code


cdef int reserve(
    Arguments *arguments, size_t inputs, size_t outputs, ortmmap_error *error
) noexcept nogil:
    """Make room for names, infos and values; values are NULL."""
    cdef size_t count = inputs + outputs
    cdef size_t index
    cdef void **room = arguments.room
    arguments.allocated = NULL
    arguments.inputs, arguments.outputs = inputs, outputs
    if 3 * count > INLINE:
        room = arguments.allocated = <void **>calloc(3 * count, sizeof(void *))
        if room == NULL:
            arguments.inputs = arguments.outputs = 0
            return fail(error, ORTMMAP_OUT_OF_MEMORY, b"no memory for a run's arguments")
    arguments.names = <const char **>room
    arguments.infos = <InfoPointer *>(room + count)
    arguments.values = <ort.OrtValue **>(room + 2 * count)
    for index in range(count):
        arguments.values[index] = NULL
    return ORTMMAP_OK


cdef void release_arguments(Arguments *arguments) noexcept nogil:
    cdef size_t index
    for index in range(arguments.inputs + arguments.outputs):
        if arguments.values[index] != NULL:
            api.ReleaseValue(arguments.values[index])
    free(arguments.allocated)


cdef int bind_inputs(
    Arguments *arguments, const Handle *handle, const ortmmap_input *inputs, ortmmap_error *error
) noexcept nogil:
    cdef const ortmmap_input *input_
    cdef InfoPointer info
    cdef Tensor tensor
    cdef size_t index
    cdef int code
    for index in range(arguments.inputs):
        input_ = &inputs[index]
        info = find(handle.inputs, handle.input_count, input_.name, index)
        if info == NULL and input_.name != NULL:
            info = find(handle.initializers, handle.initializer_count, input_.name, index)
        tensor = Tensor(
            b"input", index, input_.name, input_.data, input_.size, input_.shape, input_.rank,
            input_.element_type,
        )
        code = bind(arguments, index, info, &tensor, handle.input_count, error)
        if code != ORTMMAP_OK:
            return code
    return check_distinct(arguments, 0, arguments.inputs, b"input", error)


cdef int bind_outputs(
    Arguments *arguments, const Handle *handle, const ortmmap_output *outputs, bint allocate,
    ortmmap_error *error,
) noexcept nogil:
    cdef const ortmmap_output *output
    cdef InfoPointer info
    cdef Tensor tensor
    cdef size_t index, slot
    cdef int code
    for index in range(arguments.outputs):
        output = &outputs[index]
        slot = arguments.inputs + index
        info = find(handle.outputs, handle.output_count, output.name, index)
        tensor = Tensor(
            b"output", index, output.name, output.data, output.size, output.shape, output.rank,
            output.element_type,
        )
        if output.owner != NULL:
            return fail_tensor(
                error, ORTMMAP_INVALID_ARGUMENT, &tensor, info,
                b"holds a result: call release_outputs() first", 0, 0,
            )
        if allocate and output.data == NULL:
            code = set_name(arguments, slot, info, &tensor, handle.output_count, error)
        else:
            code = bind(arguments, slot, info, &tensor, handle.output_count, error)
        if code != ORTMMAP_OK:
            return code
    return check_distinct(arguments, arguments.inputs, arguments.outputs, b"output", error)


cdef InfoPointer find(
    const ortmmap_value_info *infos, size_t count, const char *name, size_t position
) noexcept nogil:
    """Find an info by its name, looking at this position first; if `name` is NULL, by position."""
    cdef size_t index
    if name == NULL:
        return &infos[position] if position < count else NULL
    if position < count and strcmp(infos[position].name, name) == 0:
        return &infos[position]
    for index in range(count):
        if strcmp(infos[index].name, name) == 0:
            return &infos[index]
    return NULL


cdef int set_name(
    Arguments *arguments, size_t slot, InfoPointer info, const Tensor *tensor, size_t count,
    ortmmap_error *error,
) noexcept nogil:
    """Set the name at `slot`, if a plain pointer can stand for such a value."""
    if info == NULL:
        return fail_tensor(
            error, ORTMMAP_INVALID_ARGUMENT, tensor, info,
            b"the model has no such one; it has %lld", count, 0,
        )
    if info.kind != ORTMMAP_KIND_TENSOR or info.element_type == ORTMMAP_STRING:
        return fail_tensor(
            error, ORTMMAP_NOT_SUPPORTED, tensor, info,
            b"strings, and what is no tensor, go by ONNX Runtime's own C API", 0, 0,
        )
    arguments.names[slot], arguments.infos[slot] = info.name, info
    return ORTMMAP_OK


cdef int bind(
    Arguments *arguments, size_t slot, InfoPointer info, const Tensor *tensor, size_t count,
    ortmmap_error *error,
) noexcept nogil:
    """Set the name at `slot`, and make its value over the caller's memory."""
    cdef ort.OrtStatus *status
    cdef int64_t needed
    cdef int code = set_name(arguments, slot, info, tensor, count, error)
    if code != ORTMMAP_OK:
        return code
    if tensor.element_type != info.element_type:
        return fail_tensor(
            error, ORTMMAP_INVALID_ARGUMENT, tensor, info,
            b"expected element type %lld, found %lld", info.element_type, tensor.element_type,
        )
    if tensor.shape == NULL and tensor.rank:
        return fail_tensor(
            error, ORTMMAP_INVALID_ARGUMENT, tensor, info,
            b"expected a shape of %lld sizes, found NULL", tensor.rank, 0,
        )
    needed = nbytes_of(tensor.shape, tensor.rank, tensor.element_type)
    if needed < 0:
        return fail_tensor(
            error, ORTMMAP_INVALID_ARGUMENT, tensor, info,
            b"a size in its shape is negative, or the shape is too large", 0, 0,
        )
    if needed and tensor.data == NULL:
        return fail_tensor(
            error, ORTMMAP_INVALID_ARGUMENT, tensor, info,
            b"expected %lld bytes of data, found NULL", needed, 0,
        )
    if <size_t>needed > tensor.size:
        return fail_tensor(
            error, ORTMMAP_INVALID_ARGUMENT, tensor, info,
            b"expected %lld bytes of data, found %lld", needed, <long long>tensor.size,
        )
    status = tensor_over(
        <void *>tensor.data, needed, tensor.shape, tensor.rank, tensor.element_type,
        &arguments.values[slot],
    )
    return ORTMMAP_OK if status == NULL else fail_status(error, status)


cdef int check_distinct(
    const Arguments *arguments, size_t first, size_t count, const char *kind, ortmmap_error *error
) noexcept nogil:
    """Refuse an input or output that is named twice: ONNX Runtime would use one of them."""
    cdef size_t index, earlier
    for index in range(first + 1, first + count):
        for earlier in range(first, index):
            if arguments.infos[index] == arguments.infos[earlier]:
                return fail_argument(
                    error, ORTMMAP_INVALID_ARGUMENT, kind, index - first, arguments.names[index],
                    b"is the same one as %lld", earlier - first, 0,
                )
    return ORTMMAP_OK


cdef int fail_tensor(
    ortmmap_error *error, int code, const Tensor *tensor, InfoPointer info, const char *text,
    long long expected, long long found,
) noexcept nogil:
    """Write the error of an input or output, by the model's name of it if there is one."""
    cdef const char *name = tensor.name if info == NULL else info.name
    return fail_argument(error, code, tensor.kind, tensor.index, name, text, expected, found)
