"""Functions of ONNX Runtime's environment: log level, telemetry, execution provider libraries.

A process has one environment. Each of these functions opens the library if no session has done so.
"""

from ortmmap.process.guard cimport ortmmap_count_set
from ortmmap.runtime.library cimport (
    api,
    check,
    env,
    enter_runtime,
    leave_runtime,
    load,
    native_path,
)
from ortmmap.runtime cimport library

from ortmmap.errors import InvalidArgument


def set_default_logger_severity(int severity) -> None:
    """Set the log level of sessions and runs that do not set one themselves.

    Parameters
    ----------
    severity : int
        0 verbose, 1 info, 2 warning (the initial level), 3 error, 4 fatal.

    Raises
    ------
    RuntimeError
        If `severity` is none of these.
    """
    if not 0 <= severity <= 4:
        raise RuntimeError(
            f"Invalid logging severity {severity}. 0:Verbose, 1:Info, 2:Warning, 3:Error, 4:Fatal"
        )
    load()
    check(api.UpdateEnvWithCustomLogLevel(env, <ort.OrtLoggingLevel>severity))


def enable_telemetry_events() -> None:
    """Let ONNX Runtime collect telemetry, on platforms and in builds that have it."""
    load()
    ortmmap_count_set(&library.telemetry_is_off, 0)
    check(api.EnableTelemetryEvents(env))


def disable_telemetry_events() -> None:
    """Keep ONNX Runtime from collecting telemetry."""
    load()
    check(api.DisableTelemetryEvents(env))


def register_execution_provider_library(registration_name, library_path) -> None:
    """Load a plugin library of execution providers.

    Parameters
    ----------
    registration_name : str
        The name to unregister the library by.
    library_path : str or os.PathLike

    Raises
    ------
    Fail
        If the file is no such library, or the name is taken.
    """
    cdef bytes name = _encode_name(registration_name)
    cdef bytes encoded = native_path(library_path)
    cdef const char *key = name
    cdef const ort.ORTCHAR_T *path = <const ort.ORTCHAR_T *><const char *>encoded
    cdef ort.OrtStatus *status
    load()
    with nogil:
        enter_runtime()
        status = api.RegisterExecutionProviderLibrary(env, key, path)
        leave_runtime()
    check(status)


def unregister_execution_provider_library(registration_name) -> None:
    """Unload a library of execution providers, which no session may be using.

    Raises
    ------
    Fail
        If no library is registered by that name.
    """
    cdef bytes name = _encode_name(registration_name)
    cdef const char *key = name
    cdef ort.OrtStatus *status
    load()
    with nogil:
        enter_runtime()
        status = api.UnregisterExecutionProviderLibrary(env, key)
        leave_runtime()
    check(status)


def get_ep_devices() -> list:
    """Return the devices that execution providers, built in or registered, can use."""
    cdef const ort.OrtEpDevice *const *devices = NULL
    cdef size_t count = 0
    cdef size_t index
    load()
    check(api.GetEpDevices(env, &devices, &count))
    return [ep_device(devices[index]) for index in range(count)]


cdef const ort.OrtEpDevice *native_ep_device(object device) except NULL:
    """Return ONNX Runtime's object of a device that get_ep_devices() returned."""
    cdef const ort.OrtEpDevice *const *devices = NULL
    cdef size_t count = 0
    cdef size_t index
    check(api.GetEpDevices(env, &devices, &count))
    for index in range(count):
        if ep_device(devices[index]) == device:
            return devices[index]
    raise InvalidArgument(f"there is no such device, or no more: {device}")


cdef object ep_device(const ort.OrtEpDevice *device):
    """Return the `OrtEpDevice` that describes a device."""
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
    """Return key-value pairs as a dict of str; NULL as an empty one."""
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


cdef bytes _encode_name(object name):
    if not isinstance(name, str):
        raise TypeError(f"registration_name should be a str, not {type(name).__name__}")
    return name.encode()
