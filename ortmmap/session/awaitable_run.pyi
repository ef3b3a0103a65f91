from collections.abc import Mapping, Sequence
from typing import Any, final

from ortmmap.session.call import _Output
from ortmmap.session.native_options import RunOptions

@final
class AwaitableRun:
    def deliver(self) -> None: ...

@final
class LoopReader:
    def __call__(self) -> None: ...

async def awaited(
    session: object,
    output_names: Sequence[str] | None,
    input_feed: Mapping[str, Any],
    run_options: RunOptions | None,
) -> list[_Output]: ...
