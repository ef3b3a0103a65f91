"""Web servers with four workers, under load from a second process, and pools of processes."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import models
import numpy as np
import pytest
from support import ask_python, ortmmap_session, run_python, smaps_rollup, wait_for_server

import ortmmap

REQUESTS = 7000  # of each of three servers
WORKERS = 4
WIDTH = 512

APP = """
import os
import numpy as np
import ortmmap

options = ortmmap.SessionOptions()
options.intra_op_num_threads = 1
session = ortmmap.Session(os.environ["MODEL"], options, cache=os.environ["MODEL"] + ".cache")

def compute(body):
    (output,) = session.run(None, {"h0": np.frombuffer(body, "f4").reshape(1, -1)})
    return os.getpid().to_bytes(4, "little") + output.tobytes()

def wsgi(environ, start_response):
    answer = compute(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]

async def asgi(scope, receive, send):
    if scope["type"] != "http":
        return
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    answer = compute(body)
    headers = [(b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})
"""

# Send requests from 4 threads; print the workers, and the numbers of wrong and of lost answers.
LOAD = """
import http.client, json, sys
from concurrent.futures import ThreadPoolExecutor
port, count, body, expected = int(sys.argv[1]), int(sys.argv[2]), *map(bytes.fromhex, sys.argv[3:])
def work(_):
    workers, wrong, lost = set(), 0, 0
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for index in range(count // 4):
        if index % 50 == 0:
            connection.close()  # the next request may reach another worker
        try:
            connection.request("POST", "/", body)
            response = connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException):
            connection.close()  # a worker was killed during the request
            lost += 1
            continue
        wrong += response.status != 200 or answer[4:] != expected
        workers.add(int.from_bytes(answer[:4], "little"))
    return workers, wrong, lost
with ThreadPoolExecutor(4) as pool:
    results = list(pool.map(work, range(4)))
workers = sorted(set.union(*(workers for workers, _, _ in results)))
wrong, lost = (sum(column) for column in zip(*(result[1:] for result in results)))
print(json.dumps([workers, wrong, lost]))
"""

SERVERS = {
    "gunicorn": ("gunicorn", ["-w", "{count}", "-b", "127.0.0.1:{port}", "app:wsgi"]),
    "gunicorn-preload": (
        "gunicorn",
        ["--preload", "-w", "{count}", "-b", "127.0.0.1:{port}", "app:wsgi"],
    ),
    "uvicorn": (
        "uvicorn",
        ["--workers", "{count}", "--port", "{port}", "--log-level", "warning", "app:asgi"],
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("servers")
    (folder / "app.py").write_text(APP)
    (folder / "model.onnx").write_bytes(models.weights(8, WIDTH))
    return folder


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def serving(
    name: str, folder: Path, count: int = WORKERS
) -> Iterator[tuple[int, subprocess.Popen]]:
    """Start a server and terminate it; it must exit without being killed."""
    module, given = SERVERS[name]
    port = free_port()
    path = os.pathsep.join([str(Path(ortmmap.__file__).parent.parent), str(folder)])
    server = subprocess.Popen(
        [
            sys.executable,
            "-m",
            module,
            *(text.format(port=port, count=count) for text in given),
        ],
        env={**os.environ, "PYTHONPATH": path, "MODEL": str(folder / "model.onnx")},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for_server(port, server, server.stderr.read)
        yield port, server
        server.send_signal(signal.SIGTERM)
        _, errors = server.communicate(timeout=60)
        assert "Traceback" not in errors, errors
        assert "SIGKILL" not in errors.replace("was sent SIGKILL!", "", 1), errors
    finally:
        server.kill()
        server.wait()


def load(port: int, count: int, folder: Path) -> tuple[list[int], int, int]:
    x = np.linspace(-1, 1, WIDTH, dtype="f4").reshape(1, -1)
    (expected,) = ortmmap_session(folder / "model.onnx").run(None, {"h0": x})
    body, answer = x.tobytes().hex(), expected.tobytes().hex()
    return ask_python(LOAD, port, count, body, answer, timeout=300)


@pytest.mark.parametrize("name", SERVERS)
def test_workers_answer_right_share_memory_and_are_replaced(name, folder):
    pytest.importorskip(SERVERS[name][0])
    with serving(name, folder) as (port, _):
        workers, wrong, lost = load(port, REQUESTS // 2, folder)
        assert (wrong, lost) == (0, 0)
        assert len(workers) > 1
        mapped = (Path(f"/proc/{worker}/maps").read_text() for worker in workers)
        assert all(str(folder / "model.onnx.cache") in text for text in mapped)
        private = [smaps_rollup(worker)["Anonymous"] for worker in workers]
        assert max(private) < 100 << 20
        os.kill(workers[0], signal.SIGKILL)
        after, wrong, lost = load(port, REQUESTS // 2, folder)
        assert wrong == 0
        assert lost < 10  # requests of the killed worker
        assert workers[0] not in after


def private_bytes(process: int) -> int:
    found = smaps_rollup(process)
    return found["Private_Clean"] + found["Private_Dirty"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs fork and /proc")
def test_eight_workers_of_a_preloaded_server_share_its_session(tmp_path):
    """The weights are 64 MiB. The server opens the session, and each worker runs it."""
    pytest.importorskip("gunicorn")
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "model.onnx").write_bytes(models.weights(64, WIDTH))
    with serving("gunicorn-preload", tmp_path, 8) as (port, server):
        workers, wrong, lost = load(port, REQUESTS // 2, tmp_path)
        assert (wrong, lost) == (0, 0)
        assert len(workers) > 1
        assert server.pid not in workers
        private = [private_bytes(worker) for worker in workers]
    assert max(private) < 16 << 20, private


# The session is opened, and has run, before the pool's processes are forked.
FORKED_POOL = """
import json, multiprocessing, os, sys, threading
sys.path.insert(0, os.path.dirname(os.environ["MODEL"]))
import app
import numpy as np
from support import smaps_rollup

