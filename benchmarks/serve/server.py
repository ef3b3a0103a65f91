"""uvicorn's workers over a FastAPI app that runs a session, on a free port of 127.0.0.1.

``python -m benchmarks.serve.server TASK`` takes the fields of `benchmarks.worker.Task` as JSON,
starts as many workers as there are copies, and serves until SIGTERM. It prints the port, and
``SESSION_READY`` for each worker.
"""

import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO

import uvicorn
from fastapi import FastAPI, Request, Response

from benchmarks import arrays
from benchmarks.worker import READY, Task

# Inherited by workers: the task, and the process that starts them.
_TASK_VARIABLE = "ORTMMAP_BENCH_SERVE"
_SERVER_VARIABLE = "ORTMMAP_BENCH_SERVER"


def main() -> None:
    """Serve until SIGTERM."""
    os.environ |= {_TASK_VARIABLE: sys.argv[1], _SERVER_VARIABLE: str(os.getpid())}
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()  # before workers do, which are ready a moment earlier
        print(listening.getsockname()[1], flush=True)
        workers = Task(**json.loads(sys.argv[1])).copies
        options = {"workers": workers, "factory": True, "log_level": "warning"}
        uvicorn.run("benchmarks.serve.server:make_app", fd=listening.fileno(), **options)


def make_app() -> FastAPI:
    """Return the app; it opens the session when it starts, before the worker takes requests."""
    task = Task(**json.loads(os.environ[_TASK_VARIABLE]))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        try:
            app.state.session = task.open()
        except BaseException:
            # uvicorn would start such workers again and again.
            os.kill(int(os.environ[_SERVER_VARIABLE]), signal.SIGTERM)
            raise
        # In one write: workers share the pipe, and print() makes two where output is unbuffered.
        os.write(sys.stdout.fileno(), f"{READY}\n".encode())
        yield

    app = FastAPI(lifespan=lifespan)

    # On the event loop's thread: a worker that computes leaves the next request to an idle one.
    @app.post("/run")
    async def run(request: Request) -> Response:
        session = request.app.state.session
        outputs = session.run(None, arrays.load(BytesIO(await request.body())))
        names = [output.name for output in session.get_outputs()]
        return Response(arrays.to_bytes(dict(zip(names, outputs, strict=True))))

    return app


if __name__ == "__main__":
    main()
