"""The cost of one call, for each way to call a session."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

_BLOCK_SECONDS = 0.002  # calls are timed in blocks at least this long, for the clock's own cost
_LEAST_BLOCKS = 5

THREADS = (1, 2, 4, 8)


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """Return the milliseconds that an action takes, and its result."""
    start = time.perf_counter()
    result = action()
    return (time.perf_counter() - start) * 1e3, result


def steady(call: Callable[[], Any], seconds: float) -> float:
    """Return the median time of a call in milliseconds, over blocks of calls."""
    once = min(timed(call)[0] for _ in range(3)) / 1e3
    calls = max(1, round(_BLOCK_SECONDS / once))

    def block() -> None:
        for _ in range(calls):
            call()

    blocks: list[float] = []
    end = time.perf_counter() + seconds
    while len(blocks) < _LEAST_BLOCKS or time.perf_counter() < end:
        blocks.append(timed(block)[0])
    return float(np.median(blocks)) / calls


def bound(session: Any, feeds: dict[str, Any], seconds: float) -> float | None:
    """Return the milliseconds of a ``run_with_iobinding``, or None if there is none."""
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


def awaited(session: Any, feeds: dict[str, Any], seconds: float) -> float:
    """Return the milliseconds of an awaited call, or of one in the event loop's pool of threads."""

    async def call() -> None:
        if hasattr(session, "run_awaitable"):
            await session.run_awaitable(None, feeds)
        else:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(None, session.run, None, feeds)

    async def steady_calls() -> float:
        times: list[float] = []
        end = time.perf_counter() + seconds
        while len(times) < _LEAST_BLOCKS or time.perf_counter() < end:
            start = time.perf_counter()
            await call()
            times.append(time.perf_counter() - start)
        return float(np.median(times)) * 1e3

    return asyncio.run(steady_calls())


def throughput(call: Callable[[], Any], threads: int, seconds: float) -> float:
    """Return the calls a second of so many threads that all call without a pause."""
    start = time.perf_counter()

    def work() -> int:
        calls = 0
        while not calls or time.perf_counter() < start + seconds:
            call()
            calls += 1
        return calls

    with ThreadPoolExecutor(threads) as pool:
        jobs = [pool.submit(work) for _ in range(threads)]
    return sum(job.result() for job in jobs) / (time.perf_counter() - start)
