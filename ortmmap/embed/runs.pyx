"""The C API's part that needs no interpreter: runs, from plain pointers.

Nothing here touches a reference count or takes the interpreter lock.
"""

from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, strcmp

from ortmmap.embed.errors cimport fail, fail_argument, fail_file, fail_status, succeed
from ortmmap.session.open_session cimport CHANGED, FORKED, USABLE, OpenSession, Use
from ortmmap.runtime.library cimport (
    allocator,
    api,
    cpu_memory,
    default_run_options,
    forks,
    newer_api,
)
from ortmmap.values.element_types cimport bits_of
from ortmmap.process.guard cimport ortmmap_count_add, ortmmap_count_set
from ortmmap.abi.capi cimport (
    ORTMMAP_BUSY,
    ORTMMAP_CLOSED,
    ORTMMAP_FORKED,
    ORTMMAP_INVALID_ARGUMENT,
    ORTMMAP_KIND_TENSOR,
    ORTMMAP_MODEL_CHANGED,
    ORTMMAP_NOT_SUPPORTED,
    ORTMMAP_OK,
    ORTMMAP_OUT_OF_MEMORY,
    ORTMMAP_STRING,
)
from ortmmap.abi.mapping cimport (
    ORTMMAP_MAPPING_OK,
    ortmmap_file_identity,
    ortmmap_file_identity_get,
    ortmmap_mapping_error,
)

cdef enum:
    INLINE = 72    # pointers that a call holds without allocating: 24 inputs and outputs

cdef size_t MOST_ELEMENTS = <size_t>1 << 48

ctypedef const ortmmap_value_info *InfoPointer

cdef struct Call:
    # The arguments of one run: inputs, then outputs.
    const char **names
    ort.OrtValue **values
    InfoPointer *infos
    size_t inputs, outputs
    void **allocated          # NULL: `room` is enough
    void *room[INLINE]

cdef struct Prepared:
    # What an ortmmap_prepared is.
    Handle *handle             # retained
    ortmmap_count busy         # a thread is running it
    ort.OrtIoBinding *binding  # which owns the values

cdef struct Tensor:
    # What ortmmap_input and ortmmap_output have in common.
    const char *kind
    size_t index
    const char *name
    const void *data
    size_t size
    const int64_t *shape
    size_t rank
    int element_type


# --- whether a session may be used ---

cdef inline int enter(const Handle *handle, ortmmap_error *error) noexcept nogil:
    """Begin to use ONNX Runtime's session."""
    cdef Use use = (<OpenSession>handle.open).enter()
    return ORTMMAP_OK if use == USABLE else fail_use(handle, use, error)


cdef inline int leave(const Handle *handle, ortmmap_error *error) noexcept nogil:
    """End to use ONNX Runtime's session."""
    cdef Use use = (<OpenSession>handle.open).leave()
    return ORTMMAP_OK if use == USABLE else fail_use(handle, use, error)


cdef int fail_use(const Handle *handle, Use use, ortmmap_error *error) noexcept nogil:
    """Say why a session may not be used."""
    if use == FORKED:
        return fail(
            error, ORTMMAP_FORKED,
            b"the handle was made before a fork, and belongs to the parent process",
        )
    if use == CHANGED:
        return fail_changed(handle, error)
    return fail(error, ORTMMAP_CLOSED, b"the session is closed")


cdef int fail_changed(const Handle *handle, ortmmap_error *error) noexcept nogil:
    """Name the file that is shorter than it was, as Model.gone() does."""
    cdef const SourceFile *file
    cdef ortmmap_file_identity now
    cdef ortmmap_mapping_error ignored
    cdef size_t index
    for index in range(handle.file_count):
        file = &handle.files[index]
        if ortmmap_file_identity_get(file.path, &now, &ignored) != ORTMMAP_MAPPING_OK:
            continue
        if now.size < file.size:
            return fail_file(
                error, ORTMMAP_MODEL_CHANGED, file.name,
                b"was truncated while it was in use: expected %llu bytes, found %llu",
                file.size, now.size,
            )
    return fail_file(
        error, ORTMMAP_MODEL_CHANGED, handle.model,
        b"it, or what the cache keeps of it, could not be read while it was in use", 0, 0,
    )


