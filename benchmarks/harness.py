"""Runs cold worker processes, one after another or all alive at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

import numpy as np

from benchmarks.memory import Memory, memory
from benchmarks.models import Case
from benchmarks.rivals import Rival
from benchmarks.worker import READY

_REPOSITORY = Path(__file__).resolve().parents[1]
_HOLD_MS = 600_000
_LEAVE_SECONDS = 30
_CHUNK = 1 << 24


class WorkerError(Exception):
    """A worker ended before it was ready; the message has what it wrote to stderr."""


@dataclass(frozen=True)
class Record:
    """What was measured of one worker.

    Attributes
    ----------
    figures : dict
        What it measured of itself; see `benchmarks.worker`.
    outputs : dict of str to ndarray
        What its session put out.
    held : Memory
        Its memory while it held.
    total_pss : int or None
        Proportional set sizes, at that time, of all workers that were alive together.
    """

    figures: dict[str, Any]
    outputs: dict[str, np.ndarray]
    held: Memory
    total_pss: int | None

    def private_growth(self, begin: str, end: str) -> int:
        """Return the bytes of private memory that were added between two stages."""
        return self.figures[end]["private"] - self.figures[begin]["private"]


Records = dict[str, list[Record]]


@dataclass(frozen=True)
class Harness:
    """Runs workers on one case.

    Attributes
    ----------
    case : Case
        The model file and its inputs.
    threads : int
        Threads of each session.
    seconds : float
        Of steady runs in each worker.
    starting : callable
        Told of the rival whenever a worker of it is about to start.
    """

    case: Case
    threads: int
    seconds: float
    starting: Callable[[Rival], None]

    def alternate(self, rivals: Sequence[Rival], repeat: int, workers: int = 1) -> Records:
        """Run groups of workers of one rival each, A B C A B C ..., after one worker of each.

        The workers of a group start one after another, each when the one before is ready and
        idle, so that none disturbs another's times; none leaves before all have been sampled.

        Parameters
        ----------
        rivals : sequence of Rival
            The rivals.
        repeat : int
            Groups of each rival.
        workers : int
            Workers in a group.

        Returns
        -------
        dict of str to list of Record
            The records of each rival, ``repeat * workers`` of them.
        """
        records: Records = {rival.name: [] for rival in rivals}
        with self._prepared() as feeds:
            for rival in rivals:  # not counted: fills the caches, of the system and of ortmmap
                self._group(rival, feeds, 1)
            for _ in range(repeat):
                for rival in rivals:
                    records[rival.name] += self._group(rival, feeds, workers)
        return records

    def _group(self, rival: Rival, feeds: Path, count: int) -> list[Record]:
        with ExitStack() as alive:
            workers = [alive.enter_context(self._worker(rival, feeds)) for _ in range(count)]
            held = [worker.memory() for worker in workers]
            sizes = [one.pss for one in held if one.pss is not None]
            total = sum(sizes) if len(sizes) == count else None
            return [worker.record(one, total) for worker, one in zip(workers, held, strict=True)]

    def _worker(self, rival: Rival, feeds: Path) -> _Worker:
        self.starting(rival)
        worker = _Worker(self, rival, feeds)
        try:
            worker.wait_until_ready()
        except BaseException:
            worker.close()
            raise
        return worker

    @contextmanager
    def _prepared(self) -> Iterator[Path]:
        """Write the inputs to a temporary file, and read the model into the page cache."""
        with self.case.path.open("rb", buffering=0) as file:
            while file.read(_CHUNK):
                pass
        with TemporaryDirectory() as folder:
            feeds = Path(folder, "feeds.npz")
            np.savez(feeds, **self.case.feeds)
            yield feeds


class _Worker:
    """One worker process, from its start to its end."""

    def __init__(self, harness: Harness, rival: Rival, feeds: Path) -> None:
        self._title = rival.title
        self._folder = TemporaryDirectory()
        self._outputs = Path(self._folder.name, "outputs.npz")
        self._errors = Path(self._folder.name, "stderr")
        self._figures: dict[str, Any] = {}
        with self._errors.open("w") as errors:
            self._process = subprocess.Popen(
                self._command(harness, rival, feeds),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=_REPOSITORY,
                env=os.environ | {"ORTMMAP_CACHE_DIR": os.fspath(harness.case.cache)},
            )

    def _command(self, harness: Harness, rival: Rival, feeds: Path) -> list[str]:
        options = {
            "rival": rival.name,
            "model": harness.case.path.resolve(),
            "feeds": feeds,
            "outputs": self._outputs,
            "threads": harness.threads,
            "seconds": harness.seconds,
            "hold-ms": _HOLD_MS,
            "started": time.monotonic(),
        }
        command = [sys.executable, "-m", "benchmarks.worker"]
        return command + [f"--{name}={value}" for name, value in options.items()]

    def wait_until_ready(self) -> None:
        """Read what it measured of itself."""
        assert self._process.stdout
        for line in self._process.stdout:
            if line.strip() == READY:
                return
            self._figures = json.loads(line)
        raise WorkerError(f"{self._title} failed:\n{self._errors.read_text().strip()}")

    def memory(self) -> Memory:
        """Return its memory at this moment."""
        return memory(self._process.pid)

    def record(self, held: Memory, total_pss: int | None) -> Record:
        """Return this and what it measured and put out itself."""
        with np.load(self._outputs) as saved:
            outputs = dict(saved)
        return Record(self._figures, outputs, held, total_pss)

    def close(self) -> None:
        """Let it go, and wait until it has gone."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        try:
            self._process.wait(_LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
