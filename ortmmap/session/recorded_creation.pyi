from typing import Any

from typing_extensions import disjoint_base

from ortmmap.cache.entry import Entry
from ortmmap.cache.recognition import Recognition
from ortmmap.model.skeleton import Skeleton
from ortmmap.model.source import ModelSource
from ortmmap.options import SessionOptions
from ortmmap.session.creation import Creation

NO_PREPACKING: str
ENVIRONMENT_ALLOCATORS: str
PAGES_FILE: str

def is_prepacked(options: SessionOptions) -> bool: ...
def read_recognition(entry: Entry, blocks: int) -> Recognition | None: ...

@disjoint_base
class RecordedCreation(Creation):
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
