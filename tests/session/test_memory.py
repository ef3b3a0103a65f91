"""Private memory, in child processes: the weights stay in the page cache, and are shared."""

import json
import platform
import subprocess
import sys
from pathlib import Path

import models
import numpy as np
import pytest
from support import ask_python, run_python, smaps_rollup, to_ort

import ortmmap

MIB = 1 << 20
OPEN = """
import json, sys
import numpy as np
import {module} as module
from support import smaps_rollup, status

def options():
    made = module.SessionOptions()
    made.intra_op_num_threads = 1
    made.log_severity_level = 4
    for name, value in json.loads(sys.argv[2]).items():
        made.add_session_config_entry(name, value)
    return made

feed = {{"h0": np.ones((1, 1024), "f4")}}
module.InferenceSession(sys.argv[3], options())  # all that is done once
before, peak = smaps_rollup()["Anonymous"], status("VmHWM")
session = module.InferenceSession(sys.argv[1], options())
opened = smaps_rollup()["Anonymous"] - before
session.run(None, feed)
print(json.dumps([opened, smaps_rollup()["Anonymous"] - before]))
"""
NO_PREPACKING = {"session.disable_prepacking": "1"}
ONNXRUNTIMES_MAP = {
    "session.use_memory_mapped_ort_model": "1",
    "session.use_ort_model_bytes_directly": "1",
    "session.use_ort_model_bytes_for_initializers": "1",
}


@pytest.fixture(scope="module")
def weights(big_ort_file) -> int:
    return big_ort_file.stat().st_size


def private(module: str, path: Path, small: Path, config: dict[str, str]) -> list[int]:
    """Return the private bytes that opening a model takes, and opening and running it."""
    return ask_python(OPEN.format(module=module), path, json.dumps(config), small)


@pytest.fixture
def small(write) -> Path:
    return write(to_ort(models.weights(1, 8)), "small.ort")


def test_without_prepacking_next_to_nothing_is_private(big_ort_file, small, weights):
    opened, run = private("ortmmap", big_ort_file, small, NO_PREPACKING)
    assert opened < weights / 50
    assert run < weights / 50


def test_onnxruntime_by_default_copies_the_weights(big_ort_file, small, weights):
    """What makes the other tests worth their name."""
    opened, _ = private("onnxruntime", big_ort_file, small, NO_PREPACKING)
    assert opened > 0.9 * weights


def test_with_prepacking_no_more_is_private_than_with_onnxruntimes_own_map(
    big_ort_file, small, weights
):
    ours, _ = private("ortmmap", big_ort_file, small, {})
    theirs, _ = private("onnxruntime", big_ort_file, small, ONNXRUNTIMES_MAP)
    assert ours <= 1.05 * theirs + MIB
    assert ours < 1.3 * weights


def test_a_buffer_is_used_in_place(big_ort_file, small, weights):
    code = (
        OPEN.format(module="ortmmap")
        .replace(
            "before, peak",
            "from pathlib import Path\ncontent = Path(sys.argv[1]).read_bytes()\nbefore, peak",
        )
        .replace("InferenceSession(sys.argv[1]", "InferenceSession(memoryview(content)[0:]")
    )
    opened, run = ask_python(code, big_ort_file, json.dumps(NO_PREPACKING), small)
    assert opened < weights / 50
    assert run < weights / 50


def test_an_onnx_file_costs_no_more_than_in_onnxruntime(write, small):
    path = write(models.weights(8, 1024), "big.onnx")
    ours, theirs = (
        private(module, path, small, NO_PREPACKING) for module in ("ortmmap", "onnxruntime")
    )
    assert ours[0] <= 1.05 * theirs[0] + MIB


def test_a_closed_session_gives_its_memory_back(big_ort_file, small, weights):
    code = OPEN.format(module="ortmmap") + (
        "session.close()\nprint(smaps_rollup()['Anonymous'] - before)\n"
    )
    assert ask_python(code, big_ort_file, json.dumps({}), small) < weights / 10


def convolutions(layers: int = 5, channels: int = 256) -> bytes:
    """Build convolutions, each with a batch normalization that is folded into its weights."""
    random = np.random.default_rng(0)
    nodes, constants = [], []
    for index in range(layers):
        nodes += [
            models.node("Conv", f"h{index} w{index}", f"c{index}", pads=[1, 1, 1, 1]),
            models.node(
                "BatchNormalization",
                f"c{index} s{index} b{index} b{index} s{index}",
                f"h{index + 1}",
            ),
        ]
        kernel = random.standard_normal((channels, channels, 3, 3), "f4") / np.float32(channels)
        constants += [
            models.constant(f"w{index}", kernel),
            models.constant(f"s{index}", np.full(channels, 1.5, "f4")),
            models.constant(f"b{index}", np.full(channels, 0.5, "f4")),
        ]
    return models.build(
        nodes,
        [models.tensor("h0", shape=["batch", channels, 14, 14])],
        [models.tensor(f"h{layers}", shape=["batch", channels, 14, 14])],
        constants,
    )


