"""Sessions whose cache is killed, full, emptied or crowded: right outputs, and whole entries."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import models
import numpy as np
import pytest
from support import ask_python, ortmmap_session, run_python

import ortmmap
from ortmmap.cache import folder as cache_folder
from ortmmap.cache import store as cache
from ortmmap.cache.folder import longest_wait
from ortmmap.cache.store import Store
from ortmmap.errors import InvalidProtobuf

WIDTH = 512
FEED = {"h0": np.linspace(-1, 1, WIDTH, dtype="f4").reshape(1, WIDTH)}

OPEN = """
import json, os, sys, time, warnings
import numpy as np
import ortmmap
from ortmmap.cache import recognition
from ortmmap.session.filing import wait_for_all
recognition.LEAST_TOTAL = 0
warnings.simplefilter("error")
options = ortmmap.SessionOptions()
options.intra_op_num_threads = 1
feed = {"h0": np.linspace(-1, 1, 512, dtype="f4").reshape(1, 512)}
"""
RUN = """
session = ortmmap.Session(sys.argv[1], options, cache=sys.argv[2])
output = session.run(None, feed)[0].tobytes().hex()
assert session.cached.wait(60)
assert session.run(None, feed)[0].tobytes().hex() == output
memory = session.memory()
assert wait_for_all(60)  # later sessions recognize their blocks
print(json.dumps([output, memory.shared_blocks, memory.private_blocks]))
"""
# Kills the process just before its n-th access to the cache's folder.
DIE = """
seen = 0
def die(event, arguments):
    global seen
    if any(isinstance(one, (str, bytes)) and sys.argv[2] in os.fsdecode(one) for one in arguments):
        seen += 1
        if seen == int(sys.argv[3]):
            os.kill(os.getpid(), 9)
sys.addaudithook(die)
"""


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget earlier warnings: a process warns once."""
    monkeypatch.setattr(cache_folder, "_warned", set())