cdef int check(const ortmmap_session *session, ortmmap_error *error) noexcept nogil:
    cdef const Handle *handle = <const Handle *>session
    cdef int code
    if handle == NULL:
        return fail(error, ORTMMAP_INVALID_ARGUMENT, b"session is NULL")
    code = enter(handle, error)
    if code == ORTMMAP_OK:
        code = leave(handle, error)
    return succeed(error) if code == ORTMMAP_OK else code


# --- arguments ---

cdef int reserve(
    Call *call, size_t inputs, size_t outputs, ortmmap_error *error
) noexcept nogil:
    cdef size_t count = inputs + outputs
    cdef size_t index
    cdef void **room = call.room
    call.allocated = NULL
    call.inputs, call.outputs = inputs, outputs
    if 3 * count > INLINE:
        room = call.allocated = <void **>calloc(3 * count, sizeof(void *))
        if room == NULL:
            call.inputs = call.outputs = 0
            return fail(error, ORTMMAP_OUT_OF_MEMORY, b"no memory for a run's arguments")
    call.names = <const char **>room
    call.infos = <InfoPointer *>(room + count)
    call.values = <ort.OrtValue **>(room + 2 * count)
    for index in range(count):
        call.values[index] = NULL
    return ORTMMAP_OK


cdef void release(Call *call) noexcept nogil:
    cdef size_t index
    for index in range(call.inputs + call.outputs):
        if call.values[index] != NULL:
            api.ReleaseValue(call.values[index])
    free(call.allocated)


cdef InfoPointer find(
    const ortmmap_value_info *infos, size_t count, const char *name, size_t position
) noexcept nogil:
    """Find by name, most likely at this position, or without a name by position."""
    cdef size_t index
    if name == NULL:
        return &infos[position] if position < count else NULL
    if position < count and strcmp(infos[position].name, name) == 0:
        return &infos[position]
    for index in range(count):
        if strcmp(infos[index].name, name) == 0:
            return &infos[index]
    return NULL


cdef int bind_inputs(
    Call *call, const Handle *handle, const ortmmap_input *inputs, ortmmap_error *error
) noexcept nogil:
    cdef const ortmmap_input *input_
    cdef InfoPointer info
    cdef Tensor tensor
    cdef size_t index
    cdef int code
    for index in range(call.inputs):
        input_ = &inputs[index]
        info = find(handle.inputs, handle.input_count, input_.name, index)
        if info == NULL and input_.name != NULL:
            info = find(handle.initializers, handle.initializer_count, input_.name, index)
        tensor = Tensor(
            b"input", index, input_.name, input_.data, input_.size, input_.shape, input_.rank,
            input_.element_type,
        )
        code = bind(call, index, info, &tensor, handle.input_count, error)
        if code != ORTMMAP_OK:
            return code
    return check_distinct(call, 0, call.inputs, b"input", error)


cdef int bind_outputs(
    Call *call, const Handle *handle, const ortmmap_output *outputs, bint allocate,
    ortmmap_error *error,
) noexcept nogil:
    """Bind outputs; where `allocate`, those without data are left to ONNX Runtime."""
    cdef const ortmmap_output *output
    cdef InfoPointer info
    cdef Tensor tensor
    cdef size_t index
    cdef int code
    for index in range(call.outputs):
        output = &outputs[index]
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
            code = name_argument(call, call.inputs + index, info, &tensor, handle.output_count,
                                 error)
        else:
            code = bind(call, call.inputs + index, info, &tensor, handle.output_count, error)
        if code != ORTMMAP_OK:
            return code
    return check_distinct(call, call.inputs, call.outputs, b"output", error)


