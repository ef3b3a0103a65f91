from typing import Any, Self, final

from typing_extensions import disjoint_base

from ortmmap.model.skeleton import Skeleton
from ortmmap.model.source import ModelSource
from ortmmap.options import SessionOptions

@final
class Attempt:
    def __init__(
        self,
        options: SessionOptions,
        config: dict[str, str],
        data: bytes | None = None,
        file: str | None = None,
        weights: list | None = None,
    ) -> None: ...

@disjoint_base
class Creation:
    def __new__(
        cls,
        model: ModelSource,
        skeleton: Skeleton | None,
        options: SessionOptions,
        config: dict[str, str],
        providers: list[tuple[str, dict[str, str]]],
        *args: Any,
    ) -> Self: ...
