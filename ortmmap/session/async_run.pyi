import asyncio
from typing import Any, final

from typing_extensions import disjoint_base

@disjoint_base
class AsyncRun: ...

@final
class CallbackRun(AsyncRun): ...

@final
class LoopRun(AsyncRun):
    def stop_if_cancelled(self, future: asyncio.Future[Any]) -> None: ...

def drop(open_: object) -> None: ...
def resolve(
    future: asyncio.Future[Any], results: list[Any] | None, error: BaseException | None
) -> None: ...
def end_runs() -> None: ...