cdef int fail_tensor(
    ortmmap_error *error, int code, const Tensor *tensor, InfoPointer info, const char *text,
    long long expected, long long found,
) noexcept nogil:
    cdef const char *name = tensor.name if info == NULL else info.name
    return fail_argument(error, code, tensor.kind, tensor.index, name, text, expected, found)


cdef int name_argument(
    Call *call, size_t slot, InfoPointer info, const Tensor *tensor, size_t count,
    ortmmap_error *error,
) noexcept nogil:
    """Set the name at `slot`, where plain pointers can stand for such a value."""
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
    call.names[slot], call.infos[slot] = info.name, info
    return ORTMMAP_OK


cdef int bind(
    Call *call, size_t slot, InfoPointer info, const Tensor *tensor, size_t count,
    ortmmap_error *error,
) noexcept nogil:
    """Make the value at `slot`, over the caller's memory."""
    cdef ort.OrtStatus *status
    cdef long long needed
    cdef int code = name_argument(call, slot, info, tensor, count, error)
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
    needed = size_of(tensor.shape, tensor.rank, tensor.element_type)
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
    status = api.CreateTensorWithDataAsOrtValue(
        cpu_memory,
        <void *>tensor.data,
        needed,
        tensor.shape,
        tensor.rank,
        <ort.ONNXTensorElementDataType>tensor.element_type,
        &call.values[slot],
    )
    return ORTMMAP_OK if status == NULL else fail_status(error, status)


