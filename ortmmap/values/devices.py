"""OrtDevice: the device that a value's memory belongs to."""

from enum import IntEnum

from ortmmap.errors import Fail

__all__ = ["OrtDevice", "OrtDeviceVendorId", "check_cpu", "check_cpu_memory"]

# onnxruntime's numbers for the names that OrtDevice.make takes.
DEVICE_TYPES = {"cpu": 0, "cuda": 1, "gpu": 1, "webgpu": 1, "dml": 1, "npu": 3, "cann": 3}
DEFAULT_MEMORY = 0
CPU_MEMORY = "Cpu"  # the name of the CPU's memory in an OrtMemoryInfo


class OrtDeviceVendorId(IntEnum):
    """PCI vendor ids; NONE stands for no vendor."""

    NONE = 0x0000
    AMD = 0x1002
    NVIDIA = 0x10DE
    ARM = 0x13B5
    MICROSOFT = 0x1414
    HUAWEI = 0x19E5
    QUALCOMM = 0x5143
    INTEL = 0x8086


VENDORS = {
    "cann": OrtDeviceVendorId.HUAWEI,
    "cuda": OrtDeviceVendorId.NVIDIA,
    "dml": OrtDeviceVendorId.MICROSOFT,
}


class OrtDevice:
    """A device, as ``onnxruntime.OrtDevice``; made by `make`.

    ortmmap's values lie in the CPU's memory.
    """

    __slots__ = ("_device_id", "_device_type", "_vendor_id")

    def __init__(self, device_type: int, device_id: int, vendor_id: int) -> None:
        self._device_type = device_type
        self._device_id = device_id
        self._vendor_id = vendor_id

    @staticmethod
    def make(ort_device_name: str, device_id: int, vendor_id: int = -1) -> "OrtDevice":
        """Make a device of its name.

        Parameters
        ----------
        ort_device_name : {'cpu', 'cuda', 'gpu', 'npu', 'dml', 'cann', 'webgpu'}
        device_id : int
            Index among the machine's devices of that name, from 0.
        vendor_id : int, default -1
            A PCI vendor id; -1 stands for the vendor of the name, if it has one.

        Returns
        -------
        OrtDevice

        Raises
        ------
        ValueError
            If there is no such name.
        """
        if ort_device_name not in DEVICE_TYPES:
            raise ValueError(f"Unsupported device type: {ort_device_name}")
        if vendor_id < 0:
            vendor_id = VENDORS.get(ort_device_name, OrtDeviceVendorId.NONE)
        return OrtDevice(DEVICE_TYPES[ort_device_name], device_id, int(vendor_id))

    def device_id(self) -> int:
        """Return the index among the machine's devices of this type."""
        return self._device_id

    def device_type(self) -> int:
        """Return the type: 0 for a CPU, 1 for a GPU, 3 for an NPU."""
        return self._device_type

    def device_vendor_id(self) -> int:
        """Return the PCI vendor id; 0 if there is none."""
        return self._vendor_id

    def device_mem_type(self) -> int:
        """Return the kind of memory: 0, the device's default."""
        return DEFAULT_MEMORY

    def _get_c_device(self) -> "OrtDevice":
        """Return the device, for packages that ask onnxruntime's OrtDevice for its C++ part."""
        return self

    def __repr__(self) -> str:
        return f"OrtDevice(type {self._device_type}, id {self._device_id})"


def check_cpu(device: object, device_id: int = 0) -> None:
    """Raise unless `device` is the CPU.

    Parameters
    ----------
    device : str, OrtDevice of ortmmap or onnxruntime, or None
        None stands for the CPU.
    device_id : int, default 0

    Raises
    ------
    TypeError
        If `device` is of another type.
    ValueError
        If there is no device of that name.
    NotImplementedError
        If it is another device.
    """
    if isinstance(device, str):
        device = OrtDevice.make(device.lower(), device_id)
    if device is not None and not hasattr(device, "device_type"):
        raise TypeError(f"a device should be its name or an OrtDevice, not {device!r}")
    if device is not None and device.device_type() != DEVICE_TYPES["cpu"]:
        raise NotImplementedError(f"ortmmap's values lie in the CPU's memory, not on {device!r}")


def check_cpu_memory(memory_info: object) -> None:
    """Raise unless `memory_info` describes the CPU's memory, and has an allocator.

    Parameters
    ----------
    memory_info : OrtMemoryInfo of ortmmap or onnxruntime

    Raises
    ------
    TypeError
        If `memory_info` is of another type.
    NotImplementedError
        If it describes another memory.
    Fail
        If no allocator of the CPU's memory was registered.
    """
    if not (hasattr(memory_info, "name") and hasattr(memory_info, "allocator_type")):
        raise TypeError(f"memory_info should be an OrtMemoryInfo, not {memory_info!r}")
    missing = f"No shared allocator found for: {memory_info.name}"
    if memory_info.name != CPU_MEMORY:
        raise NotImplementedError(f"{missing}; ortmmap's values lie in the CPU's memory")
    # onnxruntime's OrtMemoryInfo does not say whether an allocator was registered.
    if not getattr(memory_info, "_is_registered", True):
        raise Fail(f"{missing}; create_and_register_allocator() makes one")
