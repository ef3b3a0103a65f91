from typing import Any

from typing_extensions import disjoint_base

from ortmmap.options import SessionOptions

@disjoint_base
class Reopenable:
    @property
    def source(self) -> Any: ...
    @property
    def options(self) -> SessionOptions: ...
    @property
    def providers(self) -> list[tuple[str, dict[str, str]]]: ...
