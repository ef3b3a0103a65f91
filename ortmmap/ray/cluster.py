"""Warming a cluster: one task a node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ortmmap.cache.folder import warn
from ortmmap.engines.models import ModelPath
from ortmmap.engines.warming import Warmed, warm_node
from ortmmap.errors import ModelChangedError, OrtError, file_error

if TYPE_CHECKING:
    from ortmmap.options import SessionOptions

__all__ = ["warm"]


def warm(
    model: ModelPath,
    *,
    threads: int = 1,
    options: SessionOptions | None = None,
    cache: bool | ModelPath | None = None,
) -> str:
    """Fetch a model to every node of the cluster, and fill the nodes' caches with it.

    One task runs on each node that has CPUs. Nodes that are added later fill theirs when their
    first actor opens the model.

    Parameters
    ----------
    model, options, cache
        As for `Predictor`.
    threads : int, default 1
        Threads of a run, unless `options` set them.

    Returns
    -------
    str
        The model's digest, for `Predictor`.

    Raises
    ------
    OrtError
        If a node cannot fetch or open the model; the text names the nodes.
    ModelChangedError
        If the nodes have different models under this path.

    Warns
    -----
    CacheWarning
        If a node cannot fill its cache. Its actors work all the same, without sharing.
    """
    settings = {"threads": threads, "options": options, "cache": cache}
    warmed = _on_every_node(model, settings)
    for node, state in warmed.items():
        for text in state.warnings:
            warn(f"{node} {text}", f"node {node}: {text}")
    digests = {state.digest for state in warmed.values()}
    if len(digests) > 1:
        listed = ", ".join(f"{node}: {state.digest}" for node, state in warmed.items())
        raise file_error(
            ModelChangedError, f"the nodes have different models ({listed})", str(model)
        )
    (digest,) = digests
    return digest


def _on_every_node(model: ModelPath, settings: dict[str, Any]) -> dict[str, Warmed]:
    """Return the state of each node, by its name."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    if not nodes:
        raise OrtError("the cluster has no node with CPUs")
    task = ray.remote(warm_node)
    running = {}
    for node in nodes:
        name = f"{node['NodeManagerAddress']} ({node['NodeID'][:8]})"
        there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        running[name] = task.options(num_cpus=0, scheduling_strategy=there).remote(
            model, **settings
        )
    warmed, failed = {}, {}
    for name, result in running.items():
        try:
            warmed[name] = ray.get(result)
        except ray.exceptions.RayError as error:
            failed[name] = error.cause if isinstance(error, ray.exceptions.RayTaskError) else error
    if failed:
        listed = "; ".join(f"{name}: {error}" for name, error in failed.items())
        raise OrtError(f"{model}: not warmed on {len(failed)} of {len(nodes)} nodes: {listed}")
    return warmed
