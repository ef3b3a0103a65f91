from typing import NamedTuple

from typing_extensions import Buffer

class Field(NamedTuple):
    number: int
    wire: int
    value: int
    start: int
    stop: int

def fields(data: Buffer, start: int = 0, stop: int | None = None) -> list[Field]: ...
