from typing import NamedTuple

from typing_extensions import Buffer, disjoint_base

DEFAULT_THRESHOLD: int

class TensorBytes(NamedTuple):
    place: str
    start: int
    stop: int
    data: int
    nbytes: int

class Field(NamedTuple):
    number: int
    wire: int
    value: int
    start: int
    stop: int

@disjoint_base
class Skeleton:
    @property
    def model(self) -> bytes | None: ...
    @property
    def externalized(self) -> int: ...
    @property
    def mapped_bytes(self) -> int: ...
    @property
    def inline_bytes(self) -> int: ...
    @property
    def external_bytes(self) -> int: ...
    @property
    def external_locations(self) -> tuple[bytes, ...]: ...
    @property
    def oversized(self) -> bool: ...
    @property
    def tensors(self) -> list[TensorBytes]: ...

def scan(
    data: Buffer, location: bytes, path: str | None = None, threshold: int = ...
) -> Skeleton: ...
def fields(data: Buffer, start: int = 0, stop: int | None = None) -> list[Field]: ...
