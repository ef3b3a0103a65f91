import asyncio
from collections.abc import Callable
from typing import Any, final

from typing_extensions import disjoint_base

from ortmmap.session.call import Call, _Output
from ortmmap.session.native_options import RunOptions

@disjoint_base
class AsyncRun: ...

@final
class CallbackRun(AsyncRun): ...

@final
class LoopRun(AsyncRun):
    def stop_if_cancelled(self, future: asyncio.Future[Any]) -> None: ...

def run_with_callback(
    call: Call,
    options: RunOptions,
    callback: Callable[[list[Any], Any, str], object],
    user_data: Any,
) -> None: ...
def run_for_loop(
    call: Call, options: RunOptions, loop: asyncio.AbstractEventLoop
) -> asyncio.Future[list[_Output]]: ...
def drop(open_: object) -> None: ...
def resolve(
    future: asyncio.Future[Any], results: list[Any] | None, error: BaseException | None
) -> None: ...
def end_runs() -> None: ...
