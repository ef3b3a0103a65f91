"""The benchmark of a web server: small, bounded, and on this machine only."""

import io
import json
import sys

import numpy as np
import psutil
import pytest

from benchmarks import arrays
from benchmarks.harness import Request, WorkerError
from benchmarks.memory import total_pss
from benchmarks.models import Case, Store
from benchmarks.rivals import RIVALS

WORKERS = 2


@pytest.fixture(scope="module")
def load(module):
    """The module that serves and loads."""
    for name in ("fastapi", "httpx", "uvicorn"):
        pytest.importorskip(name, reason="the bench extra is not installed")
    return module("serve.load")


@pytest.fixture(scope="module")
def request_(tmp_path_factory) -> Request:
    return Request(Store(tmp_path_factory.mktemp("models")), ["one_node.onnx"], ["ort"])


@pytest.fixture(scope="module")
def case(request_) -> Case:
    return request_.store.case("one_node.onnx", {})


@pytest.fixture
def body(case) -> bytes:
    return arrays.to_bytes(case.feeds)


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


def test_a_load_ends_after_so_many_requests_and_the_server_after_it(load, request_, case, body):
    before = children()
    with load.served(request_, case, RIVALS["ortmmap-nocache"], WORKERS) as (server, url):
        assert url.startswith("http://127.0.0.1:")
        assert server.figures["ready_ms"] > 0
        assert len(children() - before) >= WORKERS
        if sys.platform == "linux":
            assert total_pss(server.family()) > 2**20
        figures, answer = load.Servers(3, 20).load(f"{url}/run", body, 60)
    assert figures["requests"] == 20
    assert 0 < figures["p50_ms"] <= figures["p99_ms"]
    assert figures["per_second"] > 0
    (y,) = arrays.load(io.BytesIO(answer)).values()
    assert np.array_equal(y, np.maximum(case.feeds["x"], 0))
    assert children() <= before


def test_a_load_ends_when_its_time_is_over(load, request_, case, body):
    with load.served(request_, case, RIVALS["ort"], 1) as (_, url):
        figures, _ = load.Servers(2, 1_000_000).load(f"{url}/run", body, 0.2)
    assert 2 <= figures["requests"] < 1_000_000


def test_a_request_that_fails_is_an_error(load, request_, case, body):
    with (
        load.served(request_, case, RIVALS["ort"], 1) as (_, url),
        pytest.raises(WorkerError, match="404 Not Found"),
    ):
        load.Servers(1, 1).load(f"{url}/absent", body, 1)


@pytest.mark.parametrize("workers", [1, WORKERS])
def test_a_server_that_cannot_open_the_model_says_why(load, tmp_path, request_, case, workers):
    before = children()
    bad = Case("bad.onnx", tmp_path / "bad.onnx", case.feeds, tmp_path)
    bad.path.write_bytes(b"no model")
    with (
        pytest.raises(WorkerError, match=r"(?s)ortmmap, no cache failed.*bad.onnx"),
        load.served(request_, bad, RIVALS["ortmmap-nocache"], workers),
    ):
        pass
    assert children() <= before


def test_workers_that_are_to_be_forked_are_refused(load, request_, case):
    with (
        pytest.raises(ValueError, match="does not fork"),
        load.served(request_, case, RIVALS["ort-preload"], 1),
    ):
        pass


@pytest.mark.usefixtures("load")
def test_the_command_reports_each_rival(module, case, tmp_path):
    from click.testing import CliRunner

    out = tmp_path / "report.json"
    arguments = ["serve", "--model", "one_node.onnx", "--models", str(case.folder)]
    arguments += ["--repeat", "1", "--workers", "1", "--requests", "5", "--json", str(out)]
    done = CliRunner().invoke(
        module("__main__").cli, [*arguments, "--rival", "ort", "--rival", "ortmmap"]
    )
    assert done.exit_code == 0, done.output
    rows = json.loads(out.read_text())["rows"]
    assert [row["rival"] for row in rows] == ["ort", "ortmmap"]
    for row in rows:
        assert row["figures"]["requests"]["median"] > 0
        assert row["figures"]["until all serve"]["count"] == 1
        assert row["difference"]["bit_equal"]
