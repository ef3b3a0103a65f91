import os
from collections.abc import Mapping as MappingABC
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from typing_extensions import Buffer

from ortmmap._mapping import Mapping
from ortmmap._metadata import ModelMetadata, NodeArg
from ortmmap._options import RunOptions
from ortmmap.options import SessionOptions

class Session:
    def __init__(
        self,
        path_or_bytes: str | os.PathLike | Buffer,
        sess_options: SessionOptions | None = None,
        providers: Sequence[str | tuple[str, dict[Any, Any]]] | None = None,
        provider_options: Sequence[dict[Any, Any]] | None = None,
        *,
        prefault: bool = False,
        lock: bool = False,
        **kwargs: Any,
    ) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
    @property
    def mapping(self) -> Mapping | None: ...
    def close(self) -> None: ...
    def run(
        self,
        output_names: Sequence[str] | None,
        input_feed: MappingABC[str, Any],
        run_options: RunOptions | None = None,
    ) -> list[Any]: ...
    def get_inputs(self) -> list[NodeArg]: ...
    def get_outputs(self) -> list[NodeArg]: ...
    def get_overridable_initializers(self) -> list[NodeArg]: ...
    def get_modelmeta(self) -> ModelMetadata: ...
    def get_session_options(self) -> SessionOptions: ...
    def get_providers(self) -> list[str]: ...
    def get_provider_options(self) -> dict[str, dict[str, str]]: ...
    def end_profiling(self) -> str: ...
    def get_profiling_start_time_ns(self) -> int: ...
