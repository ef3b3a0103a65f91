from collections.abc import Callable
from typing import Any, final

from typing_extensions import disjoint_base

from ortmmap.session.call import Call
from ortmmap.session.native_options import RunOptions

@disjoint_base
class AsyncRun: ...

@final
class CallbackRun(AsyncRun): ...

def run_with_callback(
    call: Call,
    options: RunOptions,
    callback: Callable[[list[Any], Any, str], object],
    user_data: Any,
) -> None: ...
def end_runs() -> None: ...
