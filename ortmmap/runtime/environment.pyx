"""What is set, or asked, for the whole process: log level, telemetry, execution provider libraries.

These are functions of ONNX Runtime's environment, which exists once in a process; the library is
opened at the first of them if no session was created before.
"""

from ortmmap.runtime.library cimport api, check, env, load, native_path

from ortmmap.errors import InvalidArgument


def set_default_logger_severity(int severity) -> None:
    """Set the level of texts that are logged where a session or a run says nothing else.

    Parameters
    ----------
    severity : int
        0 verbose, 1 info, 2 warning (at the start), 3 error, 4 fatal.

    Raises
    ------
    RuntimeError
        Where it is none of these.
    """
    if not 0 <= severity <= 4:
        raise RuntimeError(
            f"Invalid logging severity {severity}. 0:Verbose, 1:Info, 2:Warning, 3:Error, 4:Fatal"
        )
    load()
    check(api.UpdateEnvWithCustomLogLevel(env, <ort.OrtLoggingLevel>severity))


def enable_telemetry_events() -> None:
    """Let ONNX Runtime collect telemetry, where the platform and the build have any."""
    load()
    check(api.EnableTelemetryEvents(env))


def disable_telemetry_events() -> None:
    """Keep ONNX Runtime from collecting telemetry."""
    load()
    check(api.DisableTelemetryEvents(env))


def register_execution_provider_library(registration_name, library_path) -> None:
    """Load a library of execution providers (a plugin).

    Parameters
    ----------
    registration_name : str
        What `unregister_execution_provider_library` will call it.
    library_path : str or os.PathLike

    Raises
    ------
    Fail
        Where it is no such library, or the name is taken.
    """
    cdef bytes name = _name(registration_name)
    cdef bytes encoded = native_path(library_path)
    cdef const char *key = name
    cdef const ort.ORTCHAR_T *path = <const ort.ORTCHAR_T *><const char *>encoded
    load()
    with nogil:
        check(api.RegisterExecutionProviderLibrary(env, key, path))


def unregister_execution_provider_library(registration_name) -> None:
    """Unload a library of execution providers; no session may be using them.

    Raises
    ------
    Fail
        Where no library was registered by that name.
    """
    cdef bytes name = _name(registration_name)
    cdef const char *key = name
    load()
    with nogil:
        check(api.UnregisterExecutionProviderLibrary(env, key))


def get_ep_devices() -> list:
    """Return the devices that execution providers, built in and plugged in, can use."""
    cdef const ort.OrtEpDevice *const *devices = NULL
    cdef size_t count = 0
    cdef size_t index
    load()
    check(api.GetEpDevices(env, &devices, &count))
    return [ep_device(devices[index]) for index in range(count)]


cdef const ort.OrtEpDevice *native_ep_device(object device) except NULL:
    """Give ONNX Runtime's own of a device that get_ep_devices() told of."""
    cdef const ort.OrtEpDevice *const *devices = NULL
    cdef size_t count = 0
    cdef size_t index
    check(api.GetEpDevices(env, &devices, &count))
    for index in range(count):
        if ep_device(devices[index]) == device:
            return devices[index]
    raise InvalidArgument(f"there is no such device, or no more: {device}")


cdef object ep_device(const ort.OrtEpDevice *device):
    from ortmmap.runtime.ep_devices import OrtEpDevice

    return OrtEpDevice(
        ep_name=_text(api.EpDevice_EpName(device)),
        ep_vendor=_text(api.EpDevice_EpVendor(device)),
        ep_metadata=pairs_of(api.EpDevice_EpMetadata(device)),
        ep_options=pairs_of(api.EpDevice_EpOptions(device)),
        device=_hardware_device(api.EpDevice_Device(device)),
    )


cdef object _hardware_device(const ort.OrtHardwareDevice *device):
    from ortmmap.runtime.ep_devices import OrtHardwareDevice, OrtHardwareDeviceType

    return OrtHardwareDevice(
        type=OrtHardwareDeviceType(<int>api.HardwareDevice_Type(device)),
        vendor=_text(api.HardwareDevice_Vendor(device)),
        vendor_id=api.HardwareDevice_VendorId(device),
        device_id=api.HardwareDevice_DeviceId(device),
        metadata=pairs_of(api.HardwareDevice_Metadata(device)),
    )


cdef dict pairs_of(const ort.OrtKeyValuePairs *pairs):
    cdef const char *const *keys = NULL
    cdef const char *const *values = NULL
    cdef size_t count = 0
    cdef size_t index
    if pairs == NULL:
        return {}
    api.GetKeyValuePairs(pairs, &keys, &values, &count)
    return {_text(keys[index]): _text(values[index]) for index in range(count)}


cdef str _text(const char *text):
    return "" if text == NULL else text.decode("utf-8", "replace")


cdef bytes _name(object name):
    if not isinstance(name, str):
        raise TypeError(f"registration_name should be a str, not {type(name).__name__}")
    return name.encode()
