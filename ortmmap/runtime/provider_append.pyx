"""Execution providers, appended to ONNX Runtime's session options."""

from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stdlib cimport free, malloc

from ortmmap.runtime.environment cimport ep_device, native_ep_device, pairs_of
from ortmmap.runtime.library cimport api, check, env

from ortmmap.errors import InvalidArgument, OrtError
from ortmmap.runtime.providers import CPU

ctypedef int (*Append)(ort.OrtSessionOptions *, Texts) except -1 nogil


cdef int append_providers(
    ort.OrtSessionOptions *native, object options, list providers
) except -1:
    """Append `providers`, or the selection that `options` have if `providers` is empty."""
    for name, settings in providers:
        devices = options._provider_devices.get(name)
        try:
            if devices:
                append_for_devices(native, devices, Texts(settings))
            elif name != CPU:   # every session has it, in the last place
                append_by_name(native, name, Texts(settings))
        except OrtError as error:
            error.provider = name
            raise
    if not providers:
        set_selection(native, options)
    return 0


cdef class Texts:
    """A dict of str as the C API takes it: two arrays of C strings, which the object owns."""

    def __init__(self, dict settings):
        cdef size_t index
        self._encoded = [text.encode() for pair in settings.items() for text in pair]
        self.count = len(settings)
        self.keys = <const char **>malloc((2 * self.count + 1) * sizeof(char *))
        if self.keys == NULL:
            raise MemoryError()
        self.values = self.keys + self.count
        for index in range(self.count):
            self.keys[index] = <bytes>self._encoded[2 * index]
            self.values[index] = <bytes>self._encoded[2 * index + 1]

    def __dealloc__(self):
        free(self.keys)


cdef int append_by_name(ort.OrtSessionOptions *native, str name, Texts texts) except -1:
    """Append a provider, without the interpreter lock: its library may be loaded."""
    cdef Append append = own_function(name)
    cdef bytes encoded = name.encode()
    cdef const char *provider = encoded
    with nogil:
        if append != NULL:
            return append(native, texts)
        return check(api.SessionOptionsAppendExecutionProvider(
            native, provider, texts.keys, texts.values, texts.count
        ))


cdef Append own_function(str name) noexcept:
    """Return the function for a provider whose options are a type of their own; NULL: none."""
    if name == "CUDAExecutionProvider":
        return append_CUDA
    if name == "TensorrtExecutionProvider":
        return append_TensorRT
    if name == "ROCMExecutionProvider":
        return append_ROCM
    if name == "DnnlExecutionProvider":
        return append_Dnnl
    if name == "CANNExecutionProvider":
        return append_CANN
    return NULL


cdef int append_CUDA(ort.OrtSessionOptions *native, Texts texts) except -1 nogil:
    cdef ort.OrtCUDAProviderOptionsV2 *made = NULL
    check(api.CreateCUDAProviderOptions(&made))
    try:
        if texts.count:
            check(api.UpdateCUDAProviderOptions(made, texts.keys, texts.values, texts.count))
        return check(api.SessionOptionsAppendExecutionProvider_CUDA_V2(native, made))
    finally:
        api.ReleaseCUDAProviderOptions(made)


cdef int append_TensorRT(ort.OrtSessionOptions *native, Texts texts) except -1 nogil:
    cdef ort.OrtTensorRTProviderOptionsV2 *made = NULL
    check(api.CreateTensorRTProviderOptions(&made))
    try:
        if texts.count:
            check(api.UpdateTensorRTProviderOptions(made, texts.keys, texts.values, texts.count))
        return check(api.SessionOptionsAppendExecutionProvider_TensorRT_V2(native, made))
    finally:
        api.ReleaseTensorRTProviderOptions(made)


cdef int append_ROCM(ort.OrtSessionOptions *native, Texts texts) except -1 nogil:
    cdef ort.OrtROCMProviderOptions *made = NULL
    check(api.CreateROCMProviderOptions(&made))
    try:
        if texts.count:
            check(api.UpdateROCMProviderOptions(made, texts.keys, texts.values, texts.count))
        return check(api.SessionOptionsAppendExecutionProvider_ROCM(native, made))
    finally:
        api.ReleaseROCMProviderOptions(made)


