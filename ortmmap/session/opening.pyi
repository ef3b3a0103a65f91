import os

from typing_extensions import Buffer, disjoint_base

from ortmmap.cache.key import Key
from ortmmap.errors import ModelChangedError
from ortmmap.options import SessionOptions
from ortmmap.session.open_session import OpenSession

class Replaced(ModelChangedError): ...  # noqa: N818 - a result, not an error

@disjoint_base
class Opening:
    def __init__(
        self,
        source: str | os.PathLike[str] | Buffer | OpenSession,
        options: SessionOptions,
        config: dict[str, str],
        providers: list[tuple[str, dict[str, str]]],
        cache: bool | str | os.PathLike[str] | None = None,
        *,
        prefault: bool = False,
        lock: bool = False,
    ) -> None: ...
    def open(self) -> OpenSession: ...
    def cache_key(self) -> tuple[Key | None, tuple[str, ...]]: ...
