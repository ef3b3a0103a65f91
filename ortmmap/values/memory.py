"""onnxruntime's names for kinds of memory, and the settings of an arena."""

import operator
from typing import overload

from ortmmap.abi.named_number import NamedNumber
from ortmmap.errors import InvalidArgument

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
    """Whose memory it is: an execution provider's own, or the CPU's that it reads or writes."""

    CPU_INPUT = -2
    CPU_OUTPUT = -1
    CPU = CPU_OUTPUT
    DEFAULT = 0


class OrtMemoryInfoDeviceType(NamedNumber):
    """What kind of device memory belongs to."""

    CPU = 0
    GPU = 1
    NPU = 3
    FPGA = 2


class OrtDeviceMemoryType(NamedNumber):
    """Whether the CPU can reach a device's memory."""

    DEFAULT = 0
    HOST_ACCESSIBLE = 5


class _Setting:
    """A number of an arena's, which must be within bounds."""

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
    """How an arena grows: ``onnxruntime.OrtArenaCfg``.

    Parameters
    ----------
    max_mem : int, or dict of str to int
        The most bytes; 0: ONNX Runtime chooses. Or all settings, by the names of the attributes,
        as the only argument.
    arena_extend_strategy : int
        0: by powers of two; 1: by what is asked for; -1: ONNX Runtime chooses.
    initial_chunk_size_bytes, max_dead_bytes_per_chunk : int
        -1: ONNX Runtime chooses.

    Raises
    ------
    InvalidArgument
        Where there is no such setting.
    TypeError
        Where a setting is no integer, or out of range.
    """

    __slots__ = ("_values",)

    max_mem = _Setting(0, 0, LARGEST_SIZE, "The most bytes; 0: ONNX Runtime chooses.")
    arena_extend_strategy = _int("0: by powers of two; 1: by what is asked for; -1: either.")
    initial_chunk_size_bytes = _int("The size of the first allocation; -1: any.")
    max_dead_bytes_per_chunk = _int("How much of a chunk may be left over unsplit; -1: any.")
    initial_growth_chunk_size_bytes = _int("The size of the second allocation; -1: any.")
    max_power_of_two_extend_bytes = _int("The most that powers of two grow by; -1: any.")

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
        """Return the settings that were made, for ONNX Runtime.

        Raises
        ------
        InvalidArgument
            Where one has no meaning; ONNX Runtime would not notice, or crash.
        """
        for name, value in self._values.items():
            if value < -1 or (name == "arena_extend_strategy" and value > 1):
                raise InvalidArgument(f"OrtArenaCfg.{name} has no meaning as {value}")
        return {name: value for name, value in self._values.items() if value != -1}


NAMES = tuple(name for name, value in vars(OrtArenaCfg).items() if isinstance(value, _Setting))
