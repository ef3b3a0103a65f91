"""One Ray Data job: ``python -m benchmarks.engines.job TASK``, as `benchmarks.worker` takes it.

Each of the task's copies is an actor with a CPU for each thread. Throughput is measured from the
moment when all actors have computed a batch; memory is the most from then on, of the actors only.
"""

import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import arrays
from benchmarks.engines.jobs import PARQUET
from benchmarks.engines.scorer import Batch, Scorer
from benchmarks.memory import total_pss
from benchmarks.worker import RAN, Task

_STORE_BYTES = 256 << 20
_BATCH = 4  # rows
_BLOCK = 2 * _BATCH  # rows that an actor takes at a time


@dataclass
class Progress:
    """What has been computed so far: when each actor was first done, and the rows after that."""

    actors: int
    first: dict[int, float] = field(default_factory=dict)
    done: list[tuple[float, int]] = field(default_factory=list)
    pss: list[int] = field(default_factory=list)
    outputs: Batch = field(default_factory=dict)

    def add(self, batch: Batch) -> None:
        """Add a block of rows; sample the memory once all actors have computed."""
        for actor, done in zip(batch["actor"].tolist(), batch["done"].tolist(), strict=True):
            self.first[actor] = min(done, self.first.get(actor, done))
            self.done.append((done, 1))
        if 0 in batch["row"]:
            row = batch["row"].tolist().index(0)
            known = ("row", "actor", "done")
            self.outputs = {n: x[row : row + 1] for n, x in batch.items() if n not in known}
        size = total_pss(list(self.first)) if len(self.first) == self.actors else None
        self.pss += [size] if size else []

    def figures(self, started: float) -> dict[str, Any]:
        """Return the figures of the whole job; raise ValueError if an actor had no work."""
        if len(self.first) < self.actors or not self.pss:
            raise ValueError(f"{len(self.first)} of {self.actors} actors had work; try more --rows")
        all_done, last = max(self.first.values()), max(done for done, _ in self.done)
        rows = sum(count for done, count in self.done if done > all_done)
        per_second = rows / (last - all_done) if rows else None
        first_ms = (all_done - started) * 1e3
        return {"per_second": per_second, "first_batch_ms": first_ms, "pss": max(self.pss)}


def main() -> None:
    """Do the task on the command line."""
    import ray
    import ray.data

    task = Task(**json.loads(sys.argv[1]))
    shapes = {name: value.shape[1:] for name, value in arrays.load(Path(task.feeds)).items()}
    ray.init(
        address="local",
        num_cpus=task.copies * task.threads + 1,  # one reads the file
        object_store_memory=_STORE_BYTES,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
    )
    ray.data.DataContext.get_current().enable_progress_bars = False
    progress = Progress(task.copies)
    started = time.monotonic()
    # Ray reads a small file, or several, as one block, which one actor would take.
    rows = ray.data.read_parquet(str(Path(task.feeds).with_name(PARQUET))).repartition(
        target_num_rows_per_block=_BLOCK
    )
    scored = rows.map_batches(
        Scorer,
        fn_constructor_args=[task, shapes],
        batch_size=_BATCH,
        num_cpus=task.threads,
        compute=ray.data.ActorPoolStrategy(size=task.copies, max_tasks_in_flight_per_actor=1),
    )
    for batch in scored.iter_batches(batch_size=None, prefetch_batches=0):
        progress.add(batch)
    arrays.save(Path(task.outputs), progress.outputs)
    print(json.dumps(progress.figures(started)))
    print(RAN, flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main()
