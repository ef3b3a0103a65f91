"""The devices that execution providers run on.

Imported at first use: making these classes would take a tenth of the time of importing ortmmap.
"""

from typing import Any, NamedTuple

from ortmmap.runtime.named_number import NamedNumber

__all__ = [
    "OrtEpAssignedNode",
    "OrtEpAssignedSubgraph",
    "OrtEpDevice",
    "OrtExecutionProviderDevicePolicy",
    "OrtHardwareDevice",
    "OrtHardwareDeviceType",
]


class OrtHardwareDeviceType(NamedNumber):
    """A kind of hardware."""

    CPU = 0
    GPU = 1
    NPU = 2


class OrtExecutionProviderDevicePolicy(NamedNumber):
    """A policy by which ONNX Runtime selects execution providers."""

    DEFAULT = 0
    PREFER_CPU = 1
    PREFER_NPU = 2
    PREFER_GPU = 3
    MAX_PERFORMANCE = 4
    MAX_EFFICIENCY = 5
    MIN_OVERALL_POWER = 6


class OrtHardwareDevice(NamedTuple):
    """A device of the machine, as ONNX Runtime describes it."""

    type: OrtHardwareDeviceType
    vendor: str
    vendor_id: int
    device_id: int
    metadata: dict[str, str]


class OrtEpDevice(NamedTuple):
    """An execution provider and a device that it can use."""

    ep_name: str
    ep_vendor: str
    ep_metadata: dict[str, str]
    ep_options: dict[str, str]
    device: OrtHardwareDevice

    @staticmethod
    def of(device: Any) -> "OrtEpDevice":
        """Return `device`, converted if it is onnxruntime's.

        Raises
        ------
        TypeError
            If it is neither an `OrtEpDevice` nor onnxruntime's class of that name.
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


class OrtEpAssignedNode(NamedTuple):
    """A node that an execution provider was given."""

    name: str
    domain: str
    op_type: str


class OrtEpAssignedSubgraph(NamedTuple):
    """A part of a graph that an execution provider was given."""

    ep_name: str
    nodes: tuple[OrtEpAssignedNode, ...]

    def get_nodes(self) -> list[OrtEpAssignedNode]:
        """Return the nodes of the part."""
        return list(self.nodes)
