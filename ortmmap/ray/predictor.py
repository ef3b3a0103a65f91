"""Predictor for Ray: threads as the actor has CPUs, and one version of the model in a job."""

from __future__ import annotations

import uuid
from typing import Any

from ortmmap.engines.models import ModelPath, is_plain_path
from ortmmap.engines.predictor import Predictor as AnyPredictor

__all__ = ["Predictor"]


class Predictor(AnyPredictor):  # noqa: D101 - the docstring is that class's
    __doc__ = (AnyPredictor.__doc__ or "").replace(
        "By default those that the engine gives.",
        "By default the CPUs of the actor (`num_cpus`).",
    )

    _job: str | None = None  # in a subclass that Ray Data has made: the job's name

    def __init_subclass__(cls, **settings: Any) -> None:
        """Name the job if the driver plans one.

        Ray Data makes a subclass for each execution of a dataset, and sends it with its attributes
        to the actors.
        """
        super().__init_subclass__(**settings)
        if cls.__module__.startswith("ray.data."):
            cls._job = uuid.uuid4().hex

    def __init__(self, model: ModelPath, *, threads: int | None = None, **settings: Any) -> None:
        if self._job is not None and settings.get("digest") is None and is_plain_path(model):
            from ortmmap.ray.job_version import job_version

            model = job_version(model, self._job, cache=settings.get("cache"))
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