@pytest.fixture
def model(tmp_path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(models.weights(2, WIDTH))
    return path


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def expected(model) -> bytes:
    return ortmmap_session(model).run(None, FEED)[0].tobytes()


def opened(model: Path, folder: Path) -> ortmmap.Session:
    """Open a session, and wait until the cache has what belongs to it."""
    options = ortmmap.SessionOptions()
    options.intra_op_num_threads = 1
    session = ortmmap.Session(model, options, cache=folder)
    assert session.cached.wait(60)
    return session


def kinds(folder: Path) -> list[str]:
    return sorted(entry.kind for entry in Store(str(folder)).entries())


def entries(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"CACHEDIR.TAG", "locks"}


@pytest.mark.slow
def test_a_builder_killed_at_any_moment_leaves_a_cache_that_the_next_one_fills(
    model, tmp_path, expected, monkeypatch
):
    monkeypatch.setattr(cache, "YOUNG_SECONDS", 0)
    kills, found = 0, set()
    while True:
        folder = tmp_path / f"killed-{kills}-cache"
        done = run_python(OPEN + DIE + RUN, model, folder, kills + 1, check=False)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        kills += 1
        if folder.exists():
            found.add(tuple(sorted(name.partition("-")[0] for name in entries(folder))))
        session = opened(model, folder)  # any warning is an error
        assert session.run(None, FEED)[0].tobytes() == expected
        assert session.memory().shared_blocks == 2
        session.close()
        Store(str(folder)).prune()
        assert kinds(folder) == ["model", "pages"]
        assert len(entries(folder)) == 2
    assert json.loads(done.stdout)[1:] == [2, 0]
    assert found >= {(), ("tmp",), ("model",), ("model", "tmp"), ("model", "pages")}
    assert kills > 20


@pytest.mark.slow
@pytest.mark.parametrize(("count", "warm"), [(50, False), (8, True)])
def test_processes_that_open_at_once_all_answer_right_and_share(
    model, folder, expected, count, warm
):
    if warm:
        opened(model, folder).close()
    before = entries(folder) if warm else set()
    with ThreadPoolExecutor(count) as pool:
        found = list(pool.map(lambda _: ask_python(OPEN + RUN, model, folder), range(count)))
    assert found == [[expected.hex(), 2, 0]] * count
    assert kinds(folder) == ["model", "pages"]
    assert len(entries(folder)) == 2
    assert not warm or entries(folder) == before


@pytest.mark.parametrize("room", ["64k", "1m"])
def test_a_full_disk_costs_the_cache_and_nothing_else(model, folder, expected, room):
    """The disk has less room than the prepacked weights need."""
    folder.mkdir(0o700)
    size = ["-o", f"size={room},mode=700"]
    try:
        subprocess.run(["mount", "-t", "tmpfs", *size, "tmpfs", folder], check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("only root may mount")
    try:
        with pytest.warns(ortmmap.CacheWarning) as caught:
            session = opened(model, folder)
        assert len(caught) == 1
        assert session.run(None, FEED)[0].tobytes() == expected
        assert session.memory().shared_blocks in (0, 2)  # of the file that this process wrote
        assert not any(name.startswith(("tmp", "pages")) for name in entries(folder))
        session.close()
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_live_session_outlives_its_entries(model, folder, expected):
    opened(model, folder).close()
    session = opened(model, folder)
    assert Store(str(folder)).clear() > 0
    assert session.run(None, FEED)[0].tobytes() == expected
    again = opened(model, folder)
    assert again.run(None, FEED)[0].tobytes() == expected
    assert session.run(None, FEED)[0].tobytes() == expected
    assert kinds(folder) == ["model", "pages"]


def test_a_model_replaced_under_a_live_session_is_another(model, folder, expected):
    session = opened(model, folder)
    other = model.with_name("other.onnx")
    other.write_bytes(models.weights(3, WIDTH))
    (changed,) = ortmmap_session(other).run(None, FEED)
    other.replace(model)
    assert session.run(None, FEED)[0].tobytes() == expected
    for _ in range(2):
        later = opened(model, folder)
        assert later.run(None, FEED)[0].tobytes() == changed.tobytes() != expected
        assert later.memory().shared_blocks == 3
    assert len(kinds(folder)) == 4


@pytest.mark.parametrize("years", [-10, 10])
def test_a_clock_that_goes_back_or_ahead_changes_nothing(model, folder, expected, years):
    shifted = f"real = time.time\ntime.time = lambda: real() + {years * 31_557_600}\n"
    moment = time.time() + years * 31_557_600
    found = [expected.hex(), 2, 0]
    assert ask_python(OPEN + RUN, model, folder) == found
    made = entries(folder)
    for name in made:  # as if they were made when the clock was wrong
        os.utime(folder / name, (moment, moment))
    assert ask_python(OPEN + shifted + RUN, model, folder) == found
    assert ask_python(OPEN + RUN, model, folder) == found
    assert entries(folder) == made


def test_after_the_longest_wait_for_a_builder_a_session_opens_without_the_cache(
    model, folder, expected, monkeypatch
):
    code = """
import sys
from pathlib import Path
from filelock import FileLock
locks = [FileLock(path) for path in Path(sys.argv[1], "locks").iterdir()]
for lock in locks:
    lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""
    opened(model, folder).close()
    store = Store(str(folder))
    store.clear()
    builder = subprocess.Popen(
        [sys.executable, "-c", code, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert builder.stdout.readline() == b"held\n"
        monkeypatch.setenv("ORTMMAP_CACHE_WAIT", "0.2")
        assert longest_wait() == 0.2
        assert opened(model, folder).run(None, FEED)[0].tobytes() == expected
        assert kinds(folder) == []
    finally:
        builder.kill()
        builder.communicate()
    opened(model, folder).close()
    assert kinds(folder) == ["model", "pages"]


def rewritten() -> bytes:
    """Build a model whose weights the optimizer rewrites."""
    random = np.random.default_rng(0)
    scales = {name: random.random(256, "f4") + 1 for name in "sbmv"}
    return models.build(
        [
            models.node("Conv", "x w", "h", pads=[1, 1, 1, 1]),
            models.node("BatchNormalization", "h s b m v", "y"),
        ],
        [models.tensor("x", shape=["batch", 256, 8, 8])],
        [models.tensor("y", shape=["batch", 256, 8, 8])],
        [
            models.constant("w", random.random((256, 256, 3, 3), "f4")),
            *(models.constant(name, values) for name, values in scales.items()),
        ],
    )


LIMITED = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
session = ortmmap.Session(sys.argv[1], options, cache=sys.argv[2])
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    session.cached.wait(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems send signals elsewhere")
def test_a_limit_on_file_sizes_does_not_outlast_the_process(folder, tmp_path):
    path = tmp_path / "convolution.onnx"
    path.write_bytes(rewritten())
    run_python(OPEN + LIMITED, path, folder)
    assert "model" not in {entry.kind for entry in Store(str(folder)).entries()}
    for failed in folder.glob("failed-*"):
        failed.unlink()
    opened(path, folder).close()
    (entry,) = (each for each in Store(str(folder)).entries() if each.kind == "model")
    assert entry.nbytes > 1 << 20


SHORT_OF_DESCRIPTORS = """
import resource
ortmmap.Session(sys.argv[1], options, cache=sys.argv[2]).close()  # imports what it needs
warnings.simplefilter("ignore")
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
used = len(os.listdir("/proc/self/fd")) - 1
for left in range(8):
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + left, most))
    try:
        ortmmap.Session(sys.argv[1], options, cache=sys.argv[2]).close()
    except Exception:
        pass
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts descriptors in /proc")
def test_a_process_without_descriptors_removes_no_entry(model, folder):
    json.loads(run_python(OPEN + RUN, model, folder).stdout.splitlines()[-1])
    before = {entry.name for entry in Store(str(folder)).entries()}
    run_python(OPEN + SHORT_OF_DESCRIPTORS, model, folder)
    assert {entry.name for entry in Store(str(folder)).entries()} == before


def test_a_graph_that_cannot_be_parsed_is_removed_and_written_again(
    model, folder, expected, monkeypatch
):
    """A disk that returns wrong bytes changes no time, by which damage shows otherwise."""
    opened(model, folder).close()

    def damaged(*_: object) -> None:
        raise InvalidProtobuf("damaged")

    with monkeypatch.context() as patch:
        patch.setattr("ortmmap.session.recorded_creation.attempts_of", damaged)
        session = ortmmap.Session(model, cache=folder)
    assert session.run(None, FEED)[0].tobytes() == expected
    assert session.cached.wait(60)
    assert opened(model, folder).cached.state == "shared"