cdef long long size_of(const int64_t *shape, size_t rank, int element_type) noexcept nogil:
    """Give the bytes of a tensor; -1 where the shape is not one."""
    cdef size_t count = 1
    cdef size_t index
    for index in range(rank):
        if shape[index] < 0 or (shape[index] > 0 and count > MOST_ELEMENTS // <size_t>shape[index]):
            return -1
        count *= <size_t>shape[index]
    return (count * bits_of(element_type) + 7) // 8


cdef int check_distinct(
    const Call *call, size_t first, size_t count, const char *kind, ortmmap_error *error
) noexcept nogil:
    """Refuse an input or output that is named twice: ONNX Runtime would use one of them."""
    cdef size_t index, earlier
    for index in range(first + 1, first + count):
        for earlier in range(first, index):
            if call.infos[index] == call.infos[earlier]:
                return fail_argument(
                    error, ORTMMAP_INVALID_ARGUMENT, kind, index - first, call.names[index],
                    b"is the same one as %lld", earlier - first, 0,
                )
    return ORTMMAP_OK


# --- running ---

cdef int check_lists(
    const ortmmap_session *session,
    const ortmmap_input *inputs,
    size_t input_count,
    const ortmmap_output *outputs,
    size_t output_count,
    ortmmap_error *error,
) noexcept nogil:
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
    cdef Call call
    cdef int code = check_lists(session, inputs, input_count, outputs, output_count, error)
    if code != ORTMMAP_OK:
        return code
    code = reserve(&call, input_count, output_count, error)
    if code == ORTMMAP_OK:
        code = bind_inputs(&call, handle, inputs, error)
    if code == ORTMMAP_OK:
        code = bind_outputs(&call, handle, outputs, True, error)
    if code == ORTMMAP_OK:
        code = execute(&call, handle, options, error)
    if code == ORTMMAP_OK:
        code = give_outputs(&call, inputs, outputs, error)
    release(&call)
    return succeed(error) if code == ORTMMAP_OK else code


cdef int execute(
    Call *call, const Handle *handle, const ort.OrtRunOptions *options, ortmmap_error *error
) noexcept nogil:
    cdef int code = enter(handle, error)
    if code != ORTMMAP_OK:
        return code
    return finish(handle, api.Run(
        handle.session,
        default_run_options if options == NULL else options,
        call.names,
        <const ort.OrtValue *const *>call.values,
        call.inputs,
        call.names + call.inputs,
        call.outputs,
        call.values + call.inputs,
    ), error)


cdef inline int finish(
    const Handle *handle, ort.OrtStatus *status, ortmmap_error *error
) noexcept nogil:
    """Leave, and say how the run went."""
    cdef int code = ORTMMAP_OK if status == NULL else fail_status(error, status)
    cdef int left = leave(handle, error)   # whose text stands: it is why, if both failed
    return code if left == ORTMMAP_OK else left


# --- outputs of ONNX Runtime's memory ---

cdef int give_outputs(
    Call *call, const ortmmap_input *inputs, ortmmap_output *outputs, ortmmap_error *error
) noexcept nogil:
    """Hand what ONNX Runtime allocated to the caller: all of it, or none."""
    cdef size_t index
    cdef int code
    for index in range(call.outputs):
        if outputs[index].data != NULL:
            continue
        code = give(call, index, inputs, &outputs[index], error)
        if code != ORTMMAP_OK:
            release_outputs(outputs, index)
            return code
    return ORTMMAP_OK


cdef int give(
    Call *call, size_t index, const ortmmap_input *inputs, ortmmap_output *output,
    ortmmap_error *error,
) noexcept nogil:
    cdef ort.OrtValue **value = &call.values[call.inputs + index]
    cdef ortmmap_output made = output[0]
    cdef int code = describe(value[0], &made, error)
    if code == ORTMMAP_OK and is_fed(&made, inputs, call.inputs):
        code = copy(value, &made, error)
    if code != ORTMMAP_OK:
        forget_shape(&made)
        return code
    made.owner, made.process = value[0], forks
    value[0] = NULL
    output[0] = made
    return ORTMMAP_OK


cdef int describe(
    ort.OrtValue *value, ortmmap_output *output, ortmmap_error *error
) noexcept nogil:
    """Say where a tensor's elements are, and how many; the shape is the value's own, or owned."""
    cdef ort.ONNXTensorElementDataType element_type = ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED
    cdef ort.OrtStatus *status
    output.shape, output.rank = NULL, 0
    if newer_api.GetTensorElementTypeAndShapeDataReference != NULL:
        status = newer_api.GetTensorElementTypeAndShapeDataReference(
            value, &element_type, &output.shape, &output.rank
        )
    else:
        status = copy_shape(value, &element_type, output)
    if status == NULL:
        status = api.GetTensorMutableData(value, &output.data)
    if status != NULL:
        return fail_status(error, status)
    output.element_type = element_type
    if output.rank and output.shape == NULL:
        return fail(error, ORTMMAP_OUT_OF_MEMORY, b"no memory for the shape of an output")
    output.size = size_of(output.shape, output.rank, element_type)
    return ORTMMAP_OK


cdef ort.OrtStatus *copy_shape(
    ort.OrtValue *value, ort.ONNXTensorElementDataType *element_type, ortmmap_output *output
) noexcept nogil:
    """Do what version 24 of the API does, with a shape that the output owns; NULL: no memory."""
    cdef ort.OrtTensorTypeAndShapeInfo *info = NULL
    cdef int64_t *shape
    cdef ort.OrtStatus *status = api.GetTensorTypeAndShape(value, &info)
    if status != NULL:
        return status
    status = api.GetTensorElementType(info, element_type)
    if status == NULL:
        status = api.GetDimensionsCount(info, &output.rank)
    if status == NULL and output.rank:
        output.shape = shape = <int64_t *>malloc(output.rank * sizeof(int64_t))
        if shape != NULL:
            status = api.GetDimensions(info, shape, output.rank)
    api.ReleaseTensorTypeAndShapeInfo(info)
    return status


cdef inline void forget_shape(ortmmap_output *output) noexcept nogil:
    if newer_api.GetTensorElementTypeAndShapeDataReference == NULL:
        free(<void *>output.shape)
    output.shape = NULL


cdef bint is_fed(
    const ortmmap_output *output, const ortmmap_input *inputs, size_t count
) noexcept nogil:
    """Whether an output lies in an input: a model may hand an input through."""
    cdef const char *data = <const char *>output.data
    cdef const char *first
    cdef size_t index
    for index in range(count):
        first = <const char *>inputs[index].data
        if first <= data < first + inputs[index].size:
            return True
    return False


cdef int copy(
    ort.OrtValue **value, ortmmap_output *output, ortmmap_error *error
) noexcept nogil:
    """Put a copy, in memory of ONNX Runtime's, in the place of an output."""
    cdef ort.OrtValue *made = NULL
    cdef ortmmap_output copied = output[0]
    cdef int code
    cdef ort.OrtStatus *status = api.CreateTensorAsOrtValue(
        allocator, output.shape, output.rank,
        <ort.ONNXTensorElementDataType>output.element_type, &made,
    )
    if status != NULL:
        return fail_status(error, status)
    code = describe(made, &copied, error)
    if code != ORTMMAP_OK:
        forget_shape(&copied)
        api.ReleaseValue(made)
        return code
    memcpy(copied.data, output.data, output.size)
    forget_shape(output)
    api.ReleaseValue(value[0])
    value[0], output[0] = made, copied
    return ORTMMAP_OK


cdef void release_outputs(ortmmap_output *outputs, size_t count) noexcept nogil:
    cdef size_t index
    if outputs == NULL:
        return
    for index in range(count):
        if outputs[index].owner == NULL:
            continue
        if outputs[index].process == forks:
            forget_shape(&outputs[index])
            api.ReleaseValue(<ort.OrtValue *>outputs[index].owner)
        outputs[index].owner = outputs[index].data = NULL
        outputs[index].size = outputs[index].rank = 0


# --- prepared runs ---

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
    cdef Call call
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
    code = reserve(&call, input_count, output_count, error)
    if code == ORTMMAP_OK:
        code = bind_inputs(&call, handle, inputs, error)
    if code == ORTMMAP_OK:
        code = bind_outputs(&call, handle, outputs, False, error)
    if code == ORTMMAP_OK:
        code = make_binding(made, &call, error)
    release(&call)
    if code != ORTMMAP_OK:
        release_prepared(made)
        return code
    ortmmap_count_add(&handle.count, 1)
    prepared[0] = <ortmmap_prepared *>made
    return succeed(error)


cdef int make_binding(Prepared *made, const Call *call, ortmmap_error *error) noexcept nogil:
    cdef size_t index
    cdef ort.OrtStatus *status = api.CreateIoBinding(made.handle.session, &made.binding)
    for index in range(call.inputs + call.outputs):
        if status != NULL:
            break
        if index < call.inputs:
            status = api.BindInput(made.binding, call.names[index], call.values[index])
        else:
            status = api.BindOutput(made.binding, call.names[index], call.values[index])
    return ORTMMAP_OK if status == NULL else fail_status(error, status)


cdef void release_prepared(Prepared *prepared) noexcept nogil:
    """Free what was bound, but for the parent's in the child of a fork, whose locks may be held."""
    if prepared.binding != NULL and (<OpenSession>prepared.handle.open).forks == forks:
        api.ReleaseIoBinding(prepared.binding)
    free(prepared)


cdef int prepared_run(
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
    code = finish(bound.handle, api.RunWithBinding(
        bound.handle.session,
        default_run_options if options == NULL else options,
        bound.binding,
    ), error)
    ortmmap_count_set(&bound.busy, 0)
    return succeed(error) if code == ORTMMAP_OK else code


cdef ortmmap_session *unprepare(ortmmap_prepared *prepared) noexcept nogil:
    """Free what was bound, and give the session that the caller releases."""
    cdef Handle *handle = (<Prepared *>prepared).handle
    release_prepared(<Prepared *>prepared)
    return <ortmmap_session *>handle
