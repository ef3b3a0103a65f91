"""What an actor needs: its CPUs, and only the memory that it has to itself."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ortmmap.engines.models import LOCAL, ModelPath
from ortmmap.engines.source import Remote, is_url

if TYPE_CHECKING:
    from ortmmap.options import SessionOptions

__all__ = ["resources"]

PROCESS_BYTES = 256 << 20  # Python, Ray, numpy and ONNX Runtime, private to each actor
RUN_BYTES = 256 << 20
PRIVATE_PART = 16  # of a model that is not on this machine: at most one part in so many
PREPACKED = 2  # without the cache: the weights in the kernels' layout, beside the rest


def resources(
    model: ModelPath,
    *,
    threads: int = 1,
    run_bytes: int = RUN_BYTES,
    options: SessionOptions | None = None,
    cache: bool | ModelPath | None = None,
) -> dict[str, float]:
    """Return the keyword arguments that give an actor its CPUs and its private memory.

    For ``map_batches``, ``ray.remote`` and ``ray_actor_options`` of Ray Serve. The weights are in
    memory once a node, so they are no part of an actor's ``memory``: with the model's size in each
    actor's, Ray would start fewer actors on a node than it has room for.

    Parameters
    ----------
    model : str or os.PathLike
        A path on this machine, or a URL, whose size is asked for.
    threads : int, default 1
        Threads of a run, and CPUs of the actor.
    run_bytes : int, default 256 MiB
        Memory of a batch's columns and of the model's run with them.
    options, cache
        As for `Predictor`. If a session with them does not use the cache, its prepacked weights
        are private and counted.

    Returns
    -------
    dict
        ``num_cpus`` and ``memory``, the latter in bytes.

    Raises
    ------
    OrtError
        If the model does not exist or is no model.
    """
    private = PROCESS_BYTES + run_bytes + _private_bytes(model, options, cache)
    return {"num_cpus": threads, "memory": private}


def _private_bytes(
    model: ModelPath, options: SessionOptions | None, cache: bool | ModelPath | None
) -> int:
    """Return an upper estimate of the bytes of a model that each session has to itself."""
    from ortmmap.cache import is_used
    from ortmmap.model.inspect import inspect

    text = os.fspath(model).removeprefix(LOCAL)
    if is_url(text):
        size = Remote(text).size("")
        used = is_used(cache, options, model_bytes=size)
        return size // PRIVATE_PART if used else size * PREPACKED
    info = inspect(text, largest=0)
    weights = info.mapped_bytes + info.external_bytes
    copied = info.inline_bytes + info.structure_bytes
    used = is_used(cache, options, model_bytes=weights + copied, nodes=info.nodes)
    return copied if used else copied + weights
