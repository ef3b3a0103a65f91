"""A bounded load: so many clients that each ask again as soon as they are answered.

``python -m benchmarks.serve.load --url URL --body FILE`` prints one JSON line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np

_LONGEST = 60.0  # seconds that one request may take


@dataclass(frozen=True)
class Load:
    """What is asked, by how many clients at once, how often and for how long at most."""

    url: str
    body: bytes
    clients: int
    requests: int
    seconds: float


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="benchmarks.serve.load")
    parser.add_argument("--url", required=True)
    parser.add_argument("--body", type=Path, required=True, help="what each request sends")
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--requests", type=int, default=100, help="of all, at most")
    parser.add_argument("--seconds", type=float, default=10.0, help="at most")
    parser.add_argument("--answer", type=Path, help="where to save the first answer")
    options = parser.parse_args()
    body = options.body.read_bytes()
    load = Load(options.url, body, options.clients, options.requests, options.seconds)
    figures, answer = asyncio.run(_measure(load))
    if options.answer:
        options.answer.write_bytes(answer)
    print(json.dumps(figures))


async def _measure(load: Load) -> tuple[dict[str, float], bytes]:
    """Return requests, how many a second, their median and 99th percentile in ms; an answer."""
    # A connection for each request: on one that is kept, a client would stay with one worker.
    limits = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(limits=limits, timeout=_LONGEST, trust_env=False) as http:
        answer = await _ask(http, load)
        times: list[float] = []
        start = time.perf_counter()
        tickets = iter(range(load.requests))
        clients = (_client(http, load, tickets, start, times) for _ in range(load.clients))
        await asyncio.gather(*clients)
        seconds = time.perf_counter() - start
    median, high = np.quantile(times, (0.5, 0.99)).tolist()
    figures = {
        "requests": len(times),
        "per_second": len(times) / seconds,
        "p50_ms": median * 1e3,
        "p99_ms": high * 1e3,
    }
    return figures, answer


async def _client(
    http: httpx.AsyncClient, load: Load, tickets: Iterator[int], start: float, times: list[float]
) -> None:
    """Ask until the tickets, which all clients share, or the time is used up."""
    for _ in tickets:
        begin = time.perf_counter()
        await _ask(http, load)
        end = time.perf_counter()
        times.append(end - begin)
        if end - start > load.seconds:
            return


async def _ask(http: httpx.AsyncClient, load: Load) -> bytes:
    response = await http.post(load.url, content=load.body)
    response.raise_for_status()
    return response.content


if __name__ == "__main__":
    main()
