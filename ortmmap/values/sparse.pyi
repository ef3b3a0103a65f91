from collections.abc import Sequence
from typing import Any, NoReturn, Self, final

import numpy as np
import numpy.typing as npt
from typing_extensions import disjoint_base

from ortmmap.runtime.named_number import NamedNumber
from ortmmap.values.devices import OrtDevice
from ortmmap.values.value import Value

class OrtSparseFormat(NamedNumber):
    ORT_SPARSE_UNDEFINED = 0
    ORT_SPARSE_COO = 1
    ORT_SPARSE_CSRC = 2
    ORT_SPARSE_BLOCK_SPARSE = 4

@disjoint_base
class SparseView: ...

@final
class SparseCooView(SparseView):
    def indices(self) -> npt.NDArray[np.int64]: ...

@final
class SparseCsrView(SparseView):
    def inner(self) -> npt.NDArray[np.int64]: ...
    def outer(self) -> npt.NDArray[np.int64]: ...

@final
class SparseBlockSparseView(SparseView):
    def indices(self) -> npt.NDArray[np.int32]: ...

@disjoint_base
class SparseTensor(Value):
    def __init__(self, sparse_tensor: SparseTensor) -> None: ...
    @classmethod
    def sparse_coo_from_numpy(
        cls,
        dense_shape: Sequence[int] | npt.NDArray[np.integer],
        values: npt.NDArray[Any],
        coo_indices: npt.NDArray[np.integer],
        ort_device: OrtDevice | str | None = None,
    ) -> Self: ...
    @classmethod
    def sparse_csr_from_numpy(
        cls,
        dense_shape: Sequence[int] | npt.NDArray[np.integer],
        values: npt.NDArray[Any],
        inner_indices: npt.NDArray[np.integer],
        outer_indices: npt.NDArray[np.integer],
        ort_device: OrtDevice | str | None = None,
    ) -> Self: ...
    def values(self) -> npt.NDArray[Any]: ...
    def dense_shape(self) -> list[int]: ...
    def format(self) -> OrtSparseFormat: ...
    def data_type(self) -> str: ...
    def device_name(self) -> str: ...
    def as_coo_view(self) -> SparseCooView: ...
    def as_csrc_view(self) -> SparseCsrView: ...
    def as_blocksparse_view(self) -> SparseBlockSparseView: ...
    def to_cuda(self, ort_device: Any) -> NoReturn: ...
