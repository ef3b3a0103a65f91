"""The base class of enumerations that mirror ONNX Runtime's."""

from enum import Enum, IntEnum

__all__ = ["NamedNumber"]


class NamedNumber(IntEnum):
    """An integer that is written by its name, as onnxruntime's enums are."""

    __str__ = Enum.__str__
    __format__ = Enum.__format__
