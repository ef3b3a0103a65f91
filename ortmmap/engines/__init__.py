"""What the batch engines share: models brought to a node, columns fed to inputs, a warmed cache.

`ortmmap.ray` and `ortmmap.spark` are made of it; Dask needs `digest` and `local_model` at most.
Nothing in this folder imports an engine.
"""

from ortmmap.engines.models import digest, local_model, pinned
from ortmmap.engines.predictor import Predictor
from ortmmap.engines.warming import warm_node

__all__ = ["Predictor", "digest", "local_model", "pinned", "warm_node"]
