from collections.abc import Mapping
from typing import Self

from typing_extensions import disjoint_base

from ortmmap.values.memory import (
    OrtAllocatorType,
    OrtArenaCfg,
    OrtDeviceMemoryType,
    OrtMemoryInfoDeviceType,
    OrtMemType,
)

@disjoint_base
class OrtMemoryInfo:
    def __init__(
        self, name: str, allocator_type: OrtAllocatorType, device_id: int, mem_type: OrtMemType
    ) -> None: ...
    @staticmethod
    def create_v2(
        name: str,
        device_type: OrtMemoryInfoDeviceType,
        vendor_id: int,
        device_id: int,
        mem_type: OrtDeviceMemoryType,
        alignment: int,
        allocator_type: OrtAllocatorType,
    ) -> OrtMemoryInfo: ...
    @property
    def name(self) -> str: ...
    @property
    def device_id(self) -> int: ...
    @property
    def mem_type(self) -> OrtMemType: ...
    @property
    def allocator_type(self) -> OrtAllocatorType: ...
    @property
    def device_mem_type(self) -> OrtDeviceMemoryType: ...
    @property
    def device_vendor_id(self) -> int: ...

@disjoint_base
class Arena:
    def __new__(cls, settings: OrtArenaCfg | None) -> Self: ...

def create_and_register_allocator(
    mem_info: OrtMemoryInfo, arena_cfg: OrtArenaCfg | None, /
) -> None: ...
def create_and_register_allocator_v2(
    provider_type: str,
    mem_info: OrtMemoryInfo,
    provider_options: Mapping[str, str],
    arena_cfg: OrtArenaCfg | None,
    /,
) -> None: ...
