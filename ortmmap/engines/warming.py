"""Warming: fill a node's cache before the processes of a job open the model."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, NamedTuple

from ortmmap.engines.models import ModelPath, local_model
from ortmmap.engines.models import digest as digest_of
from ortmmap.engines.predictor import open_session

if TYPE_CHECKING:
    from ortmmap.options import SessionOptions

__all__ = ["Warmed", "warm_node"]


class Warmed(NamedTuple):
    """The state of a node after `warm_node`.

    Attributes
    ----------
    path : str
        The model on the node.
    digest : str
        That of its files.
    state : str
        `Cached.state` of a session; ``shared`` if the cache is filled.
    warnings : tuple of str
        Reasons why the cache, or a part of it, is not used.
    """

    path: str
    digest: str
    state: str
    warnings: tuple[str, ...]


def warm_node(
    model: ModelPath,
    *,
    options: SessionOptions | None = None,
    threads: int | None = None,
    cache: bool | ModelPath | None = None,
) -> Warmed:
    """Fetch a model to this node if need be, and fill the cache with it.

    Parameters
    ----------
    model, options, threads, cache
        As for `Predictor`. The cache has an entry for these options.

    Raises
    ------
    OrtError
        If the model cannot be fetched or opened.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with open_session(model, options=options, threads=threads, cache=cache) as session:
            session.cached.wait()
            state = session.cached.state
        path = local_model(model, cache=cache)
        found = digest_of(path, cache=cache)
    return Warmed(path, found, state, tuple(str(warning.message) for warning in caught))
