"""A Ray Serve deployment whose replicas share one copy of the model a node.

MODEL=model.onnx serve run app:app
"""

import os

import numpy as np
from ray import serve
from starlette.requests import Request

from ortmmap.ray import Predictor, resources

MODEL = os.environ["MODEL"]


@serve.deployment(num_replicas=2, ray_actor_options=resources(MODEL, threads=1))
class Scorer:
    """Answers requests that have the rows of ``input`` as JSON."""

    def __init__(self, model: str) -> None:
        self._predict = Predictor(model, inputs={"rows": "input"}, keep=False)

    async def __call__(self, request: Request) -> dict:
        """Return the process and the rows of ``output``."""
        rows = np.array(await request.json(), np.float32)
        return {"process": os.getpid(), "rows": self._predict({"rows": rows})["output"].tolist()}


app = Scorer.bind(MODEL)
