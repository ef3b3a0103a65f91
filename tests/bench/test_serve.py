"""The benchmark of a web server: small, bounded, and on this machine only."""

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import psutil
import pytest

from benchmarks import arrays
from benchmarks.harness import WorkerError
from benchmarks.models import Case, Store
from benchmarks.rivals import RIVALS
from benchmarks.serve import PACKAGES
from benchmarks.serve.running import loaded, served

WORKERS = 2

pytestmark = pytest.mark.skipif(
    not all(map(find_spec, (*PACKAGES, "click", "matplotlib"))),
    reason="python -m benchmarks serve needs the extra bench",
)


@pytest.fixture(scope="module")
def case(tmp_path_factory) -> Case:
    return Store(tmp_path_factory.mktemp("models")).case("one_node.onnx", {})


@pytest.fixture
def body(tmp_path, case) -> Path:
    path = tmp_path / "body"
    path.write_bytes(arrays.dump(case.feeds))
    return path


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


def test_arrays_are_read_as_they_were_written():
    named = {
        "x": np.arange(6, dtype="f4").reshape(2, 3),
        "of 0": np.zeros((0, 2), "i8"),
        "words": np.array(["één", ""], object),
    }
    found = arrays.parse(arrays.dump(named))
    assert found.keys() == named.keys()
    assert all(np.array_equal(found[name], one) for name, one in named.items())
    assert found["x"].dtype == np.float32
    assert found["words"].dtype == object


def test_a_load_ends_after_so_many_requests_and_the_server_after_it(case, body, tmp_path):
    before = children()
    answer = tmp_path / "answer"
    with served(case, RIVALS["ortmmap-nocache"], WORKERS, threads=1) as server:
        assert server.url.startswith("http://127.0.0.1:")
        assert server.start_ms > 0
        assert len(children() - before) >= WORKERS
        if sys.platform == "linux":
            assert server.total_pss() > 2**20
        figures = loaded(
            f"{server.url}/run", body, answer, ["--clients=3", "--requests=20", "--seconds=60"]
        )
    assert figures["requests"] == 20
    assert 0 < figures["p50_ms"] <= figures["p99_ms"]
    assert figures["per_second"] > 0
    (y,) = arrays.parse(answer.read_bytes()).values()
    assert np.array_equal(y, np.maximum(case.feeds["x"], 0))
    assert children() <= before


def test_a_load_ends_when_its_time_is_over(case, body, tmp_path):
    with served(case, RIVALS["ort"], 1, threads=1) as server:
        figures = loaded(
            f"{server.url}/run",
            body,
            tmp_path / "answer",
            ["--clients=2", "--requests=1000000", "--seconds=0.2"],
        )
    assert 2 <= figures["requests"] < 1000000


def test_a_request_that_fails_is_an_error(case, body, tmp_path):
    with (
        served(case, RIVALS["ort"], 1, threads=1) as server,
        pytest.raises(WorkerError, match="404 Not Found"),
    ):
        loaded(f"{server.url}/absent", body, tmp_path / "answer", [])


@pytest.mark.parametrize("workers", [1, WORKERS])
def test_a_server_that_cannot_open_the_model_says_why(tmp_path, case, workers):
    before = children()
    bad = Case("bad.onnx", tmp_path / "bad.onnx", case.feeds, case.cache)
    bad.path.write_bytes(b"no model")
    with (
        pytest.raises(WorkerError, match=r"(?s)ortmmap, no cache failed.*bad.onnx"),
        served(bad, RIVALS["ortmmap-nocache"], workers, threads=1),
    ):
        pass
    assert children() <= before


def test_the_command_reports_each_rival(case, tmp_path):
    from click.testing import CliRunner

    from benchmarks.__main__ import cli

    out = tmp_path / "report.json"
    arguments = ["serve", "--model", "one_node.onnx", "--models", str(case.path.parent)]
    arguments += ["--repeat", "1", "--workers", "1", "--requests", "5", "--json", str(out)]
    done = CliRunner().invoke(
        cli, [*arguments, "--rival", "ort", "--rival", "ortmmap", "--markdown"]
    )
    assert done.exit_code == 0, done.output
    assert "| onnxruntime |" in done.output
    rows = json.loads(out.read_text())["rows"]
    assert [row["rival"] for row in rows] == ["ort", "ortmmap"]
    for row in rows:
        assert row["figures"]["requests"]["median"] > 0
        assert row["figures"]["until all answer"]["count"] == 1
        assert row["difference"]["bit_equal"]
