from typing import Self

from typing_extensions import disjoint_base

from ortmmap.cache.recognition import Recognition
from ortmmap.model.weights import Weight

LEAST_ADDRESS_SPACE: int
LONGEST_WAIT: float

@disjoint_base
class Pages:
    def __new__(
        cls,
        fd: int,
        table: list[tuple[int, int]],
        size: int,
        entry: object,
        most_seconds: float | None = None,
        recognition: Recognition | None = None,
    ) -> Self: ...
    @property
    def entry(self) -> object: ...
    @property
    def stand_ins(self) -> list[bytes] | None: ...
    @property
    def dependent(self) -> int: ...

@disjoint_base
class Recording:
    def let(self) -> None: ...
    def release_memory(self) -> None: ...
    def blocks(self) -> list[memoryview]: ...
    def shared_blocks(self) -> tuple[int, int]: ...
    def private_blocks(self) -> tuple[int, int]: ...
    def recognized_blocks(self) -> int: ...

@disjoint_base
class StandIns:
    def __new__(cls, weights: list[Weight]) -> Self: ...
