"""Kinds of memory by onnxruntime's names, and OrtArenaCfg: the settings of an arena."""

import operator
from typing import overload

from ortmmap.errors import InvalidArgument
from ortmmap.runtime.named_number import NamedNumber

__all__ = [
    "OrtAllocatorType",
    "OrtArenaCfg",
    "OrtDeviceMemoryType",
    "OrtMemType",
    "OrtMemoryInfoDeviceType",
]

LARGEST_SIZE = 2**64 - 1
LARGEST_INT = 2**31 - 1
SMALLEST_INT = -(2**31)


class OrtAllocatorType(NamedNumber):
    """Whether an allocator keeps freed memory in an arena."""

    INVALID = -1
    ORT_DEVICE_ALLOCATOR = 0
    ORT_ARENA_ALLOCATOR = 1


class OrtMemType(NamedNumber):
    """An execution provider's own memory, or memory of the CPU that it reads or writes."""

    CPU_INPUT = -2
    CPU_OUTPUT = -1
    CPU = CPU_OUTPUT
    DEFAULT = 0


class OrtMemoryInfoDeviceType(NamedNumber):
    """Types of the device that memory belongs to."""

    CPU = 0
    GPU = 1
    NPU = 3
    FPGA = 2


class OrtDeviceMemoryType(NamedNumber):
    """Whether the CPU can reach a device's memory."""

    DEFAULT = 0
    HOST_ACCESSIBLE = 5


class _Setting:
    """A setting of an arena: an attribute that is an integer within bounds."""

    def __init__(self, default: int, least: int, most: int, doc: str) -> None:
        self.default, self.least, self.most = default, least, most
        self.__doc__ = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, arena: None, owner: type) -> "_Setting": ...
    @overload
    def __get__(self, arena: "OrtArenaCfg", owner: type) -> int: ...
    def __get__(self, arena: "OrtArenaCfg | None", owner: type) -> "int | _Setting":
        return self if arena is None else arena._values.get(self.name, self.default)

    def __set__(self, arena: "OrtArenaCfg", value: int) -> None:
        try:
            number = operator.index(value)
        except TypeError:
            number = None
        if number is None or not self.least <= number <= self.most:
            raise TypeError(
                f"OrtArenaCfg.{self.name}: expected an integer from {self.least} to {self.most}, "
                f"not {value!r}"
            )
        arena._values[self.name] = number


def _int(doc: str) -> _Setting:
    return _Setting(-1, SMALLEST_INT, LARGEST_INT, doc)


class OrtArenaCfg:
    """How an arena grows, as ``onnxruntime.OrtArenaCfg``.

    It takes four numbers, or one dict of settings by the names of the attributes.

    Parameters
    ----------
    max_mem : int, or dict of str to int
        Largest size in bytes; 0: ONNX Runtime chooses.
    arena_extend_strategy : int
        0: in powers of two; 1: by the size that is requested; -1: ONNX Runtime chooses.
    initial_chunk_size_bytes : int
        Size of the first allocation; -1: ONNX Runtime chooses.
    max_dead_bytes_per_chunk : int
        Unused bytes above which a chunk is split; -1: ONNX Runtime chooses.

    Raises
    ------
    InvalidArgument
        If there is no such setting.
    TypeError
        If a setting is no integer, or out of range.
    """

    __slots__ = ("_values",)

    max_mem = _Setting(0, 0, LARGEST_SIZE, "Largest size in bytes; 0: ONNX Runtime chooses.")
    arena_extend_strategy = _int("0: in powers of two; 1: by the size requested; -1: unset.")
    initial_chunk_size_bytes = _int("Size of the first allocation in bytes; -1: unset.")
    max_dead_bytes_per_chunk = _int("Unused bytes above which a chunk is split; -1: unset.")
    initial_growth_chunk_size_bytes = _int("Size of the second allocation in bytes; -1: unset.")
    max_power_of_two_extend_bytes = _int("Largest growth in powers of two, in bytes; -1: unset.")

    def __init__(self, *settings: dict[str, int] | int) -> None:
        self._values: dict[str, int] = {}
        match settings:
            case (dict() as named,):
                pass
            case (_, _, _, _):
                named = dict(zip(NAMES[:4], settings, strict=True))
            case _:
                raise TypeError(
                    "OrtArenaCfg is made of a dict, or of max_mem, arena_extend_strategy, "
                    f"initial_chunk_size_bytes and max_dead_bytes_per_chunk, not of {settings!r}"
                )
        for name, value in named.items():
            if name not in NAMES:
                raise InvalidArgument(f"Invalid OrtArenaCfg option: {name} (there are {NAMES})")
            setattr(self, name, value)

    def checked(self) -> dict[str, int]:
        """Return the settings that differ from ONNX Runtime's choice.

        Raises
        ------
        InvalidArgument
            If a value has no meaning: ONNX Runtime would ignore it, or crash.
        """
        for name, value in self._values.items():
            if value < -1 or (name == "arena_extend_strategy" and value > 1):
                raise InvalidArgument(f"OrtArenaCfg.{name} has no meaning as {value}")
        return {name: value for name, value in self._values.items() if value != -1}


NAMES = tuple(name for name, value in vars(OrtArenaCfg).items() if isinstance(value, _Setting))
