"""Runs cold worker processes, one after another or all alive at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

import numpy as np

from benchmarks import arrays, page_cache
from benchmarks.forms import data_of, form_of
from benchmarks.memory import Memory, PeakPrivate, PeakPss, memory
from benchmarks.models import Case
from benchmarks.rivals import OPENVINO_CACHE, Rival
from benchmarks.worker import IMPORTED, RAN, READY

_REPOSITORY = Path(__file__).resolve().parents[1]
_LEAVE_SECONDS = 30
_STEP_SECONDS = 1800  # a worker that takes longer for one step hangs


class WorkerError(Exception):
    """A worker ended before it was ready; the message has what it wrote to stderr."""


@dataclass(frozen=True)
class Group:
    """What was measured of workers that were alive together; bytes.

    Attributes
    ----------
    private, pss : int or None
        Sums of all workers, having run; None where the system does not tell.
    opened_pss : int or None
        Sum of all workers, having opened and not yet run.
    peak_private, peak_pss : int or None
        The most of the sums while all opened at once.
    ready_ms : float or None
        From the moment when all may open until the last has opened.
    """

    private: int
    pss: int | None
    opened_pss: int | None = None
    peak_private: int | None = None
    peak_pss: int | None = None
    ready_ms: float | None = None


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
        Its memory while it held, having run.
    group : Group
        What was measured of all workers that were alive together.
    """

    figures: dict[str, Any]
    outputs: dict[str, np.ndarray]
    held: Memory
    group: Group

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
    hold_ms : int
        How long a worker waits for the others at each step, at most.
    calls : bool
        Time every way to call a session.
    fork : bool
        Time a run in a forked child.
    together : bool
        The workers of a group open at once; else each when the one before is ready and idle, so
        that none disturbs another's times.
    cold_cache : bool
        Before a group starts, the system drops the model and the caches from memory.
    """

    case: Case
    threads: int
    seconds: float
    starting: Callable[[Rival], None]
    hold_ms: int = 600_000
    calls: bool = False
    fork: bool = False
    together: bool = False
    cold_cache: bool = False

    def warm_up(self, rivals: Sequence[Rival]) -> dict[str, str]:
        """Run one worker of each, not counted: fills the caches, of the system and the rivals'.

        Returns
        -------
        dict of str to str
            Rivals that can't, and the last line of what they said.

        Raises
        ------
        WorkerError
            None can.
        """
        failures: dict[str, str] = {}
        for rival in rivals:
            try:
                self._group(rival, 1)
            except (WorkerError, ValueError) as error:
                failures[rival.name] = str(error)
        if len(failures) == len(rivals):
            raise WorkerError("\n".join(failures.values()))
        return {name: text.strip().splitlines()[-1] for name, text in failures.items()}

    def alternate(self, rivals: Sequence[Rival], repeat: int, workers: int = 1) -> Records:
        """Run groups of workers of one rival each, A B C A B C ...

        None leaves before all of its group have been sampled.

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
        for _ in range(repeat):
            for rival in rivals:
                records[rival.name] += self._group(rival, workers)
        return records

    def _group(self, rival: Rival, count: int) -> list[Record]:
        model = self._model(rival)
        # Read again each time: a system may give back what nobody has touched for a while.
        prepare = page_cache.drop if self.cold_cache else page_cache.read
        prepare([model, data_of(model), *self._caches(rival)])
        with self._feeds() as feeds, ExitStack() as alive:
            if self.together:
                workers = [self._start(rival, model, feeds, alive) for _ in range(count)]
                measured = _open_together(workers)
            else:
                workers = [self._ready(rival, model, feeds, alive) for _ in range(count)]
                measured = {}
            held = [memory(worker.pid) for worker in workers]
            private = sum(one.private for one in held)
            group = Group(private=private, pss=_total_pss(held), **measured)
            pairs = zip(workers, held, strict=True)
            return [worker.record(one, group) for worker, one in pairs]

    def _start(self, rival: Rival, model: Path, feeds: Path, alive: ExitStack) -> _Worker:
        self.starting(rival)
        return alive.enter_context(_Worker(rival.title, self._command(rival, model, feeds)))

    def _ready(self, rival: Rival, model: Path, feeds: Path, alive: ExitStack) -> _Worker:
        worker = self._start(rival, model, feeds, alive)
        worker.wait_until(RAN)
        return worker

    def _model(self, rival: Rival) -> Path:
        return form_of(rival.form, self.case.path.resolve(), self.case.folder)

    def _caches(self, rival: Rival) -> list[Path]:
        """Return the folders that the rival keeps something of its own in."""
        folders = {"ortmmap": self.case.cache, "openvino": self.case.openvino_cache}
        return [folder for module, folder in folders.items() if module == rival.module]

    def _command(self, rival: Rival, model: Path, feeds: Path) -> _Command:
        options = {
            "rival": rival.name,
            "model": model,
            "feeds": feeds,
            "threads": self.threads,
            "seconds": self.seconds,
            "hold-ms": self.hold_ms,
            "started": time.monotonic(),
        }
        flags = {"--lockstep": self.together, "--calls": self.calls, "--fork": self.fork}
        self.case.openvino_cache.mkdir(parents=True, exist_ok=True)
        self.case.cache.parent.mkdir(parents=True, exist_ok=True)  # ortmmap makes its folder itself
        return _Command(
            [
                *(sys.executable, "-m", "benchmarks.worker"),
                *(f"--{name}={value}" for name, value in options.items()),
                *(f"--config={key}={value}" for key, value in rival.entries.items()),
                *(flag for flag, wanted in flags.items() if wanted),
            ],
            {
                "ORTMMAP_CACHE_DIR": os.fspath(self.case.cache),
                OPENVINO_CACHE: os.fspath(self.case.openvino_cache),
            },
        )

    @contextmanager
    def _feeds(self) -> Iterator[Path]:
        """Write the inputs to a temporary file."""
        with TemporaryDirectory() as folder:
            path = Path(folder, "feeds.npz")
            arrays.save(path, self.case.feeds)
            yield path


