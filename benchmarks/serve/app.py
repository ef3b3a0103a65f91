"""The app that each of uvicorn's workers serves: a session, and what asks it."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response

from benchmarks import arrays
from benchmarks.rivals import RIVALS
from benchmarks.serve import SERVER_VARIABLE, SETTINGS_VARIABLE

# So long a worker answers nobody else, so that one that is free answers the next.
_READY_SECONDS = 0.005


def make_app() -> FastAPI:
    """Return the app; it opens the session when it starts, before the worker takes requests."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        try:
            app.state.session = _open(**json.loads(os.environ[SETTINGS_VARIABLE]))
        except BaseException:
            # uvicorn would start such workers again and again.
            os.kill(int(os.environ[SERVER_VARIABLE]), signal.SIGTERM)
            raise
        yield
        del app.state.session

    app = FastAPI(lifespan=lifespan)

    @app.get("/ready")
    async def ready() -> int:
        time.sleep(_READY_SECONDS)
        return os.getpid()

    # Not on another thread: a worker that computes shall leave the next request to one that waits.
    @app.post("/run")
    async def run(request: Request) -> Response:
        session = request.app.state.session
        outputs = session.run(None, arrays.parse(await request.body()))
        names = [output.name for output in session.get_outputs()]
        return Response(arrays.dump(dict(zip(names, outputs, strict=True))))

    return app


def _open(rival: str, model: str, threads: int, entries: dict[str, str]) -> Any:
    chosen = RIVALS[rival].with_entries(entries)
    chosen.load()
    return chosen.open(Path(model), threads)
