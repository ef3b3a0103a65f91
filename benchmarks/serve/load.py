"""A server from its start to its end, and its load: clients that ask again once answered."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO

import httpx
import numpy as np

from benchmarks import arrays
from benchmarks.calls import timed
from benchmarks.harness import Process, Record, Request, WorkerError, prepared
from benchmarks.memory import total_pss
from benchmarks.models import Case
from benchmarks.rivals import Rival
from benchmarks.worker import READY

_LONGEST_SECONDS = 60  # of one request


@dataclass(frozen=True)
class Servers:
    """Measures servers under load: one server and its workers are one group."""

    clients: int  # that ask at once
    requests: int  # of all clients together, at most; `Request.seconds` bounds them too

    def measure(self, request: Request, case: Case, rival: Rival, count: int) -> list[Record]:
        """Serve, load, and take the memory once all is answered; return one record."""
        with served(request, case, rival, count) as (server, url):
            figures, answer = self.load(f"{url}/run", arrays.to_bytes(case.feeds), request.seconds)
            group = {"pss": total_pss(server.family())}
        return [Record(server.figures | figures, arrays.load(BytesIO(answer)), group)]

    def load(self, url: str, body: bytes, seconds: float) -> tuple[dict[str, float], bytes]:
        """Ask until there were enough requests, or seconds; return the figures and one answer."""
        # A new connection for each request: on a kept one, a client would stay with one worker.
        options = {"limits": httpx.Limits(max_keepalive_connections=0), "trust_env": False}
        tickets = iter(range(self.requests))  # shared by all clients

        def client(_index: int) -> list[float]:
            times = []
            for _ in tickets:
                times.append(timed(ask)[0])
                if time.perf_counter() - start > seconds:
                    break
            return times

        with (
            httpx.Client(timeout=_LONGEST_SECONDS, **options) as http,
            ThreadPoolExecutor(self.clients) as pool,
        ):

            def ask() -> bytes:
                return http.post(url, content=body).raise_for_status().content

            try:
                answer = ask()
                start = time.perf_counter()
                times = [one for each in pool.map(client, range(self.clients)) for one in each]
            except httpx.HTTPError as error:
                raise WorkerError(f"the load failed: {error}") from error
            per_second = len(times) / (time.perf_counter() - start)
        median, high = np.quantile(times, (0.5, 0.99)).tolist()
        figures = {"requests": len(times), "per_second": per_second}
        return figures | {"p50_ms": median, "p99_ms": high}, answer


@contextmanager
def served(
    request: Request, case: Case, rival: Rival, workers: int
) -> Iterator[tuple[Process, str]]:
    """Serve a model by so many workers; yield the server and its URL once all are ready."""
    if rival.preload:
        raise ValueError("uvicorn does not fork its workers")
    with prepared(request, case, rival) as make_task:
        task = make_task(0, copies=workers)
        with Process(rival.title, task, "benchmarks.serve.server") as server:
            port = server.wait_until(READY)
            for _ in range(workers - 1):
                server.wait_until(READY)
            server.figures["ready_ms"] = (time.monotonic() - task.started) * 1e3
            yield server, f"http://127.0.0.1:{port}"
