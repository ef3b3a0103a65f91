"""One batch job: ``python -m benchmarks.engines.job TASK``, as `benchmarks.worker` takes it.

Each of the task's copies is a Ray actor or a Python worker of Spark. The clock starts when the
engine has read the rows. Throughput is that from when all copies have computed a batch; memory is
the most from then on, of the copies only.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import arrays
from benchmarks.engines.scorer import Batch, Scorer, computed, sampled_mark
from benchmarks.memory import sampled, total_pss
from benchmarks.worker import RAN, Task

_STORE_BYTES = 256 << 20
_BATCH = 4  # rows
_BLOCK = 2 * _BATCH  # rows that an actor takes at a time
_SAMPLE_SECONDS = 0.1


def with_ray(task: Task, path: str, scorer: list[Any]) -> Batch:
    """Return the columns that actors with a CPU for each thread have made, and ``started``."""
    import ray
    import ray.data

    ray.init(
        address="local",
        num_cpus=task.copies * task.threads + 1,  # one reads the file
        object_store_memory=_STORE_BYTES,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
    )
    ray.data.DataContext.get_current().enable_progress_bars = False
    # Ray reads a small file, or several, as one block, which one actor would take. Its reader
    # starts processes of its own, which actors of a slow rival would not have to wait for.
    rows = ray.data.read_parquet(path).repartition(target_num_rows_per_block=_BLOCK).materialize()
    started = time.monotonic()
    scored = rows.map_batches(
        Scorer,
        fn_constructor_args=scorer,
        batch_size=_BATCH,
        num_cpus=task.threads,
        compute=ray.data.ActorPoolStrategy(size=task.copies, max_tasks_in_flight_per_actor=1),
    )
    batches = list(scored.iter_batches(batch_size=None, prefetch_batches=0))
    made = {name: np.concatenate([one[name] for one in batches]) for name in ("copy", "done")}
    return made | {"started": started}


def with_spark(task: Task, path: str, scorer: list[Any]) -> Batch:
    """Return the columns that Python workers of one task each have made, and ``started``."""
    from pyspark.sql import SparkSession

    os.environ |= {"PYSPARK_PYTHON": sys.executable, "PYTHONPATH": os.pathsep.join(sys.path)}
    builder = SparkSession.builder.master(f"local[{task.copies * task.threads}]")
    for name, value in {
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",  # start sooner
        "spark.driver.host": "127.0.0.1",
        "spark.sql.adaptive.enabled": False,  # it would join the partitions
        "spark.sql.execution.arrow.maxRecordsPerBatch": _BATCH,
        "spark.sql.execution.arrow.pyspark.enabled": True,
        "spark.task.cpus": task.threads,
        "spark.ui.enabled": False,
    }.items():
        builder = builder.config(name, value)
    rows = builder.getOrCreate().read.parquet(path).repartition(task.copies).cache()
    rows.count()

    def score(batches: Any) -> Any:
        call = Scorer(*scorer)
        for batch in batches:
            yield pd.DataFrame(call({name: batch[name].to_numpy() for name in batch}))

    started = time.monotonic()
    made = rows.mapInPandas(score, "copy long, done double").toPandas()
    return {name: made[name].to_numpy() for name in made} | {"started": started}


def _pss(task: Task) -> int:
    """Return the copies' memory once all have computed and while all are alive, else 0."""
    copies = computed(task)
    size = (total_pss(copies) or 0) if len(copies) == task.copies else 0
    if size:
        sampled_mark(task).touch()
    return size


def figures(made: Batch, pss: int | None) -> dict[str, Any]:
    """Return the figures of a whole job."""
    done = made["done"]
    all_done = max(done[made["copy"] == copy].min() for copy in set(made["copy"].tolist()))
    rows = int((done > all_done).sum())
    if not rows or not pss:
        raise ValueError("no copy had work once all had computed a batch; try more --rows")
    per_second = rows / (done.max() - all_done)
    return {"per_second": per_second, "first_ms": (all_done - made["started"]) * 1e3, "pss": pss}


def main() -> None:
    """Do the task on the command line: all rows are as its feeds, each input a flat list."""
    task = Task(**json.loads(sys.argv[1]))
    feeds, path = arrays.load(Path(task.feeds)), str(Path(task.feeds).with_name("rows.parquet"))
    if wrong := [name for name, value in feeds.items() if len(value) != 1]:
        raise ValueError(f"input {wrong[0]!r} has no batch of one")
    columns = {name: [value.reshape(-1)] * task.rows for name, value in feeds.items()}
    pd.DataFrame({**columns, "row": np.arange(task.rows)}).to_parquet(path)
    shapes = {name: value.shape[1:] for name, value in feeds.items()}
    run = {"ray": with_ray, "spark": with_spark}[task.engine]
    with sampled(lambda: _pss(task), _SAMPLE_SECONDS) as peak:
        made = run(task, path, [task, shapes])
    print(json.dumps(figures(made, peak.nbytes)), RAN, sep="\n", flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main()
