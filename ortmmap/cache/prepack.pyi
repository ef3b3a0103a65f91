from typing import Self

from typing_extensions import Buffer, disjoint_base

@disjoint_base
class Pages:
    def __new__(
        cls, fd: int, view: Buffer, table: list[tuple[int, int]], entry: object
    ) -> Self: ...
    @property
    def entry(self) -> object: ...

@disjoint_base
class Recording:
    def blocks(self) -> list[memoryview]: ...
    def shared_blocks(self) -> tuple[int, int]: ...
    def private_blocks(self) -> tuple[int, int]: ...
