"""Run options with which a session gives memory back after each run, whatever arena it has."""

import json
import threading

import models
import numpy as np
import pytest
from support import ask_python, assert_same, caught, ortmmap_session

import ortmmap
from ortmmap.session.native_options import SHRINKAGE

MIB = 1 << 20

RUNS = """
import json, sys
import numpy as np
import ortmmap
from support import smaps_rollup
options = ortmmap.SessionOptions()
options.intra_op_num_threads = 1
session = ortmmap.Session(sys.argv[1], options, cache=json.loads(sys.argv[2]))
run_options = {"default": None, "low": ortmmap.low_memory()}[sys.argv[3]]
bound = sys.argv[4] == "bound"

def run(batch):
    feed = np.ones((batch, 1024), "f4")
    if not bound:
        session.run(None, {"h0": feed}, run_options)
        return
    binding = session.io_binding()
    binding.bind_cpu_input("h0", feed)
    binding.bind_output("h8")
    session.run_with_iobinding(binding, run_options)

assert session.cached.wait(120)
run(1)
before = smaps_rollup()["Anonymous"]
for batch in (4096, 1):
    run(batch)
print(json.dumps(smaps_rollup()["Anonymous"] - before))
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("low") / "model.onnx"
    path.write_bytes(models.weights(8, 1024))
    return path


@pytest.mark.parametrize("cached", [False, True], ids=["without cache", "cached"])
@pytest.mark.parametrize("how", ["run", "bound"])
def test_memory_of_a_large_batch_goes_after_the_next_run(path, tmp_path, cached, how):
    """A batch takes 16 MiB for each of two activations; its result is dropped before that run."""
    cache = json.dumps(str(tmp_path / "cache") if cached else False)
    assert ask_python(RUNS, path, cache, "default", how) > 24 * MIB
    assert ask_python(RUNS, path, cache, "low", how) < 8 * MIB


@pytest.mark.parametrize("cached", [False, True], ids=["without cache", "cached"])
def test_results_are_the_same(path, tmp_path, cached):
    cache = str(tmp_path / "cache") if cached else False
    feed = {"h0": np.random.default_rng(0).standard_normal((3, 1024), "f4")}
    options = ortmmap.SessionOptions()
    options.intra_op_num_threads = 1
    with ortmmap.Session(path, options, cache=cache) as session:
        assert_same(
            session.run(None, feed, ortmmap.low_memory()),
            ortmmap_session(path).run(None, feed),
        )
        with_others = ortmmap.low_memory()
        with_others.add_run_config_entry(SHRINKAGE, "gpu:0")
        error = caught(session.run, None, feed, with_others)
        assert isinstance(error, ortmmap.errors.InvalidArgument)


@pytest.mark.parametrize("cached", [False, True], ids=["without cache", "cached"])
def test_a_run_can_be_ended(tmp_path, cached):
    path = tmp_path / "endless.onnx"
    path.write_bytes(models.endless())
    options = ortmmap.SessionOptions()
    options.intra_op_num_threads = 1
    run_options = ortmmap.low_memory()
    cache = str(tmp_path / "cache") if cached else False
    with ortmmap.Session(path, options, cache=cache) as session:
        feed = {arg.name: np.ones(1, "f4") for arg in session.get_inputs()}
        feed["rounds"] = np.array(1 << 40)
        threading.Timer(0.5, setattr, (run_options, "terminate", True)).start()
        error = caught(session.run, None, feed, run_options)
        assert "terminate" in str(error), error
        run_options.terminate = False
        feed["rounds"] = np.array(3)
        session.run(None, feed, run_options)


def test_the_options_are_run_options():
    options = ortmmap.low_memory()
    assert isinstance(options, ortmmap.RunOptions)
    assert options.get_run_config_entry(SHRINKAGE) == "cpu:0"
