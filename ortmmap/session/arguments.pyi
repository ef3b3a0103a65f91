from collections.abc import Sequence
from typing import Any

from ortmmap.options import SessionOptions

def options_of(options: Any) -> SessionOptions: ...
def config_of(kwargs: dict[str, Any]) -> dict[str, str]: ...
def providers_of(
    options: SessionOptions,
    providers: Sequence[Any] | None = None,
    provider_options: Sequence[dict[Any, Any]] | None = None,
) -> list[tuple[str, dict[str, str]]]: ...
def providers_or_none(
    options: SessionOptions,
    providers: Sequence[Any] | None,
    provider_options: Sequence[dict[Any, Any]] | None,
) -> list[tuple[str, dict[str, str]]]: ...
def check_known(options: SessionOptions, providers: Sequence[Any] | None) -> None: ...
