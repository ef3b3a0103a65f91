"""Groups of cold worker processes, one group after another."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any, Self

import psutil

from benchmarks import arrays, free_memory, page_cache
from benchmarks.arrays import Arrays
from benchmarks.calls import timed
from benchmarks.forms import data_of, form_of
from benchmarks.memory import peak_private, total_pss
from benchmarks.models import Case, Store
from benchmarks.rivals import Rival
from benchmarks.worker import IMPORTED, RAN, READY, Task

_REPOSITORY = Path(__file__).resolve().parents[1]
_LEAVE_SECONDS = 20
_STEP_SECONDS = 1800  # a process that takes longer for one step hangs


class WorkerError(RuntimeError):
    """A process ended or hung before it was ready; the message has its stderr."""


@dataclass(frozen=True)
class Request:
    """What to measure, and under which conditions."""

    store: Store
    models: Sequence[str]
    rivals: Sequence[str]  # the others are compared with the first that is available
    sizes: Mapping[str, Any] = field(default_factory=dict)  # of symbolic dimensions
    threads: int = 1  # of each session
    entries: Mapping[str, str] = field(default_factory=dict)  # config entries of every session
    seconds: float = 1.0  # of steady runs in each worker
    repeat: int = 1  # groups of each rival at each point
    sampled: bool = False  # the memory of each process while it opens, which disturbs it
    cold_cache: bool = False  # models and caches are dropped from memory before each group


@dataclass(frozen=True)
class Record:
    """What was measured of one worker."""

    figures: dict[str, Any]  # its own: see `benchmarks.worker`
    outputs: Arrays
    group: dict[str, Any]  # one object for all workers that were alive together


@contextmanager
def prepared(request: Request, case: Case, rival: Rival) -> Iterator[Callable[..., Task]]:
    """Yield a function that makes the task of a worker, of its index and of more fields.

    The model and the cache are read into memory, each time since a system may drop pages that were
    not used for a while; or they are dropped from it, if the request says so. The native libraries
    are read in any case, and free memory is touched.
    """
    model = form_of(rival.form, case.path.resolve(), case.folder)
    cache = case.cache(rival.module)
    prepare = page_cache.drop if request.cold_cache else page_cache.read
    prepare([model, data_of(model), cache])
    page_cache.read(rival.libraries())
    free_memory.touch()
    with TemporaryDirectory(dir=cache.parent) as folder:
        feeds = Path(folder, "feeds.npz")
        arrays.save(feeds, case.feeds)

        def task(index: int, **more: Any) -> Task:
            return Task(
                rival=rival.name,
                entries=dict(rival.entries),
                threads=request.threads,
                model=str(model),
                cache=str(Path(folder, str(index)) if rival.empty_cache else cache),
                feeds=str(feeds),
                outputs=str(Path(folder, f"{index}.npz")),
                started=time.monotonic(),
                seconds=request.seconds,
                **more,
            )

        yield task


@dataclass(frozen=True)
class Workers:
    """Measures groups of worker processes; none leaves before all have held."""

    calls: bool = False  # time every way to call a session
    fork: bool = False  # time a run in a forked child
    together: bool = False  # open at once, not one by one while those before are idle

    def measure(self, request: Request, case: Case, rival: Rival, count: int) -> list[Record]:
        """Run one group; return a record of each worker, or of the process that forks them."""
        with prepared(request, case, rival) as task, ExitStack() as alive:
            more = {"calls": self.calls, "fork": self.fork}
            more["copies"] = count * rival.preload
            workers: list[Process] = []
            for index in range(1 if rival.preload else count):
                workers.append(alive.enter_context(Process(rival.title, task(index, **more))))
                if not self.together:
                    peak = _pass_steps(workers[-1:], 0.001 if request.sampled else None)
                    workers[-1].figures["peak"] = {"private": peak["peak_private"]}
            group = _pass_steps(workers, 0.02) if self.together else {}
            group["pss"] = total_pss([pid for worker in workers for pid in worker.family()])
            outputs = [arrays.load(Path(one.task.outputs)) for one in workers]
            if not rival.empty_cache:
                _end(workers)
            return [Record(x.figures, y, group) for x, y in zip(workers, outputs, strict=True)]


class Process:
    """``python -m MODULE TASK``, a module of the benchmarks, until the block ends."""

    def __init__(self, title: str, task: Task, module: str = "benchmarks.worker") -> None:
        self.figures: dict[str, Any] = {}
        self.task = task
        self._title = title
        self._errors = TemporaryFile("w+")  # noqa: SIM115 - closed on exit
        ours = {name: value for name, value in os.environ.items() if name != "ORTMMAP_CACHE"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, json.dumps(asdict(task))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=_REPOSITORY,
            start_new_session=True,
            env=ours | {"ORTMMAP_CACHE_DIR": task.cache},
        )
        self.pid = self._process.pid
        threading.Thread(target=self._end_group, daemon=True).start()

    def _end_group(self) -> None:
        """Once it has ended, kill the processes that it has left behind: they hold its pipes."""
        self._process.wait()
        with suppress(AttributeError, ProcessLookupError):  # Windows has no process groups
            os.killpg(self.pid, signal.SIGKILL)

    def wait_until(self, step: str) -> str:
        """Read its figures until it has reached a step; return the last line before."""
        watchdog = threading.Timer(_STEP_SECONDS, self._process.kill)
        watchdog.start()
        last = ""
        try:
            for line in self._process.stdout:
                if line.strip() == step:
                    return last
                last = line.strip()
                if line.startswith("{"):
                    self.figures |= json.loads(line)
        finally:
            watchdog.cancel()
        self._process.wait()
        self._errors.seek(0)
        reason = f"it ended before {step}, or was killed after {_STEP_SECONDS} s"
        raise WorkerError(f"{self._title} failed:\n{self._errors.read().strip() or reason}")

    def wait(self) -> None:
        """Wait until it ends by itself, for a while."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_LEAVE_SECONDS)

    def go_on(self) -> None:
        """Let it take the next step."""
        with suppress(BrokenPipeError):  # it has ended: `wait_until` says why
            self._process.stdin.write("\n")
            self._process.stdin.flush()

    def family(self) -> list[int]:
        """Return the ids of the process and of those that it has started."""
        process = psutil.Process(self.pid)
        return [self.pid, *(one.pid for one in process.children(recursive=True))]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.terminate()
        self.wait()
        self._process.kill()
        with suppress(BrokenPipeError):  # it ended with a line unread
            self._process.communicate()
        self._errors.close()


def _pass_steps(workers: Sequence[Process], seconds: float | None) -> dict[str, Any]:
    """Let workers take each step at once; return the time until all have opened, and the peak.

    Their memory is sampled from here, `seconds` apart: a thread of their own would disturb them
    more. None: it is not sampled.
    """
    for worker in workers:
        worker.wait_until(IMPORTED)
    sampled = [] if seconds is None else [worker.pid for worker in workers]
    with peak_private(sampled, seconds or 0) as peak:
        ready_ms, _ = timed(lambda: _go_on_until(READY, workers))
    _go_on_until(RAN, workers)
    return {"ready_ms": ready_ms, "peak_private": peak.nbytes}


def _end(workers: Sequence[Process]) -> None:
    """Let workers end, which first do what nobody waits for: they learn of the cache's entries."""
    for worker in workers:
        worker.go_on()
    for worker in workers:
        worker.wait()


def _go_on_until(step: str, workers: Sequence[Process]) -> None:
    for worker in workers:
        worker.go_on()
    for worker in workers:
        worker.wait_until(step)
