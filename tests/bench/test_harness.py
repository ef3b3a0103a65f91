"""Worker processes, and the groups that they are measured in."""

import dataclasses
import os
import time

import numpy as np
import psutil
import pytest

from benchmarks import harness
from benchmarks.models import Store
from benchmarks.rivals import RIVALS
from benchmarks.worker import Task

WAIT_SECONDS = 30


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Return a process of the harness that runs code of a test's own."""

    def make(code):
        (tmp_path / "other_worker.py").write_text(code)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        paths = {name: str(tmp_path / name) for name in ("model", "cache", "feeds", "outputs")}
        task = Task("ort", {}, 1, **paths, started=0, seconds=0)
        return harness.Process("A rival", task, "other_worker")

    return make


@pytest.fixture
def request_(tmp_path):
    return harness.Request(Store(tmp_path / "models"), ["weights_1.onnx"], ["ort"], seconds=0)


@pytest.fixture
def case(request_):
    return request_.store.case("weights_1.onnx", {})


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import time; time.sleep(60)", r"before RAN, or was killed after 0\.2 s"),
        ("raise ValueError('its own reason')", "its own reason"),
    ],
)
def test_a_worker_that_hangs_or_ends_says_why(start, monkeypatch, code, said):
    monkeypatch.setattr(harness, "_STEP_SECONDS", 0.2 if "sleep" in code else WAIT_SECONDS)
    before = children()
    with (
        start(code) as worker,
        pytest.raises(harness.WorkerError, match=f"(?s)A rival failed.*{said}"),
    ):
        worker.wait_until("RAN")
    assert children() <= before


@pytest.mark.parametrize("together", [False, True])
def test_the_workers_of_a_group_are_alive_together(request_, case, together):
    before = children()
    records = harness.Workers(together=together).measure(request_, case, RIVALS["ortmmap"], 2)
    assert children() <= before
    assert len(records) == 2
    assert records[0].group is records[1].group
    expected = np.asarray(records[0].outputs["y"])
    assert (records[1].outputs["y"] == expected).all()
    for one in records:
        assert one.figures["answer_ms"] > one.figures["session_ms"] > 0
        assert one.figures["ran"]["private"] > one.figures["library"]["private"] > 0
        assert one.figures["faults"] > 0
        assert together or one.figures["peak"]["private"] is None
    if together:
        assert records[0].group["ready_ms"] > 0
    if (pss := records[0].group["pss"]) is not None:
        assert pss > sum(one.figures["ran"]["pss"] for one in records) / 2


def test_the_peak_of_a_process_is_sampled_if_requested(request_, case):
    again = dataclasses.replace(request_, sampled=True)
    [record] = harness.Workers().measure(again, case, RIVALS["ortmmap"], 1)
    assert record.figures["peak"]["private"] > record.figures["library"]["private"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("name", ["ort-preload", "ortmmap-preload"])
def test_preloaded_workers_are_forked_from_one_that_opened_the_session(request_, case, name):
    before = children()
    [record] = harness.Workers(together=True).measure(request_, case, RIVALS[name], 3)
    assert children() <= before
    assert record.figures["first_ms"] > 0
    [plain] = harness.Workers().measure(request_, case, RIVALS["ort"], 1)
    assert (record.outputs["y"] == plain.outputs["y"]).all()
    if record.group["pss"] is not None:
        assert record.group["pss"] > record.figures["ran"]["pss"]


def test_a_worker_that_opens_nothing(request_, case):
    [record] = harness.Workers().measure(request_, case, RIVALS["bare-ortmmap"], 1)
    assert record.outputs == {}
    assert "session_ms" not in record.figures
    assert record.figures["ran"]["rss"] > 0


def test_files_are_read_into_memory_or_dropped_before_each_group(request_, case, monkeypatch):
    seen = []
    monkeypatch.setattr(harness.free_memory, "touch", lambda: None)
    monkeypatch.setattr(harness.page_cache, "read", lambda paths: seen.append(("read", paths)))
    monkeypatch.setattr(harness.page_cache, "drop", lambda paths: seen.append(("drop", paths)))
    cold = harness.Request(**vars(request_) | {"cold_cache": True})
    for one in (request_, cold):
        with harness.prepared(one, case, RIVALS["ort-prepacked"]):
            pass
    (read, paths), libraries, (drop, same), again = seen
    assert (read, drop, same) == ("read", "drop", paths)
    assert libraries == again
    assert libraries[0] == "read"
    assert any(path.name.startswith("libonnxruntime.so") for path in libraries[1])
    model, data, cache = paths
    assert model.suffixes[-2:] == [".prepacked", ".onnx"]
    assert data.name == f"{model.name}.data"
    assert cache == case.cache("onnxruntime")


def test_every_process_of_a_rival_with_an_empty_cache_gets_its_own(request_, case):
    with harness.prepared(request_, case, RIVALS["ortmmap-cold"]) as make_task:
        caches = {make_task(index).cache for index in range(2)}
        assert len(caches) == 2
        assert not any(map(os.path.exists, caches))
    with harness.prepared(request_, case, RIVALS["ortmmap"]) as make_task:
        assert {make_task(index).cache for index in range(2)} == {str(case.cache("ortmmap"))}


def gone(pid):
    """Wait until a process has gone, and return whether it has."""
    deadline = time.monotonic() + WAIT_SECONDS
    while psutil.pid_exists(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not psutil.pid_exists(pid)


def test_a_process_is_ended_with_the_block(request_, case):
    with (
        harness.prepared(request_, case, RIVALS["ort"]) as make_task,
        harness.Process("A rival", make_task(0)) as worker,
    ):
        worker.wait_until("IMPORTED")
        assert psutil.pid_exists(worker.pid)
    assert gone(worker.pid)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_processes_that_are_left_behind_are_ended_too(start):
    code = """
import os, time
child = os.fork()
if not child:
    time.sleep(600)
print(child, "LEFT", sep=os.linesep, flush=True)
"""
    with start(code) as worker:
        child = int(worker.wait_until("LEFT"))
        with pytest.raises(harness.WorkerError, match="it ended before another step"):
            worker.wait_until("another step")  # the child has the same pipe as stdout
    assert gone(child)
