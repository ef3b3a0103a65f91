"""Jobs as groups of copies of a model, each in a process that starts the engine for it."""

from dataclasses import dataclass
from pathlib import Path

from benchmarks import arrays
from benchmarks.harness import Process, Record, Request, prepared
from benchmarks.models import Case
from benchmarks.rivals import Rival
from benchmarks.worker import RAN


@dataclass(frozen=True)
class Jobs:
    """Measures jobs: the copies of one are a group."""

    engine: str  # ray or spark
    rows: int  # for each copy

    def measure(self, request: Request, case: Case, rival: Rival, count: int) -> list[Record]:
        """Run one job, and return one record."""
        if rival.preload:
            raise ValueError("engines do not fork from a process with a session")
        with prepared(request, case, rival) as make_task:
            task = make_task(0, copies=count, engine=self.engine, rows=self.rows * count)
            with Process(rival.title, task, "benchmarks.engines.job") as job:
                job.wait_until(RAN)
            return [Record({}, arrays.load(Path(task.outputs)), job.figures)]
