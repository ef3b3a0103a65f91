import os

from typing_extensions import disjoint_base

@disjoint_base
class LoraAdapter:
    @property
    def _path(self) -> str | os.PathLike[str] | None: ...
    # On the class it returns a new adapter, on an instance None.
    @staticmethod
    def Load(adapter_path: str | os.PathLike[str]) -> LoraAdapter: ...  # noqa: N802 - onnxruntime's
    def _load(self, adapter_path: str | os.PathLike[str]) -> None: ...
