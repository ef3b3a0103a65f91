from typing import NamedTuple, final

from typing_extensions import disjoint_base

LARGE: int
FORK_VARIABLE: str
REOPEN: str
FOREIGN: tuple[str, ...]

class Memory(NamedTuple):
    mapped: int
    resident: int
    shared: int
    private: int
    shared_blocks: int
    private_blocks: int
    recognized_blocks: int

@final
class OpenSession:
    def memory(self) -> Memory: ...

@disjoint_base
class Binding: ...