def work(body):
    answer = app.compute(body)[4:]
    together.wait(60)   # so that each process gets a task
    found = smaps_rollup()
    return answer == expected, found["Private_Clean"] + found["Private_Dirty"]

body = np.full((1, 512), 0.5, "f4").tobytes()
expected = app.compute(body)[4:]
opened = app.session._opened()
context = multiprocessing.get_context("fork")
together = context.Barrier(8)
with context.Pool(8) as pool:
    results = pool.map(work, [body] * 24, chunksize=1)
assert all(same for same, _ in results)
print(json.dumps([private for _, private in results]))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs fork and /proc")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_eight_forked_processes_of_a_pool_share_the_parents_session(tmp_path):
    """The weights are 64 MiB, of which none becomes private."""
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "model.onnx").write_bytes(models.weights(64, WIDTH))
    environment = {"MODEL": str(tmp_path / "model.onnx")}
    private = json.loads(run_python(FORKED_POOL, env=environment, timeout=200).stdout)
    assert max(private) < 16 << 20, private


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_pools_of_concurrent_futures(method, folder):
    code = """
import multiprocessing, os, sys
from concurrent.futures import ProcessPoolExecutor
sys.path.insert(0, os.path.dirname(os.environ["MODEL"]))
import app
import numpy as np
if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    bodies = [np.full((1, 512), value, "f4").tobytes() for value in range(20)] * 10
    expected = [app.compute(body)[4:] for body in bodies]
    with ProcessPoolExecutor(3, context) as pool:
        answers = list(pool.map(app.compute, bodies))
    assert [answer[4:] for answer in answers] == expected
    assert not any(answer[:4] == os.getpid().to_bytes(4, "little") for answer in answers)
"""
    environment = {"MODEL": str(folder / "model.onnx"), "ORT_DISABLE_TELEMETRY": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(
        [str(Path(ortmmap.__file__).parent.parent), str(folder)]
    )
    run_python(code, method, env=environment, timeout=200)
