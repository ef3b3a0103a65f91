"""Score a Parquet file by Ray actors that share one copy of the model a node.

    python score.py MODEL ROWS.parquet SCORES

MODEL is a path that all nodes have, or a URL, and has one input ``input``, which the column
``features`` feeds, and an output ``output``.
"""

import sys

import ray

from ortmmap.ray import Predictor, resources, warm


def main(model: str, rows: str, scores: str) -> None:
    """Write the columns of `rows` and the column ``score`` to the folder `scores`."""
    ray.init()
    digest = warm(model)  # one task a node fetches the model and fills the cache
    ray.data.read_parquet(rows).map_batches(
        Predictor,
        fn_constructor_args=[model],
        fn_constructor_kwargs={
            "inputs": {"features": "input"},
            "outputs": {"output": "score"},
            "digest": digest,
        },
        batch_size=64,
        compute=ray.data.ActorPoolStrategy(size=2),
        **resources(model, threads=1),
    ).write_parquet(scores)


if __name__ == "__main__":
    main(*sys.argv[1:])
