"""What one call costs, of each way to call a session."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np

_BLOCK_SECONDS = 0.002  # the least time that is taken at once, so that the clock's own is nothing
_LEAST_BLOCKS = 5

THREADS = (1, 2, 4, 8)


def steady(call: Callable[[], Any], seconds: float) -> float:
    """Return the median time of a call in milliseconds, over blocks of calls."""
    once = min(_block(call, 1) for _ in range(3))
    calls = max(1, round(_BLOCK_SECONDS / once))
    blocks: list[float] = []
    end = time.perf_counter() + seconds
    while len(blocks) < _LEAST_BLOCKS or time.perf_counter() < end:
        blocks.append(_block(call, calls))
    return float(np.median(blocks)) / calls * 1e3


def _block(call: Callable[[], Any], calls: int) -> float:
    """Return the seconds that so many calls take."""
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return time.perf_counter() - start


def bound(session: Any, feeds: dict[str, Any], seconds: float) -> float | None:
    """Return the milliseconds of a call of ``run_with_iobinding``; None where there is none."""
    if not hasattr(session, "io_binding"):
        return None
    binding = session.io_binding()
    try:
        for name, value in feeds.items():
            binding.bind_cpu_input(name, value)
    except RuntimeError:  # onnxruntime binds no strings
        return None
    for output in session.get_outputs():
        binding.bind_output(output.name)
    return steady(lambda: session.run_with_iobinding(binding), seconds)


def awaited(session: Any, feeds: dict[str, Any], seconds: float) -> float | None:
    """Return the milliseconds of an awaited call; None where there is none.

    onnxruntime calls back from a thread of its own; what makes that awaitable is written here as
    its users write it.
    """
    if not hasattr(session, "run_async"):
        return None
    callers: set[int] = set()
    run = getattr(session, "run_awaitable", None) or _awaitable(session, callers)
    taken = asyncio.run(_steady_awaits(run, feeds, seconds))
    # onnxruntime's session, when it goes, waits for its threads and keeps the interpreter lock:
    # none may be on its way out of a callback.
    while callers & sys._current_frames().keys():
        time.sleep(0.001)
    return taken


def _awaitable(session: Any, callers: set[int]) -> Callable[[None, dict[str, Any]], Awaitable[Any]]:
    """Make an awaitable run of callbacks; `callers` gets the threads that call back."""

    def run(_names: None, feeds: dict[str, Any]) -> Awaitable[Any]:
        loop = asyncio.get_running_loop()
        future = loop.create_future()

        def settle(outputs: Any, error: str) -> None:
            if error:
                future.set_exception(RuntimeError(error))
            else:
                future.set_result(outputs)

        def called_back(outputs: Any, _data: Any, error: str) -> None:
            callers.add(threading.get_ident())
            loop.call_soon_threadsafe(settle, outputs, error)

        session.run_async(None, feeds, called_back, None)
        return future

    return run


async def _steady_awaits(
    run: Callable[[None, dict[str, Any]], Awaitable[Any]], feeds: dict[str, Any], seconds: float
) -> float:
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < _LEAST_BLOCKS or time.perf_counter() < end:
        start = time.perf_counter()
        await run(None, feeds)
        times.append(time.perf_counter() - start)
    return float(np.median(times)) * 1e3


def throughput(call: Callable[[], Any], threads: int, seconds: float) -> float:
    """Return the calls a second of so many threads that call at once, each all the time."""
    counts = [0] * threads
    start = threading.Barrier(threads + 1)
    over = threading.Event()

    def work(index: int) -> None:
        start.wait()
        while not over.is_set():
            call()
            counts[index] += 1

    workers = [threading.Thread(target=work, args=(index,)) for index in range(threads)]
    for worker in workers:
        worker.start()
    start.wait()
    began = time.perf_counter()
    time.sleep(seconds)
    over.set()
    for worker in workers:
        worker.join()
    return sum(counts) / (time.perf_counter() - began)
