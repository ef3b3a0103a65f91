import os
from typing import Any

from typing_extensions import disjoint_base

@disjoint_base
class Parameters: ...

class Loading:
    def __get__(
        self, instance: LoraAdapter | None, owner: type[LoraAdapter] | None = None, /
    ) -> Any: ...

@disjoint_base
class LoraAdapter:
    # On the class it returns a new adapter, on an instance None.
    Load: Loading
    def __init__(self) -> None: ...
    @property
    def _path(self) -> str | os.PathLike[str] | None: ...
    def _load(self, adapter_path: str | os.PathLike[str]) -> None: ...
