"""Execution providers, added to ONNX Runtime's session options."""

from libc.stdlib cimport free, malloc

from ortmmap.runtime.environment cimport ep_device, native_ep_device, pairs_of
from ortmmap.runtime.library cimport api, check, env
from ortmmap.runtime.provider_options cimport (
    ortmmap_append_CANN,
    ortmmap_append_CUDA,
    ortmmap_append_Dnnl,
    ortmmap_append_fn,
    ortmmap_append_ROCM,
    ortmmap_append_TensorRT,
)

from ortmmap.errors import InvalidArgument, OrtError
from ortmmap.runtime.providers import CPU


cdef int append_providers(
    ort.OrtSessionOptions *native, object options, list providers
) except -1:
    """Append `providers`; where there are none, what `options` select them by."""
    for name, settings in providers:
        devices = options._provider_devices.get(name)
        try:
            if devices:
                append_for_devices(native, devices, Texts(settings))
            elif name != CPU:   # which every session has, last
                append_by_name(native, name, Texts(settings))
        except OrtError as error:
            error.provider = name
            raise
    if not providers:
        set_selection(native, options)
    return 0


cdef class Texts:
    """Keys and values as the C API takes them."""

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
    cdef ortmmap_append_fn append = own_function(name)
    cdef bytes encoded = name.encode()
    cdef const char *provider = encoded
    cdef ort.OrtStatus *status
    with nogil:
        if append != NULL:
            status = append(api, native, texts.keys, texts.values, texts.count)
        else:
            status = api.SessionOptionsAppendExecutionProvider(
                native, provider, texts.keys, texts.values, texts.count
            )
    return check(status)


cdef ortmmap_append_fn own_function(str name) noexcept:
    """Give what appends a provider that has a function of its own; NULL: it has none."""
    if name == "CUDAExecutionProvider":
        return ortmmap_append_CUDA
    if name == "TensorrtExecutionProvider":
        return ortmmap_append_TensorRT
    if name == "ROCMExecutionProvider":
        return ortmmap_append_ROCM
    if name == "DnnlExecutionProvider":
        return ortmmap_append_Dnnl
    if name == "CANNExecutionProvider":
        return ortmmap_append_CANN
    return NULL


cdef int append_for_devices(
    ort.OrtSessionOptions *native, tuple devices, Texts texts
) except -1:
    cdef size_t count = len(devices)
    cdef size_t index
    cdef const ort.OrtEpDevice **room
    room = <const ort.OrtEpDevice **>malloc(count * sizeof(void *))
    if room == NULL:
        raise MemoryError()
    try:
        for index in range(count):
            room[index] = native_ep_device(devices[index])
        with nogil:
            check(api.SessionOptionsAppendExecutionProvider_V2(
                native, env, room, count, texts.keys, texts.values, texts.count
            ))
    finally:
        free(room)
    return 0


cdef int set_selection(ort.OrtSessionOptions *native, object options) except -1:
    """Have ONNX Runtime select providers, by a policy or by asking a function."""
    cdef int policy
    if options._selection_delegate is not None:
        # `options` keeps the function until the session is created.
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
    """Ask a function of Python's which devices to use; what it raises becomes a status."""
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
