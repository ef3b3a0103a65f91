"""Predictor for Ray: threads as the actor has CPUs."""

from __future__ import annotations

from typing import Any

from ortmmap.engines.models import ModelPath
from ortmmap.engines.predictor import Predictor as AnyPredictor

__all__ = ["Predictor"]


class Predictor(AnyPredictor):  # noqa: D101 - the docstring is that class's
    __doc__ = (AnyPredictor.__doc__ or "").replace(
        "By default those that the engine gives.",
        "By default the CPUs of the actor (`num_cpus`).",
    )

    def __init__(self, model: ModelPath, *, threads: int | None = None, **settings: Any) -> None:
        super().__init__(model, threads=threads or actor_threads(), **settings)


def actor_threads() -> int | None:
    """Return the number of CPUs of the present actor or task; None outside of one.

    Ray sets ``OMP_NUM_THREADS`` to it, which ONNX Runtime's threads do not follow. An actor of a
    fraction of a CPU, or of none, has one thread.
    """
    import ray

    if not ray.is_initialized():
        return None
    context = ray.get_runtime_context()
    if context.worker.mode != ray.WORKER_MODE:
        return None
    # In a placement group the resource is called CPU_group_… .
    assigned = context.get_assigned_resources()
    cpus = [count for name, count in assigned.items() if name.split("_group_")[0] == "CPU"]
    return max(1, int(max(cpus, default=0)))
