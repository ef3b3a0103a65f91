"""predict_batch_udf: a model as a function of columns."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ortmmap.engines.columns import Batch, Names
from ortmmap.engines.models import ModelPath, pinned_if_read
from ortmmap.engines.predictor import Predictor
from ortmmap.spark.added_file import AddedFile

if TYPE_CHECKING:
    import numpy as np
    from pyspark.sql.types import DataType

    from ortmmap.options import SessionOptions

__all__ = ["predict_batch_udf"]


def predict_batch_udf(
    model: ModelPath | AddedFile,
    *,
    inputs: Mapping[str, str] | Sequence[str],
    columns: Sequence[str] | None = None,
    return_type: DataType | str,
    batch_size: int,
    outputs: Names = None,
    input_tensor_shapes: list[list[int] | None] | Mapping[int, list[int]] | None = None,
    preprocess: Callable[[Batch], Batch] | None = None,
    postprocess: Callable[[Batch], Batch] | None = None,
    options: SessionOptions | None = None,
    threads: int | None = None,
    cache: bool | ModelPath | None = None,
    digest: str | None = None,
) -> Any:
    """Return a pandas UDF that computes a model's outputs.

    It is ``pyspark.ml.functions.predict_batch_udf`` with a `Predictor`. A Python worker opens the
    session at its first batch, and waits until the node's cache is filled.

    If the driver can read the model where this function is called, all workers must have that
    version, and one that finds another fails instead of computing with it.

    Parameters
    ----------
    model : str, os.PathLike or AddedFile
        A path on the executors, a URL that fsspec opens, or a file of ``SparkContext.addFile``.
    inputs : mapping of str to str, or sequence of str
        The model's input for each column, as for `ortmmap.engines.Predictor`.
    columns : sequence of str, optional
        A name for each argument of the UDF, in order; by default the columns of `inputs`. Name
        them if `preprocess` needs others.
    return_type : DataType or str
        The type of the UDF's column. A struct has a field for each output column.
    batch_size : int
        The most rows of a batch.
    outputs, preprocess, postprocess, options, cache
        As for `ortmmap.engines.Predictor`.
    input_tensor_shapes : list or mapping, optional
        The shapes of a row of columns that are arrays, as for pyspark's function.
    threads : int, optional
        Threads of a run, unless `options` set them; by default ``spark.task.cpus``.
    digest : str, optional
        The digest that the model must have, from `digest`. By default that of the driver's file,
        which is read for it; none for a URL.

    Returns
    -------
    UserDefinedFunctionLike
        Called with one column for each of `columns`.

    Raises
    ------
    PythonException
        When a job runs, if the model cannot be fetched or opened, or a column does not fit its
        input; the text has the error of `Predictor`. It is ModelChangedError if a worker has
        another version of the model.
    """
    from pyspark.ml.functions import predict_batch_udf as pyspark_udf
    from pyspark.sql.types import DataType

    if isinstance(return_type, str):  # pyspark's function tells arrays from scalars by the class
        return_type = DataType.fromDDL(return_type)
    names = list(inputs if columns is None else columns)
    if digest is None:
        if isinstance(model, AddedFile):
            digest = model.driver_digest()
        else:
            model = pinned_if_read(model)
    settings = {
        "inputs": inputs,
        "outputs": outputs,
        "preprocess": preprocess,
        "postprocess": postprocess,
        "options": options,
        "cache": cache,
        "digest": digest,
    }

    def make_predict_fn() -> Callable[..., Any]:
        return _predict_function(model, names, threads, settings)

    return pyspark_udf(
        make_predict_fn,
        return_type=return_type,
        batch_size=batch_size,
        input_tensor_shapes=input_tensor_shapes,
    )


def _predict_function(
    model: ModelPath | AddedFile, columns: list[str], threads: int | None, settings: dict[str, Any]
) -> Callable[..., np.ndarray | Batch]:
    """Open the model in a Python worker, and return a function of one array for each column."""
    if isinstance(model, AddedFile):
        model = model.local(cache=settings["cache"], digest=settings["digest"])
        settings = {**settings, "digest": None}
    predictor = Predictor(model, keep=False, threads=threads or _task_threads(), **settings)
    # A worker that is not reused ends with its task, and would never finish filling the cache.
    predictor.session.cached.wait()

    def predict(*arrays: np.ndarray) -> np.ndarray | Batch:
        made = predictor(dict(zip(columns, arrays, strict=True)))
        return made.popitem()[1] if len(made) == 1 else made

    # pyspark counts the parameters to decide how it passes the columns.
    parameters = [
        inspect.Parameter(f"column_{index}", inspect.Parameter.POSITIONAL_ONLY)
        for index in range(len(columns))
    ]
    predict.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return predict


def _task_threads() -> int:
    from pyspark import TaskContext

    context = TaskContext.get()
    return 1 if context is None else context.cpus()
