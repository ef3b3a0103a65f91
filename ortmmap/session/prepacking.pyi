from typing import Any

from typing_extensions import disjoint_base

from ortmmap.model.skeleton import Skeleton
from ortmmap.model.source import ModelSource
from ortmmap.options import SessionOptions
from ortmmap.session.creation import Creation

PAGES_FILE: str

def is_prepacked(options: SessionOptions) -> bool: ...

@disjoint_base
class PrepackedCreation(Creation):
    def __init__(
        self,
        model: ModelSource,
        skeleton: Skeleton | None,
        options: SessionOptions,
        config: dict[str, str],
        providers: list[tuple[str, dict[str, str]]],
        store: Any,
        key: Any,
    ) -> None: ...
