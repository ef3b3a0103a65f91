"""Processes that hold a model until they are told to end."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support import REPOSITORY

WORKER = """
import sys
kind, path, cache = sys.argv[1:]
if kind == "onnxruntime":
    import onnxruntime
    session = onnxruntime.InferenceSession(path)
else:
    import ortmmap
    from ortmmap.session.filing import wait_for_all
    session = ortmmap.Session(path, cache=cache or False)
    session.cached.wait()
    wait_for_all(60)  # the thread that fills the cache learns afterwards, in memory of its own
print("ready", flush=True)
sys.stdin.read()
"""


@contextmanager
def worker(
    path: Path | str, cache: Path | str = "", *, kind: str = "ortmmap", before: tuple[str, ...] = ()
) -> Iterator[int]:
    """Yield the pid of a process that has opened the model; `before` are words of its command."""
    process = subprocess.Popen(
        [*before, sys.executable, "-c", WORKER, kind, str(path), str(cache)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={
            "PYTHONPATH": str(REPOSITORY),
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "ORTMMAP_STANDINS": "0",  # with them, pages are in memory from the first run on
        },
    )
    with process:
        try:
            assert process.stdout.readline() == b"ready\n"
            yield process.pid
        finally:
            process.stdin.close()
            process.wait(60)
