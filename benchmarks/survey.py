"""Rivals measured on models, in turn, with progress shown."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from statistics import median

from rich.console import Console
from rich.progress import Progress

from benchmarks import page_cache
from benchmarks.arrays import difference
from benchmarks.columns import PEAK, Column
from benchmarks.harness import Record, Request, WorkerError
from benchmarks.machine import machine
from benchmarks.models import Case
from benchmarks.report import Report, Row
from benchmarks.rivals import RIVALS, Rival

Records = dict[str, list[Record]]  # by rival

_ALTERNATE = "Medians and quartiles of cold processes that alternate between the rivals."
_DROPPED = "Files are dropped from memory before each."


@dataclass(frozen=True)
class Point:
    """What one group of rows measures."""

    model: str  # as `Store.case` takes it
    workers: int = 1  # in a group
    axis: str | None = None  # what the figures grow with
    at: float | None = None  # how much of it there is
    name: str | None = None  # of the rows; by default the model's


@dataclass(frozen=True)
class Survey:
    """One kind of benchmark."""

    columns: Sequence[Column]
    measure: Callable[[Request, Case, Rival, int], list[Record]]  # one group of workers
    workers: Sequence[int] = (1,)  # in a group; with several numbers, figures grow with it
    bare: bool = False  # also measure as many processes that open nothing
    points: Sequence[Point] = ()  # instead of the models of a request

    def run(self, request: Request, title: str, caption: str) -> Report:
        """Measure all that is requested; the meaning of columns is added to the caption.

        Raises LookupError if there is no such model, or no rival can open and run it.
        """
        if request.cold_cache and not page_cache.DROPS:
            raise OSError("this system has no posix_fadvise(2) to drop a file from memory")
        axis = "workers" if len(self.workers) > 1 else None
        points = self.points or [
            Point(model, count, axis, count if axis else None)
            for model in request.models
            for count in self.workers
        ]
        rows: list[Row] = []
        left_out: list[str] = []
        with Progress(console=Console(stderr=True), transient=True) as progress:
            for model, of_model in groupby(points, key=lambda point: point.model):
                added, reasons = self._measure(request, model, list(of_model), progress)
                rows += added
                left_out += reasons
        meanings = [f"{one.name}: {one.meaning}" for one in self.columns if one.meaning]
        meanings += [f"threads of each session: {request.threads}"]
        meanings += [f"{key}={value}" for key, value in request.entries.items()]
        said = [_ALTERNATE, _DROPPED * request.cold_cache, caption, f"{'; '.join(meanings)}."]
        caption = " ".join(" ".join(said).split())
        units = {column.name: column.unit for column in self.columns}
        more = [column.name for column in self.columns if column.more_is_better]
        return Report(title, caption, units, rows, left_out, machine(), more)

    def _measure(
        self, request: Request, model: str, points: Sequence[Point], progress: Progress
    ) -> tuple[list[Row], list[str]]:
        """Return the rows of one model, and the rivals that were left out of it."""
        task = progress.add_task("", total=None)

        def step(text: str, **more: int) -> None:
            progress.update(task, description=text, **more)
            if not progress.console.is_terminal:
                progress.console.print(text, soft_wrap=True, highlight=False)

        step(f"{model}: preparing")
        case = request.store.case(model, request.sizes)
        bare = [RIVALS[name].bare for name in request.rivals] if self.bare else []
        chosen = [RIVALS[name] for name in dict.fromkeys([*request.rivals, *bare])]
        reasons = {one.title: one.unavailable(case.path) for one in chosen}
        rivals = [one.with_entries(request.entries) for one in chosen if not reasons[one.title]]
        samples = any(one.path == PEAK.path for one in self.columns)
        total = (1 + (request.repeat + samples) * len(points)) * len(rivals)

        def measure(rival: Rival, count: int, request: Request = request) -> list[Record]:
            step(f"{case.name}: {rival.title}", advance=1, total=total)
            return self.measure(request, case, rival, count)

        for rival in rivals:  # one worker of each fills the caches, and is not counted
            try:
                measure(rival, 1)
            except (WorkerError, ValueError) as error:
                reasons[rival.title] = str(error).strip().splitlines()[-1]
        left_out = [f"Left out of {case.name}: {x} ({why})." for x, why in reasons.items() if why]
        able = [one for one in rivals if not reasons[one.title]]
        if not any(one.opens for one in able):
            raise LookupError(f"nothing can open {case.name}. {' '.join(left_out)}")
        rows = []
        for point in points:
            records: Records = {rival.name: [] for rival in able}
            for _ in range(request.repeat):
                for rival in able:
                    records[rival.name] += measure(rival, point.workers)
            for rival in able if samples else ():  # by a process that is not timed
                again = replace(request, sampled=True, seconds=0)
                [sampled, *_] = measure(rival, point.workers, again)
                for one in records[rival.name]:
                    one.figures["peak"] = sampled.figures["peak"]
            rows += self._rows(case.name, able, records, point)
        progress.remove_task(task)
        return rows, left_out

    def _rows(self, name: str, rivals: list[Rival], records: Records, point: Point) -> list[Row]:
        expected = next(records[one.name][0].outputs for one in rivals if one.opens)
        rows = []
        for rival in rivals:
            found = records[rival.name]
            for figure in ("pss", "first_ms"):
                bare = [one.group.get(figure) for one in records.get(rival.bare, ())]
                for one in found if bare and None not in bare else ():
                    one.group[f"bare_{figure}"] = median(bare)
            figures = {column.name: column.figure(found) for column in self.columns}
            differ = difference((one.outputs for one in found), expected) if rival.opens else None
            what = (point.name or name, rival.name, rival.title)
            rows.append(Row(*what, figures, differ, point.axis, point.at))
        return rows
