"""One version of a model in a job of Ray Data: its first actor pins the model for the others."""

from __future__ import annotations

import os
import pickle

from ortmmap.engines.models import LOCAL, ModelPath, pinned_if_read
from ortmmap.engines.pinned import Pinned

__all__ = ["job_version"]

NAMESPACE = "ortmmap"


def job_version(model: ModelPath, job: str, *, cache: bool | ModelPath | None = None) -> ModelPath:
    """Return a model as the first actor of a job has pinned it, which may be this one.

    The cluster's key-value store keeps what that actor found at the path: a few hundred bytes for
    each job and model, until the cluster ends.

    Parameters
    ----------
    model : str or os.PathLike
        A path.
    cache
        As for `Predictor`.
    job : str
        The same for all actors of a job, and for no others.

    Returns
    -------
    str, os.PathLike or Pinned
        Not pinned if this actor is the first and cannot read the model.
    """
    # Ray has no public store; its own libraries, such as Serve, use this one.
    from ray.experimental import internal_kv as store

    key = f"{job}:{os.path.abspath(os.fspath(model).removeprefix(LOCAL))}"
    found = store._internal_kv_get(key, namespace=NAMESPACE)
    if found is None:
        seen = pinned_if_read(model, cache=cache)
        if not isinstance(seen, Pinned):
            return model
        # Of two actors that are the first at once, one stores its pin, and both get that.
        store._internal_kv_put(key, pickle.dumps(seen), overwrite=False, namespace=NAMESPACE)
        found = store._internal_kv_get(key, namespace=NAMESPACE)
    return pickle.loads(found)
