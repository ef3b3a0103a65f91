import os
from typing import NamedTuple

from typing_extensions import Buffer, disjoint_base

from ortmmap.model.mapping import Mapping

class Memory(NamedTuple):
    mapped: int
    resident: int
    shared: int
    private: int
    shared_blocks: int
    private_blocks: int

@disjoint_base
class Model:
    def __init__(
        self, source: str | os.PathLike[str] | Buffer, *, prefault: bool = False, lock: bool = False
    ) -> None: ...
    @property
    def path(self) -> str | None: ...
    @property
    def real_path(self) -> str | None: ...
    @property
    def mapping(self) -> Mapping | None: ...
    @property
    def entries(self) -> list[object]: ...
    @property
    def sources(self) -> list[tuple[str, int, int]]: ...
    def changed(self) -> bool: ...
    @property
    def nbytes(self) -> int: ...
    def memory(self) -> Memory: ...
