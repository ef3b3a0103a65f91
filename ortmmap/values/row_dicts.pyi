from typing import final

from ortmmap.values.value import Value

@final
class RowDicts:
    def __new__(cls, labels: list[int] | list[str]) -> RowDicts: ...
    def of(self, tensor: Value) -> list[dict[int | str, float]]: ...
