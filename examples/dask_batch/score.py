"""Score a Parquet file by Dask workers that share one copy of the model a node.

    python score.py MODEL ROWS.parquet SCORES

MODEL is a path that all workers have. Its input ``input`` is fed by the column ``features``.
"""

import sys

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
from dask.distributed import Client, LocalCluster, Worker, WorkerPlugin

import ortmmap
from ortmmap.engines import warm_node


class Warm(WorkerPlugin):
    """Fills the node's cache when a worker starts, of which one does the work."""

    def __init__(self, model: str) -> None:
        self._model = model

    def setup(self, worker: Worker) -> None:
        """Run on each worker before it takes tasks."""
        warm_node(self._model, threads=worker.state.nthreads)


def score(part: pd.DataFrame, session: ortmmap.InferenceSession) -> pd.DataFrame:
    """Return a partition with the column ``score``."""
    if part.empty:
        return part.assign(score=pd.Series(dtype=object))
    rows = np.stack(part["features"].to_list()).astype(np.float32)
    (outputs,) = session.run(None, {"input": rows})
    return part.assign(score=list(outputs))


def main(model: str, rows: str, scores: str) -> None:
    """Write the columns of `rows` and the column ``score`` to the folder `scores`."""
    options = ortmmap.SessionOptions()
    options.intra_op_num_threads = 1
    session = ortmmap.InferenceSession(model, options)
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        client = Client(cluster)
        client.register_plugin(Warm(model))
        sent = client.scatter(session, broadcast=True)  # its path and options, not its weights
        dask.config.set({"dataframe.convert-string": False})  # it would make text of lists
        frame = dd.read_parquet(rows)
        meta = frame._meta.assign(score=pd.Series(dtype=object))
        scored = frame.map_partitions(score, sent, meta=meta)
        scored.to_parquet(scores, schema=None)  # that of the data: `meta` has objects only
        client.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
