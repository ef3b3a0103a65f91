"""Measures rivals on models, with progress shown, and hands out the report."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
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

from benchmarks.columns import Column
from benchmarks.difference import difference
from benchmarks.harness import Harness, Records
from benchmarks.machine import machine
from benchmarks.models import Case, Store
from benchmarks.plot import plot
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
    seconds : float
        Of steady runs in each worker.
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
    seconds: float = 1.0
    json: Path | None = None
    plot: Path | None = None
    markdown: bool = False


@dataclass(frozen=True)
class Survey:
    """One kind of benchmark.

    Attributes
    ----------
    title, caption : str
        Of the report.
    columns : sequence of Column
        The figures.
    repeat, workers : int
        Groups of each rival on each model, which alternate, and workers in each.
    """

    title: str
    caption: str
    columns: Sequence[Column]
    repeat: int
    workers: int = 1

    def run(self, request: Request) -> Report:
        """Measure all that is asked for.

        Raises
        ------
        WorkerError
            A session could not be opened or run.
        LookupError
            No rival is available for a model.
        """
        rows: list[Row] = []
        left_out: list[str] = []
        with _progress() as progress:
            for model in request.models:
                task = progress.add_task(f"{model}: preparing", total=None)
                case = request.store.case(model, request.sizes)
                rivals, reasons = available(case, request.rivals)
                progress.update(task, total=self.repeat * self.workers * len(rivals))
                starting = partial(_tell, progress, task, case)
                harness = Harness(case, request.threads, request.seconds, starting)
                records = harness.alternate(rivals, self.repeat, self.workers)
                rows += self._rows(case, rivals, records)
                left_out += reasons
        units = {column.name: column.unit for column in self.columns}
        caption = f"{self.caption} Threads of each session: {request.threads}."
        return Report(self.title, caption, units, rows, left_out, machine())

    def _rows(self, case: Case, rivals: Sequence[Rival], records: Records) -> list[Row]:
        expected = records[rivals[0].name][0].outputs
        return [
            Row(
                case.name,
                rival.name,
                rival.title,
                {column.name: column.figure(records[rival.name]) for column in self.columns},
                difference((record.outputs for record in records[rival.name]), expected),
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
        request.json.write_text(json.dumps(as_json(report), indent=2, ensure_ascii=False) + "\n")
    if request.plot:
        plot(report, request.plot)


def available(case: Case, names: Sequence[str]) -> tuple[list[Rival], list[str]]:
    """Return the rivals that can open the model, and why others can't."""
    reasons = {name: RIVALS[name].unavailable(case.path) for name in names}
    left_out = [
        f"Left out of {case.name}: {RIVALS[name].title} ({reason})."
        for name, reason in reasons.items()
        if reason
    ]
    rivals = [RIVALS[name] for name, reason in reasons.items() if not reason]
    if not rivals:
        raise LookupError(f"nothing can open {case.name}. {' '.join(left_out)}")
    return rivals, left_out


def _tell(progress: Progress, task: TaskID, case: Case, rival: Rival) -> None:
    progress.update(task, description=f"{case.name}: {rival.title}", advance=1)


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
