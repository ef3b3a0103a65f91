"""Ray: models in actors and replicas, one copy of the weights a node.

`Predictor` is a class for ``ray.data.Dataset.map_batches``, `resources` what such an actor needs,
and `warm` fills the cache of each node in advance. `pinned` holds a job to one version of a model.
"""

from ortmmap.engines.models import digest, pinned
from ortmmap.ray.cluster import warm
from ortmmap.ray.predictor import Predictor
from ortmmap.ray.resources import resources

__all__ = ["Predictor", "digest", "pinned", "resources", "warm"]
