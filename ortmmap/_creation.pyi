from typing import Any

from ortmmap._model import Model
from ortmmap._onnx import Skeleton

MOST_REWRITTEN: int

class Refused(Exception): ...  # noqa: N818

def save_optimized(
    model: Model,
    skeleton: Skeleton,
    options: Any,
    config: dict[str, str],
    providers: list[tuple[str, dict[str, str]]],
    draft: Any,
) -> None: ...
