"""Batch jobs as groups of copies of a model: each is a process that starts the engine.

``python -m benchmarks.engines.job TASK`` is one job, of a task as `benchmarks.worker` takes it.

Each of the task's copies is a Ray actor or a Python worker of Spark. The clock starts when the
engine has read the rows. Throughput is that from when all copies have computed a batch; memory is
the most from then on, of the copies only.
"""

import inspect
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import arrays
from benchmarks.engines.scorer import Batch, Scorer, Shapes, computed, our_settings, sampled_mark
from benchmarks.harness import Process, Record, Request, prepared
from benchmarks.memory import sampled, total_pss
from benchmarks.models import Case
from benchmarks.rivals import Rival
from benchmarks.worker import RAN, Task

_STORE_BYTES = 256 << 20
_BATCH = 4  # rows
_BLOCK = 2 * _BATCH  # rows that an actor takes at a time
_SAMPLE_SECONDS = 0.1


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


def with_ray(task: Task, path: str, shapes: Shapes) -> Batch:
    """Return the columns that actors with a CPU for each thread have made, and ``started``."""
    import ray
    import ray.data

    from ortmmap.ray import Predictor

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
    kwargs = our_settings(task, shapes) | {"keep": False} if _is_ours(task) else {}
    scored = rows.map_batches(
        Predictor if kwargs else Scorer,
        fn_constructor_args=[task.model] if kwargs else [task, shapes],
        fn_constructor_kwargs=kwargs,
        batch_size=_BATCH,
        num_cpus=task.threads,
        compute=ray.data.ActorPoolStrategy(size=task.copies, max_tasks_in_flight_per_actor=1),
    )
    batches = list(scored.iter_batches(batch_size=None, prefetch_batches=0))
    made = {name: np.concatenate([one[name] for one in batches]) for name in ("copy", "done")}
    return made | {"started": started}


def with_spark(task: Task, path: str, shapes: Shapes) -> Batch:
    """Return the columns that Python workers of one task each have made, and ``started``."""
    from pyspark.sql import SparkSession

    os.environ |= {"PYSPARK_PYTHON": sys.executable, "PYTHONPATH": os.pathsep.join(sys.path)}
    settings = {
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",  # start sooner
        "spark.driver.host": "127.0.0.1",
        "spark.master": f"local[{task.copies * task.threads}]",
        "spark.sql.adaptive.enabled": False,  # it would join the partitions
        "spark.sql.execution.arrow.maxRecordsPerBatch": _BATCH,
        "spark.sql.execution.arrow.pyspark.enabled": True,
        "spark.task.cpus": task.threads,
        "spark.ui.enabled": False,
    }
    spark = SparkSession.builder.config(map=settings).getOrCreate()
    rows = spark.read.parquet(path).repartition(task.copies).cache()
    rows.count()
    started = time.monotonic()
    made = rows.select(_spark_udf(task, shapes)(*shapes, "row").alias("made")).select("made.*")
    return dict(made.toPandas().items()) | {"started": started}


def _spark_udf(task: Task, shapes: Shapes) -> Any:
    """Return ortmmap's function of the columns, or pyspark's with another rival's session."""
    from pyspark.ml.functions import predict_batch_udf
    from pyspark.sql.types import DataType

    from ortmmap.spark import predict_batch_udf as our_udf

    names = [*shapes, "row"]
    settings = {
        "return_type": DataType.fromDDL("copy long, done double"),
        "batch_size": _BATCH,
        "input_tensor_shapes": [*map(list, shapes.values()), None],
    }
    if _is_ours(task):
        return our_udf(task.model, columns=names, **settings, **our_settings(task, shapes))

    def make_predict_fn() -> Any:
        score = Scorer(task, shapes)

        def predict(*columns: np.ndarray) -> Batch:
            return score(dict(zip(names, columns, strict=True)))

        # pyspark counts the parameters, which a program for one model would name.
        one = inspect.Parameter.POSITIONAL_ONLY
        parameters = [inspect.Parameter(f"x{index}", one) for index in range(len(names))]
        predict.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return predict

    return predict_batch_udf(make_predict_fn, **settings)


def _is_ours(task: Task) -> bool:
    return task.chosen().opens and task.chosen().module == "ortmmap"


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
        made = run(task, path, shapes)
    print(json.dumps(figures(made, peak.nbytes)), RAN, sep="\n", flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main()
