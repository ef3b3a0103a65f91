from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ortmmap.abi.named_number import NamedNumber

class OrtSparseFormat(NamedNumber):
    ORT_SPARSE_UNDEFINED = 0
    ORT_SPARSE_COO = 1
    ORT_SPARSE_CSRC = 2
    ORT_SPARSE_BLOCK_SPARSE = 4

class SparseCooView:
    def indices(self) -> npt.NDArray[np.int64]: ...

class SparseCsrView:
    def inner(self) -> npt.NDArray[np.int64]: ...
    def outer(self) -> npt.NDArray[np.int64]: ...

class SparseBlockSparseView:
    def indices(self) -> npt.NDArray[np.int32]: ...

class SparseTensor:
    @classmethod
    def sparse_coo_from_numpy(
        cls,
        dense_shape: Sequence[int] | np.ndarray,
        values: np.ndarray,
        coo_indices: npt.NDArray[np.int64],
        ort_device: Any = None,
    ) -> SparseTensor: ...
    @classmethod
    def sparse_csr_from_numpy(
        cls,
        dense_shape: Sequence[int] | np.ndarray,
        values: np.ndarray,
        inner_indices: npt.NDArray[np.int64],
        outer_indices: npt.NDArray[np.int64],
        ort_device: Any = None,
    ) -> SparseTensor: ...
    def values(self) -> np.ndarray: ...
    def dense_shape(self) -> list[int]: ...
    def format(self) -> OrtSparseFormat: ...
    def data_type(self) -> str: ...
    def device_name(self) -> str: ...
    def as_coo_view(self) -> SparseCooView: ...
    def as_csrc_view(self) -> SparseCsrView: ...
    def as_blocksparse_view(self) -> SparseBlockSparseView: ...
    def to_cuda(self, ort_device: Any) -> SparseTensor: ...
