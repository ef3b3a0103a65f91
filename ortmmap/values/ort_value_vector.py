"""OrtValueVector: a list of values."""

import operator
from collections.abc import Callable
from typing import Any

from ortmmap.values.ort_value import OrtValue

__all__ = ["OrtValueVector"]

BOOL = 9  # TensorProto.BOOL


class OrtValueVector(list[OrtValue]):
    """A list of `OrtValue`, with the methods of ``onnxruntime.OrtValueVector``."""

    def push_back(self, value: Any, is_bool_tensor: bool = False) -> None:  # noqa: ARG002
        """Append an `OrtValue`, or another library's tensor by DLPack."""
        self.append(value if isinstance(value, OrtValue) else OrtValue.from_dlpack(value))

    def reserve(self, count: int) -> None:
        """Do nothing: a list grows by itself."""
        if operator.index(count) < 0:
            raise ValueError(f"cannot reserve room for {count} values")

    def shrink_to_fit(self) -> None:
        """Do nothing."""

    def element_type_at(self, index: int) -> int:
        """Return ``TensorProto.DataType`` of the tensor at `index`."""
        return self[index].element_type()

    def bool_tensor_indices(self) -> list[int]:
        """Return the positions of the tensors of bool."""
        return [index for index, value in enumerate(self) if value.element_type() == BOOL]

    def dlpack_at(self, index: int) -> Any:
        """Return a DLPack capsule of the tensor at `index`."""
        return self[index].__dlpack__()

    def to_dlpacks(self, to_tensor: Callable[[Any], Any] | None) -> list[Any]:
        """Return ``to_tensor(capsule)`` for each tensor; the capsules if `to_tensor` is None."""
        capsules = [value.__dlpack__() for value in self]
        return capsules if to_tensor is None else [to_tensor(capsule) for capsule in capsules]
