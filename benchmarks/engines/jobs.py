"""Jobs as groups of actors, each in a process that starts Ray for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import arrays
from benchmarks.harness import Process, Record, Request, prepared
from benchmarks.models import Case
from benchmarks.rivals import Rival
from benchmarks.worker import RAN

PARQUET = "rows.parquet"  # beside the file of feeds


@dataclass(frozen=True)
class Jobs:
    """Measures jobs: the actors of one are a group."""

    rows: int  # for each actor

    def measure(self, request: Request, case: Case, rival: Rival, count: int) -> list[Record]:
        """Run one job, whose actors are alive until their memory was taken; return one record."""
        if rival.preload:
            raise ValueError("Ray does not fork its actors")
        with prepared(request, case, rival) as make_task:
            task = make_task(0, copies=count)
            path = Path(task.feeds).with_name(PARQUET)
            _write(path, case.feeds, self.rows * count)
            with Process(rival.title, task, "benchmarks.engines.job") as job:
                job.wait_until(RAN)
                group = {"pss": job.figures.pop("pss")}
            return [Record(job.figures, arrays.load(Path(task.outputs)), group)]


def _write(path: Path, feeds: Mapping[str, np.ndarray], rows: int) -> None:
    """Write so many rows, all as the feeds are, each input a column of flat lists."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {}
    for name, value in feeds.items():
        if len(value) != 1:
            raise ValueError(f"input {name!r} has no batch of one: {value.shape}")
        flat = pa.array(np.tile(value.reshape(-1), rows))
        columns[name] = pa.FixedSizeListArray.from_arrays(flat, value.size)
    columns["row"] = pa.array(np.arange(rows))
    pq.write_table(pa.table(columns), path)
