"""A service that the Dockerfile beside it puts into an image: POST /run computes a row."""

from contextlib import asynccontextmanager

import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel

import ortmmap


@asynccontextmanager
async def lifespan(app):
    """Open the session before the worker takes requests."""
    options = ortmmap.SessionOptions()
    options.intra_op_num_threads = 1  # a worker for each core of the limit, one thread each
    with ortmmap.InferenceSession("/models/model.onnx", options) as session:
        app.state.session = session
        yield


class Row(BaseModel):
    """The numbers of one row of the model's input."""

    numbers: list[float]


app = FastAPI(lifespan=lifespan)


@app.get("/ready")
def ready() -> dict[str, str]:
    """Return where the session stands with the cache: ``shared`` in a baked image."""
    return {"cache": str(app.state.session.cached)}


@app.post("/run")
def run(row: Row) -> list[float]:
    """Return the row of the output."""
    numbers = np.array([row.numbers], np.float32)
    (output,) = app.state.session.run(None, {"input": numbers})
    return output[0].tolist()
