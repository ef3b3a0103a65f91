"""Measures rivals on models, with progress shown, and hands out the report."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from benchmarks import page_cache
from benchmarks.columns import Column
from benchmarks.difference import difference
from benchmarks.harness import Harness, Records
from benchmarks.machine import machine
from benchmarks.models import Case, Store
from benchmarks.report import Report, Row, as_json, markdown, table
from benchmarks.rivals import RIVALS, Rival

# Wide enough for a table where no terminal says how wide it is.
_WIDTH = 140


@dataclass(frozen=True)
class Request:
    """What the command line asks for.

    Attributes
    ----------
    store : Store
        Where generated models are.
    models, rivals : sequence of str
        What is measured; the first rival that is available is compared with.
    sizes : mapping of str to int
        Sizes of symbolic dimensions.
    threads : int
        Threads of each session.
    entries : mapping of str to str
        Config entries of every session of ONNX Runtime.
    seconds : float
        Of steady runs in each worker.
    hold_ms : int
        How long a worker waits for the others, at most.
    cold_cache : bool
        The system drops models and caches from memory before each opens them.
    json, plot : Path or None
        Files to write.
    markdown : bool
        Print Markdown.
    """

    store: Store
    models: Sequence[str]
    rivals: Sequence[str]
    sizes: Mapping[str, int] = field(default_factory=dict)
    threads: int = 1
    entries: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 1.0
    hold_ms: int = 600_000
    cold_cache: bool = False
    json: Path | None = None
    plot: Path | None = None
    markdown: bool = False

    @property
    def sessions(self) -> str:
        """What all sessions have in common, in words."""
        entries = "".join(f"; {key}={value}" for key, value in self.entries.items())
        return f"Threads of each session: {self.threads}{entries}."


@dataclass(frozen=True)
class Point:
    """What one group of rows measures.

    Attributes
    ----------
    model : str
        What `Store.case` takes.
    workers : int
        Workers in a group.
    axis, at : str, float or None
        What the figures grow with, and how much of it there is.
    name : str or None
        What the rows are called; by default as the model is.
    """

    model: str
    workers: int = 1
    axis: str | None = None
    at: float | None = None
    name: str | None = None


@dataclass(frozen=True)
class Survey:
    """One kind of benchmark.

    Attributes
    ----------
    title, caption : str
        Of the report.
    columns : sequence of Column
        The figures.
    repeat : int
        Groups of each rival at each point, which alternate.
    workers : sequence of int
        Workers in a group; with more than one, figures grow with it.
    together : bool
        Workers of a group open at once.
    calls : bool
        Time every way to call.
    fork : bool
        Time a run in a forked child.
    bare : bool
        Also measure workers that open nothing, as many.
    points : sequence of Point
        What is measured, instead of the models that are asked for.
    """

    title: str
    caption: str
    columns: Sequence[Column]
    repeat: int
    workers: Sequence[int] = (1,)
    together: bool = False
    calls: bool = False
    fork: bool = False
    bare: bool = False
    points: Sequence[Point] = ()

    def run(self, request: Request) -> Report:
        """Measure all that is asked for.

        Raises
        ------
        WorkerError
            No session could be opened and run.
        LookupError
            No rival is available for a model, or there is no such model.
        """
        if request.cold_cache and not page_cache.DROPS:
            raise OSError("this system has no posix_fadvise(2) to drop a file from memory")
        rows: list[Row] = []
        left_out: list[str] = []
        nbytes: dict[str, int] = {}
        with _progress() as progress:
            for model, points in groupby(self._points(request), key=lambda point: point.model):
                task = progress.add_task(f"{model}: preparing", total=None)
                case = request.store.case(model, request.sizes)
                starting = partial(_tell, progress, task, case)
                added, reasons = self._measure(request, case, list(points), starting)
                progress.remove_task(task)
                nbytes[case.name] = case.nbytes
                rows += added
                left_out += reasons
        units = {column.name: column.unit for column in self.columns}
        caption = f"{self.caption} {request.sessions}"
        more = [column.name for column in self.columns if column.more_is_better]
        notes = list(dict.fromkeys(left_out))
        return Report(self.title, caption, units, rows, notes, machine(), more, nbytes)

    def _points(self, request: Request) -> Sequence[Point]:
        if self.points:
            return self.points
        grows = len(self.workers) > 1
        return [
            Point(model, count, "workers" if grows else None, count if grows else None)
            for model in request.models
            for count in self.workers
        ]

    def _measure(
        self,
        request: Request,
        case: Case,
        points: Sequence[Point],
        starting: Callable[[Rival, int], None],
    ) -> tuple[list[Row], list[str]]:
        """Return the rows of one model, and which rivals were left out of it."""
        rivals, left_out = available(case, self._rivals(request), request.entries)
        workers = sum(point.workers for point in points)
        harness = Harness(
            case,
            request.threads,
            request.seconds,
            lambda rival: starting(rival, (1 + self.repeat * workers) * len(rivals)),
            hold_ms=request.hold_ms,
            calls=self.calls,
            fork=self.fork,
            together=self.together,
            cold_cache=request.cold_cache,
        )
        failures = harness.warm_up(rivals)
        left_out += [_left_out(case, RIVALS[name], text) for name, text in failures.items()]
        able = [rival for rival in rivals if rival.name not in failures]
        rows = []
        for point in points:
            records = harness.alternate(able, self.repeat, point.workers)
            rows += self._rows(case, able, records, point)
        return rows, left_out

    def _rivals(self, request: Request) -> list[str]:
        """Return the rivals asked for, and those that open nothing, for what is over theirs."""
        bare = [RIVALS[name].bare for name in request.rivals] if self.bare else []
        return [one for one in dict.fromkeys([*request.rivals, *bare]) if one]

    def _rows(
        self, case: Case, rivals: Sequence[Rival], records: Records, point: Point
    ) -> list[Row]:
        expected = next((records[one.name][0].outputs for one in rivals if one.opens), {})
        plain = Row(point.name or case.name, "", "", {}, None, point.axis, point.at)
        return [
            replace(
                plain,
                rival=rival.name,
                title=rival.title,
                figures={
                    column.name: column.figure(records[rival.name], records.get(rival.bare, ()))
                    for column in self.columns
                },
                difference=difference((one.outputs for one in records[rival.name]), expected)
                if rival.opens
                else None,
            )
            for rival in rivals
        ]


def show(report: Report, request: Request) -> None:
    """Print the report, and write the files asked for."""
    if request.markdown:
        print(markdown(report))
    else:
        Console(width=None if sys.stdout.isatty() else _WIDTH).print(table(report))
    if request.json:
        request.json.parent.mkdir(parents=True, exist_ok=True)
        request.json.write_text(json.dumps(as_json(report), indent=2, ensure_ascii=False) + "\n")
    if request.plot:
        from benchmarks.plot import plot

        plot(report, request.plot)


def available(
    case: Case, names: Sequence[str], entries: Mapping[str, str]
) -> tuple[list[Rival], list[str]]:
    """Return the rivals that can open the model, given config entries, and why others can't."""
    reasons = {name: RIVALS[name].unavailable(case.path) for name in names}
    left_out = [_left_out(case, RIVALS[name], text) for name, text in reasons.items() if text]
    rivals = [RIVALS[name].with_entries(entries) for name, reason in reasons.items() if not reason]
    if not rivals:
        raise LookupError(f"nothing can open {case.name}. {' '.join(left_out)}")
    return rivals, left_out


def _left_out(case: Case, rival: Rival, reason: str) -> str:
    return f"Left out of {case.name}: {rival.title} ({reason})."


def _tell(progress: Progress, task: TaskID, case: Case, rival: Rival, total: int) -> None:
    progress.update(task, description=f"{case.name}: {rival.title}", advance=1, total=total)


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
