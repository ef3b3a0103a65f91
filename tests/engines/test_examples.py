"""The examples run, and three changed lines of a program for onnxruntime change no result."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from threading import Timer

import models
import numpy as np
import pytest
from doc_pages import steps
from support import REPOSITORY, onnxruntime_session

pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
pa = pytest.importorskip("pyarrow")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # of the engines

WIDTH = 256
EXAMPLES = REPOSITORY / "examples"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with a model of ``input`` and ``output``, and rows for it."""
    folder = tmp_path_factory.mktemp("example")
    weights = np.random.default_rng(0).standard_normal((WIDTH, WIDTH), "f4")
    model = models.build(
        [models.node("MatMul", "input w", "output")],
        [models.tensor("input", shape=["batch", WIDTH])],
        [models.tensor("output", shape=["batch", WIDTH])],
        [models.constant("w", weights)],
    )
    (folder / "model.onnx").write_bytes(model)
    rows = np.random.default_rng(1).standard_normal((40, WIDTH), "f4")
    table = pa.table({"id": np.arange(40), "features": pa.array(list(rows))})
    pq.write_table(table, folder / "rows.parquet", row_group_size=10)
    return folder


@pytest.fixture
def expected(folder) -> np.ndarray:
    rows = np.stack(pq.read_table(folder / "rows.parquet")["features"].to_pylist()).astype("f4")
    return onnxruntime_session(folder / "model.onnx").run(None, {"input": rows})[0]


@pytest.fixture
def ray_environment(ray_cluster, engine_environment) -> dict[str, str]:
    """Variables with which a program uses the cluster."""
    more = {"RAY_ADDRESS": ray_cluster.address, "RAY_DATA_DISABLE_PROGRESS_BARS": "1"}
    return {**engine_environment, **more}


def run(script: Path, folder: Path, environment: dict[str, str], name: str) -> np.ndarray:
    """Run a script that scores the rows, and return the scores in their order."""
    names = [str(folder / one) for one in ("model.onnx", "rows.parquet", name)]
    done = subprocess.run(
        [sys.executable, script, *names],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    files = sorted((folder / name).rglob("*.parquet"))
    table = pa.concat_tables([pq.read_table(file, columns=["id", "score"]) for file in files])
    table = table.sort_by("id")
    assert table["id"].to_pylist() == list(range(40))
    return np.array(table["score"].to_pylist(), "f4")


def test_three_lines_make_a_program_for_onnxruntime_ours(folder, ray_environment, expected):
    (diff,) = (
        step.text
        for step in steps(REPOSITORY / "docs" / "batch.md")
        if step.argument == "three_lines.diff"
    )
    lines = diff.splitlines(keepends=True)
    changed = {sign: [line for line in lines if line[0] == sign] for sign in "-+"}
    assert len(changed["-"]) <= 3
    assert len(changed["+"]) <= 3
    assert any("onnxruntime" in line for line in changed["-"])
    for sign, name in ("-", "theirs"), ("+", "ours"):
        script = folder / f"{name}.py"
        script.write_text("".join(line[1:] for line in lines if line[0] in (" ", sign, "\n")))
        found = run(script, folder, ray_environment, f"{name}.scores")
        np.testing.assert_array_equal(found, expected.astype("f4"))


def test_the_example_of_ray(folder, ray_environment, expected):
    found = run(EXAMPLES / "ray_batch" / "score.py", folder, ray_environment, "ray.scores")
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_the_example_of_dask(folder, engine_environment, expected):
    pytest.importorskip("distributed", reason="dask is not installed")
    found = run(EXAMPLES / "dask_batch" / "score.py", folder, engine_environment, "dask.scores")
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_the_example_of_spark(folder, engine_environment, expected):
    pytest.importorskip("pyspark", reason="pyspark is not installed")
    if shutil.which("java") is None:
        pytest.skip("Java is not installed")
    java = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"  # starts sooner
    options = f"--master local[2] --driver-java-options '{java}' pyspark-shell"
    variables = {"PYSPARK_PYTHON": sys.executable, "PYSPARK_SUBMIT_ARGS": options}
    environment = {**engine_environment, **variables}
    script = EXAMPLES / "spark_batch" / "score.py"
    found = run(script, folder, environment, "spark.scores")
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_replicas_of_the_example_of_ray_serve_answer(folder, ray_environment, expected):
    pytest.importorskip("ray.serve", reason="Ray Serve is not installed")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    code = (
        "import sys; from ray import serve; from app import app\n"
        "serve.start(http_options={'port': int(sys.argv[1])}); serve.run(app)\n"
        "print('SERVED', flush=True); sys.stdin.read(); serve.shutdown()"
    )
    folders = [ray_environment["PYTHONPATH"], str(EXAMPLES / "ray_serve")]
    variables = {"MODEL": str(folder / "model.onnx"), "PYTHONPATH": os.pathsep.join(folders)}
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-c", code, str(port)],
            env={**os.environ, **ray_environment, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    late = Timer(150, server.kill)
    late.start()
    try:
        for line in server.stdout:
            if line.strip() == "SERVED":
                break
        else:
            pytest.fail((folder / "log").read_text()[-4000:])
        rows = pq.read_table(folder / "rows.parquet")["features"].to_pylist()[:4]
        processes = set()
        deadline = time.monotonic() + 60
        while len(processes) < 2 and time.monotonic() < deadline:
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}", json.dumps(rows).encode(), method="POST"
            )
            with urllib.request.urlopen(request, timeout=60) as answer:
                found = json.load(answer)
            processes.add(found["process"])
            np.testing.assert_allclose(found["rows"], expected[:4], rtol=1e-4, atol=1e-4)
        assert len(processes) == 2
        server.stdin.close()
        server.wait(60)
    finally:
        late.cancel()
        server.kill()
        server.wait()