ROUNDS = """
import gc, json, sys
import numpy as np
import ortmmap
from support import smaps_rollup, status

cache = json.loads(sys.argv[2])
options = ortmmap.SessionOptions()
options.intra_op_num_threads = 1
shape = json.loads(sys.argv[3])

def private():
    gc.collect()
    return smaps_rollup()["Anonymous"]

def use(batches):
    session = ortmmap.Session(sys.argv[1], options, cache=cache)
    assert session.cached.wait(120)
    opened = private()
    for batch in batches:
        session.run(None, {"h0": np.ones((batch, *shape), "f4")})
    ran = private()
    if batches[0] % 2:
        session.close()
    else:
        del session
    return opened, ran

# What a process does once: imports, and the arena of recorded sessions.
for _ in range(2):
    with ortmmap.Session(sys.argv[4], options, cache=cache) as other:
        assert other.cached.wait(120)
        other.run(None, {"h0": np.ones((1, 8), "f4")})
before = private()
use([1])   # with a cache, the session that fills it
grown = [private() - before]
for index in range(20):
    used = use([1 + index * 5 % 7, 1 + index * 3 % 7, 1])
    grown.append(private() - before)
print(json.dumps([grown, [figure - before for figure in used]]))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another malloc than glibc's")
@pytest.mark.parametrize("cached", [False, True], ids=["without cache", "cached"])
@pytest.mark.parametrize("kind", ["matrices", "convolutions"])
def test_closing_sessions_leaves_no_more_than_3_mib(tmp_path, kind, cached):
    """20 rounds of opening, runs with changing batch sizes, and closing."""
    path, small = tmp_path / "model.onnx", tmp_path / "small.onnx"
    path.write_bytes(convolutions() if kind == "convolutions" else models.weights(8, 1024))
    small.write_bytes(models.weights(1, 8))
    cache = str(tmp_path / "cache") if cached else False
    shape = [256, 14, 14] if kind == "convolutions" else [1024]
    if cached:
        # In a process that fills the cache, the thread's arena keeps what malloc_trim(3) cannot
        # shrink at its end.
        session = ortmmap.Session(path, cache=cache)
        assert session.cached.wait(120)
        session.close()
    grown, used = ask_python(ROUNDS, path, json.dumps(cache), json.dumps(shape), small, timeout=300)
    assert max(grown) < 3 * MIB, grown
    assert cached or max(used) > path.stat().st_size / 2


def test_freed_memory_of_creating_goes_back_to_the_system(tmp_path, small):
    """Folding a batch normalization makes new weights, and frees the old ones."""
    path = tmp_path / "model.onnx"
    path.write_bytes(convolutions())
    opened, _ = ask_python(
        ROUNDS.replace("for index in range(20)", "for index in range(1)"),
        path,
        "false",
        "[256, 14, 14]",
        small,
    )[1]
    assert opened < 1.5 * path.stat().st_size  # all that was freed is as much again


WORKER = """
import sys
import numpy as np
import ortmmap
options = ortmmap.SessionOptions()
options.intra_op_num_threads = 1
options.add_session_config_entry("session.disable_prepacking", "1")
session = ortmmap.Session(sys.argv[1], options)
session.run(None, {"h0": np.ones((1, 1024), "f4")})
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def workers(big_ort_file, request):
    """Processes that each hold a session over one file."""
    import os

    folders = os.pathsep.join(
        [str(Path(ortmmap.__file__).parent.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(big_ort_file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": folders},
        )
        for _ in range(request.param)
    ]
    for worker in started:
        assert worker.stdout.readline() == b"ready\n"
    yield started
    for worker in started:
        worker.communicate()
        assert worker.returncode == 0


def model_pss(process: int, path: Path) -> int:
    """Return the proportional share of the pages of `path` that `process` has in, in bytes."""
    total, counts = 0, False
    for line in Path(f"/proc/{process}/smaps").read_text().splitlines():
        first, *rest = line.split()
        if not first.endswith(":"):
            counts = line.endswith(str(path))
        elif first == "Pss:" and counts:
            total += int(rest[0]) * 1024
    return total


@pytest.mark.parametrize("workers", [2, 4], indirect=True)
def test_processes_share_the_weights(workers, big_ort_file, weights):
    """Together they take the weights once, and each its own few MiB."""
    shares = [model_pss(worker.pid, big_ort_file) for worker in workers]
    assert 0.9 * weights < sum(shares) < 1.1 * weights
    rollups = [smaps_rollup(worker.pid) for worker in workers]
    private_ = sum(rollup["Private_Clean"] + rollup["Private_Dirty"] for rollup in rollups)
    assert private_ < len(workers) * 60 * MIB  # numpy and ONNX Runtime themselves, half of it
    assert sum(rollup["Pss"] for rollup in rollups) < weights + len(workers) * 60 * MIB
    for rollup in rollups:
        assert rollup["Anonymous"] < weights


COPIES = """
import sys
import numpy as np
import ortmmap
from support import status
options = ortmmap.SessionOptions()
options.intra_op_num_threads = 1
options.enable_cpu_mem_arena = False
session = ortmmap.Session(sys.argv[1], options)
small, count = np.ones((2, 2), "f4"), 4096
session.run(None, {"x": small})
whole = np.ones((2 * count, count), "f4")
value = {
    "contiguous": lambda: whole[:count],
    "read-only": lambda: np.frombuffer(whole, "f4")[: count * count].reshape(count, count),
    "strided": lambda: whole[::2],
    "swapped": lambda: whole[:count].view(">f4"),
}[sys.argv[2]]()
before = status("VmHWM")
outputs = session.run(None, {"x": value})
print((status("VmHWM") - before) / value.nbytes)
"""


@pytest.mark.parametrize(
    ("layout", "most"),
    [("contiguous", 0.2), ("read-only", 0.2), ("strided", 1.2), ("swapped", 1.2)],
)
def test_an_input_is_copied_once_or_not_at_all(write, layout, most):
    """`most`: how many times the size of the input memory may grow."""
    model = models.build(
        [models.node("ReduceMax", "x", "y", keepdims=0)],
        [models.tensor("x", shape=["n", "m"])],
        [models.tensor("y")],
    )
    assert ask_python(COPIES, write(to_ort(model)), layout) < most


def test_an_output_is_not_copied(write):
    code = """
import sys
import numpy as np
import ortmmap
from support import status
options = ortmmap.SessionOptions()
options.intra_op_num_threads = 1
session = ortmmap.Session(sys.argv[1], options)
session.run(None, {"x0": np.array([2])})
before = status("VmHWM")
outputs = session.run(None, {"x0": np.array([16 << 20])})
print((status("VmHWM") - before) / outputs[0].nbytes)
"""
    path = write(to_ort(models.one_node("ConstantOfShape", ["int64"], "float32")))
    assert ask_python(code, path) < 1.2


def test_an_output_that_is_dropped_gives_its_memory_back(write):
    code = """
import sys
import numpy as np
import ortmmap
from support import smaps_rollup
options = ortmmap.SessionOptions()
options.intra_op_num_threads = 1
options.enable_cpu_mem_arena = False
session = ortmmap.Session(sys.argv[1], options)
feed = {"x0": np.array([16 << 20])}
before = smaps_rollup()["Anonymous"]
for _ in range(10):
    outputs = session.run(None, feed)
    (part,) = [output[:10] for output in outputs]
held = smaps_rollup()["Anonymous"] - before
del outputs, part
print(held / (64 << 20), (smaps_rollup()["Anonymous"] - before) / (64 << 20))
"""
    path = write(to_ort(models.one_node("ConstantOfShape", ["int64"], "float32")))
    held, left = map(float, run_python(code, path).stdout.split())
    assert 0.9 < held < 1.2
    assert left < 0.1


def test_prefault_makes_pages_resident_and_shared_not_private(big_ort_file, weights):
    code = """
import json, sys
import ortmmap
from support import smaps_rollup
before = smaps_rollup()
mapping = ortmmap.Mapping(sys.argv[1], prefault=True)
after = smaps_rollup()
grown = [after[name] - before[name] for name in ("Rss", "Anonymous")]
print(json.dumps([mapping.resident(), *grown]))
"""
    resident, rss, anonymous = ask_python(code, big_ort_file)
    assert resident == weights
    assert rss > 0.95 * weights
    assert anonymous < MIB


def test_dropping_pages_by_advice_makes_them_leave_the_process(big_ort_file, weights):
    code = """
import sys
import ortmmap
from support import smaps_rollup
mapping = ortmmap.Mapping(sys.argv[1], prefault=True)
before = smaps_rollup()["Rss"]
mapping.advise("dontneed")
print(before - smaps_rollup()["Rss"])
"""
    assert ask_python(code, big_ort_file) > 0.95 * weights


def test_results_are_onnxruntimes_whatever_memory_is_used(big_ort_file):
    from support import assert_same, onnxruntime_session, ortmmap_session

    feed = {"h0": np.random.default_rng(0).standard_normal((3, 1024), "f4")}
    for config in ({}, NO_PREPACKING):
        ours, theirs = (
            make(big_ort_file, config=config).run(None, feed)
            for make in (ortmmap_session, onnxruntime_session)
        )
        assert_same(ours, theirs)
