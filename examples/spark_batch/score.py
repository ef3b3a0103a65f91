"""Score a Parquet file by Spark's Python workers, which share one copy of the model a node.

    spark-submit score.py MODEL ROWS.parquet SCORES

MODEL is a path that all nodes have, or a URL, and has one input ``input``, which the column
``features`` feeds, and an output ``output`` of rows of numbers.
"""

import sys

from pyspark.sql import SparkSession

from ortmmap.spark import digest, predict_batch_udf


def main(model: str, rows: str, scores: str) -> None:
    """Write the columns of `rows` and the column ``score`` to the folder `scores`."""
    spark = SparkSession.builder.getOrCreate()
    table = spark.read.parquet(rows)
    width = len(table.first()["features"])
    score = predict_batch_udf(
        model,
        inputs={"features": "input"},
        outputs={"output": "score"},
        return_type="array<float>",
        batch_size=64,
        input_tensor_shapes=[[width]],
        digest=digest(model),
    )
    table.withColumn("score", score("features")).write.parquet(scores)
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