def _open_together(workers: Sequence[_Worker]) -> dict[str, Any]:
    """Have all open at once, then run; return the fields of `Group` that this measures."""
    for worker in workers:
        worker.wait_until(IMPORTED)
    pids = [worker.pid for worker in workers]
    with PeakPrivate(pids) as private, PeakPss(pids) as pss:
        start = time.perf_counter()
        for worker in workers:
            worker.go_on()
        for worker in workers:
            worker.wait_until(READY)
        ready_ms = (time.perf_counter() - start) * 1e3
    opened = [memory(pid) for pid in pids]
    for worker in workers:
        worker.go_on()
    for worker in workers:
        worker.wait_until(RAN)
    return {
        "opened_pss": _total_pss(opened),
        "peak_private": private.nbytes,
        "peak_pss": pss.nbytes,
        "ready_ms": ready_ms,
    }


def _total_pss(held: Sequence[Memory]) -> int | None:
    sizes = [one.pss for one in held if one.pss is not None]
    return sum(sizes) if len(sizes) == len(held) else None


@dataclass(frozen=True)
class _Command:
    """How a worker is started: its arguments, and what its environment has besides ours."""

    arguments: Sequence[str]
    environment: Mapping[str, str]


def _environment() -> dict[str, str]:
    """Return ours, without what would change how ortmmap comes."""
    return {name: value for name, value in os.environ.items() if name != "ORTMMAP_CACHE"}


class _Worker:
    """One worker process, from its start to its end."""

    def __init__(self, title: str, command: _Command) -> None:
        self._title = title
        self._folder = TemporaryDirectory()
        self._outputs = Path(self._folder.name, "outputs.npz")
        self._errors = Path(self._folder.name, "stderr")
        self._figures: dict[str, Any] = {}
        with self._errors.open("w") as errors:
            self._process = subprocess.Popen(
                [*command.arguments, f"--outputs={self._outputs}"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=_REPOSITORY,
                env=_environment() | command.environment,
            )

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def wait_until(self, step: str) -> None:
        """Read what it measured of itself, until it has reached a step.

        Raises
        ------
        WorkerError
            It ended before, or took too long and was killed.
        """
        watchdog = threading.Timer(_STEP_SECONDS, self._process.kill)
        watchdog.daemon = True
        watchdog.start()
        try:
            if self._reads_until(step):
                return
        finally:
            watchdog.cancel()
        told = self._errors.read_text().strip()
        if not told:
            told = f"it ended before {step}, or was killed after {_STEP_SECONDS} s"
        raise WorkerError(f"{self._title} failed:\n{told}")

    def _reads_until(self, step: str) -> bool:
        assert self._process.stdout
        for line in self._process.stdout:
            if line.startswith("{"):
                self._figures |= json.loads(line)
            if line.strip() == step:
                return True
        return False

    def go_on(self) -> None:
        """Let it take the next step."""
        assert self._process.stdin
        with suppress(BrokenPipeError):  # it has ended: whoever waits for its next step says why
            self._process.stdin.write("\n")
            self._process.stdin.flush()

    def record(self, held: Memory, group: Group) -> Record:
        """Return this and what it measured and put out itself."""
        return Record(self._figures, arrays.load(self._outputs), held, group)

    def close(self) -> None:
        """Let it go, and wait until it has gone."""
        assert self._process.stdin
        assert self._process.stdout
        with suppress(BrokenPipeError):  # what was written to it was never read: it has ended
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
