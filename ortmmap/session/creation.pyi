from typing import Any

from ortmmap.model.skeleton import Skeleton
from ortmmap.session.model import Model

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
