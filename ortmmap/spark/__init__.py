"""Spark: models in the executors' Python workers, one copy of the weights a node."""

from ortmmap.engines.models import digest
from ortmmap.spark.added_file import AddedFile
from ortmmap.spark.udf import predict_batch_udf

__all__ = ["AddedFile", "digest", "predict_batch_udf"]
