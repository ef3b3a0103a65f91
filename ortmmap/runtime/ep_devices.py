"""What an execution provider runs on, as ONNX Runtime found it.

Imported when first asked for: making these classes takes a tenth of importing ortmmap.
"""

from typing import Any, NamedTuple

from ortmmap.abi.named_number import NamedNumber

__all__ = [
    "OrtEpDevice",
    "OrtExecutionProviderDevicePolicy",
    "OrtHardwareDevice",
    "OrtHardwareDeviceType",
]


class OrtHardwareDeviceType(NamedNumber):
    """What kind of hardware a device is."""

    CPU = 0
    GPU = 1
    NPU = 2


class OrtExecutionProviderDevicePolicy(NamedNumber):
    """By what ONNX Runtime selects execution providers itself."""

    DEFAULT = 0
    PREFER_CPU = 1
    PREFER_NPU = 2
    PREFER_GPU = 3
    MAX_PERFORMANCE = 4
    MAX_EFFICIENCY = 5
    MIN_OVERALL_POWER = 6


class OrtHardwareDevice(NamedTuple):
    """A device of the machine, as ONNX Runtime found it."""

    type: OrtHardwareDeviceType
    vendor: str
    vendor_id: int
    device_id: int
    metadata: dict[str, str]


class OrtEpDevice(NamedTuple):
    """An execution provider together with a device that it can use."""

    ep_name: str
    ep_vendor: str
    ep_metadata: dict[str, str]
    ep_options: dict[str, str]
    device: OrtHardwareDevice

    @staticmethod
    def of(device: Any) -> "OrtEpDevice":
        """Return `device` itself, or onnxruntime's as one of ours.

        Raises
        ------
        TypeError
            Where it is neither.
        """
        if isinstance(device, OrtEpDevice):
            return device
        hardware: Any = getattr(device, "device", None)
        if not hasattr(device, "ep_name") or not hasattr(hardware, "vendor_id"):
            raise TypeError(f"expected an OrtEpDevice, not {device!r}")
        return OrtEpDevice(
            device.ep_name,
            device.ep_vendor,
            dict(device.ep_metadata),
            dict(device.ep_options),
            OrtHardwareDevice(
                OrtHardwareDeviceType(int(hardware.type.value)),
                hardware.vendor,
                hardware.vendor_id,
                hardware.device_id,
                dict(hardware.metadata),
            ),
        )
