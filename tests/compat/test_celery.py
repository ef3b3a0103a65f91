"""A Celery worker that opens a model before it forks: its children compute with the same file."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import models
import numpy as np
import psutil
import pytest
from support import ortmmap_session, run_python, smaps_rollup

import ortmmap

pytest.importorskip("celery", reason="celery is not installed")
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs fork and /proc")

CHILDREN, COUNT, WIDTH = 2, 100, 512

# Messages and answers are renamed into place, since celery's own files can be read half-written.
CONFIGURED = """
import os, sys
from celery import Celery

folder = os.environ["FOLDER"]
app = Celery("tasks")
app.conf.update(
    broker_url="filesystem://",
    broker_transport_options={
        "data_folder_in": folder + "/queue",
        "data_folder_out": folder + "/sent",
        "control_folder": folder + "/control",
        "polling_interval": 0.02,
    },
    broker_connection_retry_on_startup=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
)
"""

# The session is opened, has run, and is in the cache before the worker forks.
TASKS = (
    CONFIGURED
    + """
import json
import numpy as np
import ortmmap

options = ortmmap.SessionOptions()
options.intra_op_num_threads = int(os.environ["THREADS"])
session = ortmmap.Session(folder + "/model.onnx", options, cache=folder + "/cache")
session.run(None, {"h0": np.zeros((1, 512), "f4")})
assert session.cached.wait(60)  # the pages that the children are to share
opened_by = os.getpid()

@app.task(name="compute", bind=True)
def compute(self, body):
    (output,) = session.run(None, {"h0": np.frombuffer(bytes.fromhex(body), "f4").reshape(1, -1)})
    answer = os.getpid(), opened_by, output.tobytes().hex(), "onnxruntime" in sys.modules
    written = f"{folder}/sent/{self.request.id}"
    with open(written, "w") as file:
        json.dump(answer, file)
    os.rename(written, f"{folder}/answers/{self.request.id}")

@app.task(name="be_killed")
def be_killed():
    os.kill(os.getpid(), 9)
"""
)

SEND = (
    CONFIGURED
    + """
for _ in range(int(sys.argv[1])):
    app.send_task(sys.argv[2], sys.argv[3:])
for name in os.listdir(folder + "/sent"):
    if name.endswith(".msg"):
        os.rename(f"{folder}/sent/{name}", f"{folder}/queue/{name}")
"""
)


@pytest.fixture
def folder(tmp_path) -> Path:
    for name in ("queue", "sent", "control", "answers"):
        (tmp_path / name).mkdir()
    (tmp_path / "tasks.py").write_text(TASKS)
    (tmp_path / "model.onnx").write_bytes(models.weights(8, WIDTH))
    return tmp_path


@contextmanager
def working(folder: Path, threads: int, children: int = CHILDREN) -> Iterator[psutil.Process]:
    """Start a worker and terminate it; it and its children must exit without being killed."""
    path = os.pathsep.join([str(Path(ortmmap.__file__).parent.parent), str(folder)])
    options = ["--pool=prefork", f"--concurrency={children}", "--loglevel=WARNING"]
    silent = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    with (folder / "log").open("wb") as log:
        worker = psutil.Popen(
            [sys.executable, "-m", "celery", "-A", "tasks", "worker", *options, *silent],
            env={**os.environ, "PYTHONPATH": path, "FOLDER": str(folder), "THREADS": str(threads)},
            cwd=folder,
            stdout=log,
            stderr=log,
        )
    processes = [worker]
    try:
        yield worker
        processes += worker.children()
        worker.terminate()
        _, left = psutil.wait_procs(processes, timeout=60)
        assert left == []
        assert worker.returncode == 0
    except BaseException:
        print((folder / "log").read_text())
        raise
    finally:
        for process in processes:
            if process.is_running():
                process.kill()


def wait_for(found: Callable[[], bool]) -> None:
    for _ in range(1200):
        if found():
            return
        time.sleep(0.1)
    raise AssertionError("two minutes are over")


def send(folder: Path, count: int, task: str, *arguments: str) -> None:
    run_python(SEND, count, task, *arguments, env={"FOLDER": str(folder)}, timeout=120)


def answers(folder: Path, x: np.ndarray) -> list[list]:
    """Send tasks, and return their answers."""
    send(folder, COUNT, "compute", x.tobytes().hex())
    wait_for(lambda: len(list((folder / "answers").iterdir())) == COUNT)
    files = list((folder / "answers").iterdir())
    found = [json.loads(file.read_text()) for file in files]
    for file in files:
        file.unlink()
    return found


def replace_one(folder: Path, worker: psutil.Process) -> int:
    """Kill a child in a task, wait for its replacement, and return the killed child's id.

    A child killed between tasks may hold the lock of the pool's queue, which then stays locked.
    """
    before = children_of(worker)
    send(folder, 1, "be_killed")
    wait_for(lambda: len(children_of(worker)) == CHILDREN and children_of(worker) != before)
    (killed,) = before - children_of(worker)
    return killed


def children_of(worker: psutil.Process) -> set[int]:
    return {child.pid for child in worker.children()}


@pytest.mark.parametrize("threads", [1, 2])
def test_children_of_a_worker_answer_right_share_the_model_and_are_replaced(folder, threads):
    x = np.linspace(-1, 1, WIDTH, dtype="f4").reshape(1, -1)
    (expected,) = ortmmap_session(folder / "model.onnx").run(None, {"h0": x})
    with working(folder, threads) as worker:
        before = answers(folder, x)
        killed = replace_one(folder, worker)
        after = answers(folder, x)
        assert killed not in {answer[0] for answer in after}
        for child in children_of(worker):
            mapped = Path(f"/proc/{child}/maps").read_text()
            assert str(folder / "model.onnx") in mapped
            assert str(folder / "cache") in mapped
            assert smaps_rollup(child)["Anonymous"] < 100 << 20
        assert worker.pid not in {answer[0] for answer in before + after}
        found = {tuple(answer[1:]) for answer in before + after}
        assert found == {(worker.pid, expected.tobytes().hex(), False)}


def test_eight_children_use_the_session_of_their_worker(folder):
    """The weights are 64 MiB, and none of them becomes private."""
    (folder / "model.onnx").write_bytes(models.weights(64, WIDTH))
    x = np.linspace(-1, 1, WIDTH, dtype="f4").reshape(1, -1)
    (expected,) = ortmmap_session(folder / "model.onnx").run(None, {"h0": x})
    with working(folder, 1, 8) as worker:
        found = answers(folder, x)
        assert {tuple(answer[1:]) for answer in found} == {
            (worker.pid, expected.tobytes().hex(), False)
        }
        children = {answer[0] for answer in found}
        assert children <= children_of(worker)
        rollups = [smaps_rollup(child) for child in children]
    private = [rollup["Private_Clean"] + rollup["Private_Dirty"] for rollup in rollups]
    assert max(private) < 16 << 20, private
