"""uvicorn with workers on a free port of 127.0.0.1, which it prints; SIGTERM ends it.

``python -m benchmarks.serve.server --workers 4``; see `benchmarks.serve.app` for what it serves.
"""

from __future__ import annotations

import argparse
import os
import socket

import uvicorn

from benchmarks.serve import SERVER_VARIABLE

_HOST = "127.0.0.1"


def main() -> None:
    """Serve until told to end."""
    parser = argparse.ArgumentParser(prog="benchmarks.serve.server")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    os.environ[SERVER_VARIABLE] = str(os.getpid())
    with socket.socket() as listening:
        listening.bind((_HOST, 0))
        print(listening.getsockname()[1], flush=True)
        uvicorn.run(
            "benchmarks.serve.app:make_app",
            factory=True,
            fd=listening.fileno(),
            workers=options.workers,
            log_level="warning",
        )


if __name__ == "__main__":
    main()
