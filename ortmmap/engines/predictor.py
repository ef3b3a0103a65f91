"""Predictor: a session with the columns that feed it, the same for every engine."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ortmmap.engines.columns import (
    Batch,
    Names,
    described,
    empty_output,
    feed,
    pairs,
    rows_of,
    to_column,
)
from ortmmap.engines.models import ModelPath, local_model
from ortmmap.errors import ModelChangedError, file_error

if TYPE_CHECKING:
    from ortmmap.inference_session import InferenceSession
    from ortmmap.options import SessionOptions

__all__ = ["Predictor", "open_session"]


def open_session(
    model: ModelPath,
    *,
    options: SessionOptions | None = None,
    threads: int | None = None,
    cache: bool | ModelPath | None = None,
    digest: str | None = None,
) -> InferenceSession:
    """Open a session of a model on this node, which is fetched first if it is a URL.

    Parameters
    ----------
    model, cache, digest
        As for `local_model`.
    options : SessionOptions, optional
        Not changed.
    threads : int, optional
        Threads of a run, unless `options` set them.

    Raises
    ------
    OrtError
        If the model cannot be fetched or opened.
    """
    from ortmmap.inference_session import InferenceSession
    from ortmmap.session.arguments import options_of

    used = options_of(options).copy()
    if threads is not None and not used.intra_op_num_threads:
        used.intra_op_num_threads = threads
    path = local_model(model, cache=cache, digest=digest)
    return InferenceSession(path, used, cache=cache)


class Predictor:
    """A callable that adds a model's outputs to a batch of columns.

    The session is opened when the object is made; make it where it is to compute. All processes
    of a node use one copy of the weights.

    Parameters
    ----------
    model : str or os.PathLike
        A path on the node, or a URL that fsspec opens, which is fetched once a node.
    inputs : mapping of str to str, sequence of str, or None, default None
        The model's input for each column that is used. Several columns of one input, in this
        order, become its last axis. A sequence: columns that are named as inputs. None: all
        inputs, from columns of their names.
    outputs : mapping of str to str, sequence of str, or None, default None
        The column for each output that is computed. A sequence: outputs that name columns. None:
        all outputs.
    keep : bool or sequence of str, default True
        Which of the batch's columns are returned with the outputs.
    preprocess : callable, optional
        Takes the batch, a dict of columns, and returns the columns that feed the inputs. Not
        called for a batch without rows.
    postprocess : callable, optional
        Takes the dict of output columns and returns the columns to add.
    options : SessionOptions, optional
    threads : int, optional
        Threads of a run, unless `options` set them. By default those that the engine gives.
    cache : bool, str, os.PathLike or None, default None
        As for `ortmmap.Session`; fetched models are kept in the cache's folder too.
    digest : str, optional
        The digest that the model must have, from `ortmmap.engines.digest`.

    Attributes
    ----------
    session : InferenceSession

    Raises
    ------
    InvalidArgument
        If the model has no input or output of a name.
    OrtError
        If the model cannot be fetched or opened.
    """

    def __init__(
        self,
        model: ModelPath,
        *,
        inputs: Names = None,
        outputs: Names = None,
        keep: bool | Sequence[str] = True,
        preprocess: Callable[[Batch], Batch] | None = None,
        postprocess: Callable[[Batch], Batch] | None = None,
        options: SessionOptions | None = None,
        threads: int | None = None,
        cache: bool | ModelPath | None = None,
        digest: str | None = None,
    ) -> None:
        self.session = open_session(
            model, options=options, threads=threads, cache=cache, digest=digest
        )
        self._path = os.fspath(self.session._model_path)
        self._file = os.stat(self._path).st_ino
        self._args = [described(arg) for arg in self.session.get_inputs()]
        self._results = {arg.name: described(arg) for arg in self.session.get_outputs()}
        self._inputs = pairs(inputs, [arg.name for arg in self._args], "input")
        self._outputs = pairs(outputs, list(self._results), "output")
        self._keep = keep
        self._preprocess = preprocess
        self._postprocess = postprocess

    def __call__(self, batch: Batch) -> Batch:
        """Return the kept columns of a batch and those of the outputs.

        Parameters
        ----------
        batch : dict of str to ndarray
            Columns of n rows each.

        Returns
        -------
        dict of str to ndarray
            Columns of n rows each. If n is 0, the model is not run, and unknown dimensions are 0.

        Raises
        ------
        InvalidArgument
            If a column is missing, has a wrong type or shape, or if an output has another number
            of rows. The text names the column and the input or output.
        ModelChangedError
            If the model's file was written to in place. One that has been replaced by another
            file does no harm: the session goes on with the old one.
        TypeError
            If the batch is no mapping.
        """
        if not isinstance(batch, Mapping):
            kind = type(batch).__name__
            raise TypeError(f"a batch is a dict of columns (batch_format='numpy'), not a {kind}")
        made = self._compute(batch)
        return {**self._kept(batch), **made}

    def _compute(self, batch: Mapping[str, Any]) -> Batch:
        rows = rows_of(batch)
        if rows:
            columns = batch if self._preprocess is None else self._preprocess(dict(batch))
            values = self._run(feed(columns, self._inputs, self._args))
        else:
            values = [empty_output(self._results[name]) for name, _ in self._outputs]
        named = zip(self._outputs, values, strict=True)
        if self._postprocess is not None:
            return self._postprocess({column: value for (_, column), value in named})
        return {column: to_column(value, rows, name, column) for (name, column), value in named}

    def _run(self, feeds: Mapping[str, np.ndarray]) -> list[Any]:
        values = self.session.run([name for name, _ in self._outputs], feeds)
        if self.session.changed() and _inode(self._path) == self._file:
            raise file_error(ModelChangedError, "was written to while it was used", self._path)
        return values

    def _kept(self, batch: Mapping[str, Any]) -> Batch:
        if self._keep is True:
            return dict(batch)
        return {name: batch[name] for name in self._keep or ()}


def _inode(path: str) -> int | None:
    try:
        return os.stat(path).st_ino
    except OSError:
        return None