cdef int append_Dnnl(ort.OrtSessionOptions *native, Texts texts) except -1 nogil:
    cdef ort.OrtDnnlProviderOptions *made = NULL
    check(api.CreateDnnlProviderOptions(&made))
    try:
        if texts.count:
            check(api.UpdateDnnlProviderOptions(made, texts.keys, texts.values, texts.count))
        return check(api.SessionOptionsAppendExecutionProvider_Dnnl(native, made))
    finally:
        api.ReleaseDnnlProviderOptions(made)


cdef int append_CANN(ort.OrtSessionOptions *native, Texts texts) except -1 nogil:
    cdef ort.OrtCANNProviderOptions *made = NULL
    check(api.CreateCANNProviderOptions(&made))
    try:
        if texts.count:
            check(api.UpdateCANNProviderOptions(made, texts.keys, texts.values, texts.count))
        return check(api.SessionOptionsAppendExecutionProvider_CANN(native, made))
    finally:
        api.ReleaseCANNProviderOptions(made)


cdef int append_for_devices(
    ort.OrtSessionOptions *native, tuple devices, Texts texts
) except -1:
    cdef size_t count = len(devices)
    cdef size_t index
    cdef const ort.OrtEpDevice **natives
    natives = <const ort.OrtEpDevice **>malloc(count * sizeof(void *))
    if natives == NULL:
        raise MemoryError()
    try:
        for index in range(count):
            natives[index] = native_ep_device(devices[index])
        with nogil:
            check(api.SessionOptionsAppendExecutionProvider_V2(
                native, env, natives, count, texts.keys, texts.values, texts.count
            ))
    finally:
        free(natives)
    return 0


cdef int set_selection(ort.OrtSessionOptions *native, object options) except -1:
    """Let ONNX Runtime select providers, by a policy or a function."""
    cdef int policy
    if options._selection_delegate is not None:
        # `options` keeps a reference to the function until the session is created.
        return check(api.SessionOptionsSetEpSelectionPolicyDelegate(
            native, &select, <void *>options._selection_delegate
        ))
    if options._selection_policy is None:
        return 0
    policy = options._selection_policy
    return check(api.SessionOptionsSetEpSelectionPolicy(
        native, <ort.OrtExecutionProviderDevicePolicy>policy
    ))


cdef ort.OrtStatus *select(
    const ort.OrtEpDevice **devices,
    size_t count,
    const ort.OrtKeyValuePairs *model_metadata,
    const ort.OrtKeyValuePairs *runtime_metadata,
    const ort.OrtEpDevice **selected,
    size_t room,
    size_t *selected_count,
    void *delegate,
) noexcept with gil:
    """Call a Python function to select devices; its exception becomes a status."""
    cdef bytes message
    try:
        known = [ep_device(devices[index]) for index in range(count)]
        chosen = list((<object>delegate)(
            list(known), pairs_of(model_metadata), pairs_of(runtime_metadata), room
        ))
        if <size_t>len(chosen) > room:
            raise InvalidArgument(
                f"selected too many EP devices ({len(chosen)}). The limit is {room} EP devices."
            )
        for index, device in enumerate(chosen):
            if device not in known:
                raise InvalidArgument(f"it selected {device!r}, which is none of {known}")
            selected[<size_t>index] = devices[<size_t>known.index(device)]
        selected_count[0] = len(chosen)
        return NULL
    except BaseException as error:
        message = f"{type(error).__name__}: {error}".encode()
        return api.CreateStatus(ort.ORT_FAIL, message)


def append_to(capsule, options, list providers):
    """Append providers to the ``OrtSessionOptions`` in a capsule, or what `options` select by."""
    append_providers(
        <ort.OrtSessionOptions *>PyCapsule_GetPointer(capsule, "OrtSessionOptions"),
        options,
        providers,
    )


def set_dynamic_options(capsule, dict settings):
    """Set options of the providers of the open ``OrtSession`` in a capsule."""
    cdef ort.OrtSession *session = <ort.OrtSession *>PyCapsule_GetPointer(capsule, "OrtSession")
    cdef Texts texts = Texts(settings)
    if texts.count:
        check(api.SetEpDynamicOptions(session, texts.keys, texts.values, texts.count))
