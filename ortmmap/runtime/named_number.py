"""The base class of enumerations that mirror those of ONNX Runtime."""

from enum import Enum, IntEnum

__all__ = ["NamedNumber"]


class NamedNumber(IntEnum):
    """An integer whose `str` is its name, as in onnxruntime's enumerations."""

    __str__ = Enum.__str__
    __format__ = Enum.__format__
