from typing import Any

from ortmmap._model import Model
from ortmmap._onnx import Skeleton

LARGEST_ORT: int

def save_optimized(
    model: Model,
    skeleton: Skeleton | None,
    options: Any,
    config: dict[str, str],
    providers: list[tuple[str, dict[str, str]]],
    size: int,
    draft: Any,
) -> None: ...
