"""Runs on ONNX Runtime's threads: a callback, and several that are awaited at once."""

import asyncio
import threading
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

import ortmmap


@dataclass
class Job:
    number: int
    done: threading.Event = field(default_factory=threading.Event)
    result: npt.NDArray[np.float32] | None = None
    error: str = ""


def finished(results: list[npt.NDArray[np.float32]], job: Job, error: str) -> None:
    if error:
        job.error = error
    else:
        job.result = results[0]
    job.done.set()


def with_callback(session: ortmmap.Session, x: npt.NDArray[np.float32]) -> Job:
    job = Job(1)
    session.run_async(["y"], {"x": x}, finished, job)
    assert job.done.wait(60)
    return job


async def together(session: ortmmap.Session, count: int) -> list[float]:
    inputs = [np.full((1, 8), number, np.float32) for number in range(count)]
    runs = [session.run_awaitable(["y"], {"x": x}) for x in inputs]
    results = await asyncio.gather(*runs)
    return [float(outputs[0].sum()) for outputs in results]


async def bounded(session: ortmmap.Session, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    (y,) = await asyncio.wait_for(session.run_awaitable(None, {"x": x}), timeout=60)
    return y


def main(path: str) -> None:
    options = ortmmap.SessionOptions()
    options.intra_op_num_threads = 2
    x = np.ones((2, 8), np.float32)
    with ortmmap.Session(path, options, cache=False) as session:
        job = with_callback(session, x)
        assert job.result is not None
        assert not job.error
        assert job.result.shape == (2, 4)
        assert len(asyncio.run(together(session, 3))) == 3
        assert np.array_equal(asyncio.run(bounded(session, x)), job.result)
