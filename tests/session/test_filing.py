"""Sessions that are handed out before the cache has what belongs to them."""

import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import large_models
import models
import numpy as np
import pytest
from support import assert_same, configured, run_python, smaps_rollup

import ortmmap
from ortmmap.cache import draft as cache_draft
from ortmmap.cache import folder as cache_folder
from ortmmap.cache import pages as cache_pages
from ortmmap.cache.entry import Entry
from ortmmap.cache.header import NO_CONTENT
from ortmmap.cache.store import Store
from ortmmap.session import filing

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="shared pages are Linux only")

LAYERS, WIDTH = 4, 512
FEED = {"h0": np.linspace(-1, 1, WIDTH, dtype="f4").reshape(1, WIDTH)}

OPEN = """
import json, os, signal, sys, threading, time, warnings
import numpy as np
import ortmmap
from ortmmap.cache import pages
from ortmmap.cache.store import Store
from ortmmap.session import filing
options = ortmmap.SessionOptions()
options.intra_op_num_threads = 1
width = 512
feed = {"h0": np.linspace(-1, 1, width, dtype="f4").reshape(1, width)}
def opened():
    return ortmmap.Session(sys.argv[1], options, cache=sys.argv[2])
def kinds():
    return sorted(entry.kind for entry in Store(sys.argv[2]).entries())
real, reached, go = pages.write_pages, threading.Event(), threading.Event()
def pause(fd, key, blocks, check, digest, **more):
    reached.set()
    while not go.wait(0.01):
        check()
    return real(fd, key, blocks, check, digest, **more)
"""


@pytest.fixture
def model(tmp_path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(models.weights(LAYERS, WIDTH))
    return path


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "cache"


class Pause:
    """Holds the filing thread when it is about to write the pages."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.go = threading.Event()


@pytest.fixture
def pause(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pause]:
    held, real = Pause(), cache_pages.write_pages

    def write(*args: object, **more: object) -> int:
        held.reached.set()
        assert held.go.wait(60)
        return real(*args, **more)

    monkeypatch.setattr(cache_pages, "write_pages", write)
    monkeypatch.setattr(cache_folder, "_warned", set())
    yield held
    held.go.set()
    assert filing.wait_for_all(60)


def opened(model: Path, folder: object) -> ortmmap.Session:
    return ortmmap.Session(model, configured(ortmmap.SessionOptions()), cache=folder)


def kinds(folder: Path) -> list[str]:
    return sorted(entry.kind for entry in Store(str(folder)).entries())


def unfinished(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith("tmp")]


def filing_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "ortmmap filing"]


# Handed out first


def test_a_session_is_handed_out_before_its_entries_are_written(model, folder, pause):
    session = opened(model, folder)
    assert pause.reached.wait(60)
    assert session.cached.state == "filing"
    assert not session.cached.wait(0.01)
    memory = session.memory()
    assert (memory.shared_blocks, memory.private_blocks) == (0, LAYERS)
    before = session.run(None, FEED)
    pause.go.set()
    assert session.cached.wait(60)
    assert session.cached.state == "shared"
    memory = session.memory()
    assert (memory.shared_blocks, memory.private_blocks) == (LAYERS, 0)
    assert_same(session.run(None, FEED), before)
    assert kinds(folder) == ["model", "pages"]
    warm = opened(model, folder)
    assert warm.cached.state == "shared"
    assert_same(warm.run(None, FEED), before)


def test_a_session_whose_folder_is_refused_says_why(model, tmp_path, monkeypatch):
    monkeypatch.setattr(cache_folder, "_warned", set())
    (tmp_path / "open").mkdir(mode=0o755)
    for _ in range(2):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            session = opened(model, tmp_path / "open")
        assert session.cached.state == "private"
        assert f"others may enter {tmp_path}/open (mode 755)" in session.cached.reason
        assert session.memory().shared_blocks == 0
    assert caught == []  # the first session has warned
    assert_same(session.run(None, FEED), opened(model, False).run(None, FEED))


def test_a_session_without_the_cache_is_off(model):
    assert opened(model, False).cached.state == "off"
    assert opened(model, False).cached.wait(0)


def test_private_memory_becomes_the_pages_of_the_file(model, folder, pause):
    session = opened(model, folder)
    session.run(None, FEED)
    assert pause.reached.wait(60)
    before = smaps_rollup()["Anonymous"]
    pause.go.set()
    assert session.cached.wait(60)
    assert before - smaps_rollup()["Anonymous"] > LAYERS * WIDTH * WIDTH * 4 * 0.8


def test_threads_that_run_during_the_exchange_see_the_same_outputs(model, tmp_path, pause):
    """Several rounds, each with an empty cache, and a thread that is never between two runs."""
    expected = opened(model, False).run(None, FEED)[0].tobytes()
    for number in range(4):
        pause.reached.clear()
        pause.go.clear()
        session = opened(model, tmp_path / f"cache-{number}")
        assert pause.reached.wait(60)
        outputs, counts = set(), [0, 0, 0]
        stop = threading.Event()

        def run(index: int, session=session, outputs=outputs, counts=counts, stop=stop) -> None:
            while not stop.is_set():
                outputs.add(session.run(None, FEED)[0].tobytes())
                counts[index] += 1

        threads = [threading.Thread(target=run, args=(index,)) for index in range(3)]
        for thread in threads:
            thread.start()
        pause.go.set()
        assert session.cached.wait(60)
        done = list(counts)
        while any(now <= before for now, before in zip(counts, done, strict=True)):
            time.sleep(0.001)  # each thread has run once more, with the file's pages
        stop.set()
        for thread in threads:
            thread.join()
        assert outputs == {expected}
        assert session.memory().private_blocks == 0


@pytest.mark.parametrize("name", [*large_models.CASES, "convolution", "matrices"])
def test_a_later_session_prepacks_the_same_blocks(name, folder, tmp_path):
    """The first session has optimized the graph itself, the later one opens the saved graph."""
    path = tmp_path / "model.onnx"
    if name == "convolution":
        path.write_bytes(models.large_convolution())
    elif name == "matrices":
        path.write_bytes(models.weights(LAYERS, WIDTH))
    else:
        path.write_bytes(large_models.CASES[name]()[0])
    first = opened(path, folder)
    assert first.cached.wait(60)
    assert first.cached.state == "shared"
    later = opened(path, folder)
    assert later.memory().private_blocks == 0
    assert later.memory().shared_blocks >= first.memory().shared_blocks


def test_one_thread_writes_for_all_sessions_and_ends(model, folder, tmp_path, pause):
    other = tmp_path / "other.onnx"
    other.write_bytes(models.weights(2, WIDTH))
    sessions = [opened(model, folder), opened(other, folder)]
    assert pause.reached.wait(60)
    assert len(filing_threads()) == 1
    found = [session.cached for session in sessions]
    assert [cached.state for cached in found] == ["filing", "filing"], found
    nice = os.getpriority(os.PRIO_PROCESS, filing_threads()[0].native_id)
    assert nice > os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    pause.go.set()
    assert filing.wait_for_all(60)
    assert [session.cached.state for session in sessions] == ["shared", "shared"]
    assert filing_threads() == []
    assert len(kinds(folder)) == 4


# Ends


@pytest.mark.parametrize("how", ["closed", "collected"])
def test_a_session_that_ends_while_it_is_filed_leaves_a_whole_entry(model, folder, pause, how):
    session = opened(model, folder)
    cached, expected = session.cached, session.run(None, FEED)
    assert pause.reached.wait(60)
    if how == "closed":
        session.close()
    del session
    gc.collect()
    pause.go.set()
    assert cached.wait(60)
    assert kinds(folder) == ["model", "pages"]
    assert unfinished(folder) == []
    later = opened(model, folder)
    assert later.memory().private_blocks == 0
    assert_same(later.run(None, FEED), expected)


# The first session makes the filing thread's heap, which later ones use again.
CLOSED_WHILE_FILED = """
import gc
from support import smaps_rollup
pages.write_pages = pause
def filed(folder):
    reached.clear(); go.clear()
    session = ortmmap.Session(sys.argv[1], options, cache=folder)
    assert reached.wait(60)
    session.close()
    go.set()
    assert filing.wait_for_all(60)
    gc.collect()
    return smaps_rollup()["Anonymous"]
before = filed(sys.argv[2] + ".first")
print(filed(sys.argv[2]) - before)
"""


def test_memory_of_a_closed_session_is_given_back_once_it_is_filed(model, folder):
    done = run_python(OPEN + CLOSED_WHILE_FILED, model, folder)
    assert int(done.stdout) < LAYERS * WIDTH * WIDTH * 4 / 8


@pytest.mark.parametrize("error", [RuntimeError("broken"), MemoryError(), SystemExit()])
def test_an_exception_in_the_thread_leaves_nothing_and_the_session_runs(
    model, folder, monkeypatch, error
):
    def fail(*_args: object, **_more: object) -> None:
        raise error

    monkeypatch.setattr(cache_folder, "_warned", set())
    monkeypatch.setattr(cache_pages, "write_pages", fail)
    expected = opened(model, False).run(None, FEED)
    session = opened(model, folder)
    if isinstance(error, Exception):
        with pytest.warns(ortmmap.CacheWarning):
            assert session.cached.wait(60)
    assert session.cached.wait(60)
    assert session.cached.state == "private"
    assert kinds(folder) == ["model"]
    assert unfinished(folder) == []
    assert filing.wait_for_all(60)
    assert_same(session.run(None, FEED), expected)
    monkeypatch.undo()
    again = opened(model, folder)
    assert again.cached.wait(60)
    assert kinds(folder) == ["model", "pages"]
    assert_same(again.run(None, FEED), expected)


def test_without_another_thread_the_session_stays_private(model, folder, monkeypatch):
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    assert filing.wait_for_all(60)  # the thread may be digesting the model of an earlier test
    monkeypatch.setattr(threading.Thread, "start", refuse)
    session = opened(model, folder)
    assert session.cached.state == "private"
    assert "thread" in session.cached.reason
    assert session.run(None, FEED)
    monkeypatch.undo()
    assert opened(model, folder).cached.wait(60)
    assert kinds(folder) == ["model", "pages"]


def test_the_exit_waits_until_the_entries_are_written(model, folder):
    run_python(OPEN + "opened().run(None, feed)", model, folder)
    assert kinds(folder) == ["model", "pages"]
    assert unfinished(folder) == []


def test_the_exit_waits_no_longer_than_it_may(model, folder):
    code = OPEN + "pages.write_pages = pause\nsession = opened()\nassert reached.wait(60)\n"
    started = time.monotonic()
    run_python(code, model, folder, env={"ORTMMAP_CACHE_EXIT_WAIT": "0.2"})
    assert time.monotonic() - started < 30
    assert kinds(folder) == ["model"]
    assert unfinished(folder) == []


def test_a_child_of_multiprocessing_waits_at_its_exit_too(model, folder):
    code = (
        OPEN
        + """
import multiprocessing
def work():
    opened().run(None, feed)
child = multiprocessing.get_context("fork").Process(target=work)
child.start()
child.join()
assert child.exitcode == 0
"""
    )
    run_python(code, model, folder)
    assert kinds(folder) == ["model", "pages"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_process_leaves_no_half_entry_and_no_lock(model, folder, number):
    code = (
        OPEN
        + """
pages.write_pages = pause
session = opened()
assert reached.wait(60)
os.kill(os.getpid(), int(sys.argv[3]))
time.sleep(60)
"""
    )
    done = run_python(code, model, folder, int(number), check=False)
    assert done.returncode == -number
    assert kinds(folder) == ["model"]
    session = opened(model, folder)
    assert session.cached.wait(60)
    assert kinds(folder) == ["model", "pages"]


@pytest.mark.parametrize("reopened", [True, False])
def test_a_child_of_a_fork_has_no_work_and_the_parent_goes_on(model, folder, reopened):
    """It waits for the parent's entry, unless it uses the parent's session as it is."""
    code = (
        OPEN
        + f"""
reopened = {reopened}
os.environ["ORTMMAP_FORK"] = "reopen" if reopened else ""
"""
        + """
pages.write_pages = pause
session = opened()
expected = session.run(None, feed)[0].tobytes()
assert reached.wait(60)
warnings.simplefilter("ignore")
read, write = os.pipe()
child = os.fork()
if child == 0:
    try:
        assert session.cached.wait(0) and session.cached.state == "private"
        assert [t.name for t in threading.enumerate() if t.name == "ortmmap filing"] == []
        assert filing.wait_for_all(0)
        os.write(write, b"x")
        go.set()
        assert session.run(None, feed)[0].tobytes() == expected
        assert session.cached.state == ("shared" if reopened else "private")
        assert bool(session.memory().private_blocks) is not reopened
        os._exit(0)
    finally:
        os._exit(1)
assert os.read(read, 1) == b"x"
assert session.cached.state == "filing"
go.set()
assert session.cached.wait(60) and session.cached.state == "shared"
assert os.waitpid(child, 0)[1] == 0
assert session.run(None, feed)[0].tobytes() == expected
assert kinds() == ["model", "pages"]
"""
    )
    run_python(code, model, folder, timeout=120)


def test_a_fork_finds_no_thread_and_the_work_begins_again(model, folder):
    """The hook that counts was registered first, so it runs after ortmmap's."""
    code = (
        """
import os
counts = []
os.register_at_fork(before=lambda: counts.append(len(os.listdir("/proc/self/task"))))
"""
        + OPEN
        + """
begun = []
def counted(*args, **more):
    begun.append(threading.get_native_id())
    return pause(*args, **more)
pages.write_pages = counted
session = opened()
for number in range(3):
    assert reached.wait(60)
    reached.clear()
    child = os.fork()   # a warning of threads would be an error
    if child == 0:
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert session.cached.state == "filing"
assert reached.wait(60)
go.set()
assert session.cached.wait(60) and session.cached.state == "shared"
assert counts == [1, 1, 1], counts
assert len(begun) == 4
assert kinds() == ["model", "pages"]
assert [name for name in os.listdir(sys.argv[2]) if name.startswith("tmp")] == []
"""
    )
    run_python(code, model, folder, env={"OPENBLAS_NUM_THREADS": "1"})  # it has threads too


def test_work_that_forks_have_interrupted_often_is_waited_for(model, folder):
    code = (
        OPEN
        + """
filing.MOST_INTERRUPTIONS = 1
pages.write_pages = pause
session = opened()
for number in range(2):
    assert reached.wait(60)
    reached.clear()
    if number:
        threading.Timer(0.2, go.set).start()
    warnings.simplefilter("ignore")   # of the timer's thread
    child = os.fork()
    if child == 0:
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
assert session.cached.state == "shared"
"""
    )
    run_python(code, model, folder)


# The digest by which copies of the model are found

IDENTIFY = (
    OPEN
    + """
from ortmmap.cache import key as cache_key
digested, content = threading.Event(), cache_key._content
def pause_digest(sources, check):
    reached.set()
    while not go.wait(0.01):
        check()
    digested.set()
    return content(sources, check)
cache_key._content = pause_digest
session = opened()
assert session.cached.wait(60) and session.cached.state == "shared"
assert reached.wait(60)
"""
)


def identified(folder: Path) -> list[bool]:
    store = Store(str(folder))
    return [Entry(store.folder, found.name).content != NO_CONTENT for found in store.entries()]


def test_entries_are_complete_before_the_model_is_digested(model, folder):
    code = (
        IDENTIFY
        + """
assert kinds() == ["model", "pages"]
with ortmmap.Session(sys.argv[1], options, cache=sys.argv[2]) as later:
    assert later.cached.state == "shared"
assert not filing.wait_for_all(0)
go.set()
assert filing.wait_for_all(60) and digested.is_set()
"""
    )
    run_python(code, model, folder)
    assert identified(folder) == [True, True]


def test_a_process_killed_before_the_digest_leaves_entries_that_serve_the_model(model, folder):
    code = IDENTIFY + "os.kill(os.getpid(), signal.SIGKILL)"
    assert run_python(code, model, folder, check=False).returncode == -signal.SIGKILL
    assert identified(folder) == [False, False]
    later = opened(model, folder)
    assert later.cached.state == "shared"
    assert later.memory().private_blocks == 0


def test_a_fork_interrupts_the_digest_which_begins_again(model, folder):
    code = (
        IDENTIFY
        + """
reached.clear()
child = os.fork()   # a warning of threads would be an error
if child == 0:
    os._exit(0 if filing.wait_for_all(0) and not filing._queue else 1)
assert os.waitpid(child, 0)[1] == 0
assert session.cached.state == "shared"
assert reached.wait(60)
go.set()
assert filing.wait_for_all(60) and digested.is_set()
"""
    )
    run_python(code, model, folder, env={"OPENBLAS_NUM_THREADS": "1"})
    assert identified(folder) == [True, True]


def test_the_exit_waits_for_the_digest_and_no_longer_than_it_may(model, folder):
    code = IDENTIFY + "threading.Timer(0.2, go.set).start()\n"
    run_python(code, model, folder)
    assert identified(folder) == [True, True]
    Store(str(folder)).clear()
    run_python(IDENTIFY, model, folder, env={"ORTMMAP_CACHE_EXIT_WAIT": "0.2"})
    assert identified(folder) == [False, False]


def test_no_session_waits_for_the_digests_of_earlier_ones(folder, tmp_path, monkeypatch):
    assert filing.wait_for_all(60)
    monkeypatch.setattr(filing, "REST_SECONDS", 60)
    for number in range(4):
        path = tmp_path / f"{number}.onnx"
        path.write_bytes(models.weights(2 + number, WIDTH))
        assert opened(path, folder).cached.wait(30)
    assert filing.wait_for_all(60)


def test_the_digest_makes_way_for_another_session(model, folder, tmp_path):
    other = tmp_path / "other.onnx"
    other.write_bytes(models.weights(2, WIDTH))
    code = (
        IDENTIFY
        + """
with ortmmap.Session(sys.argv[3], options, cache=sys.argv[2]) as other:
    assert other.cached.wait(60) and other.cached.state == "shared"
assert not digested.is_set()
go.set()
assert filing.wait_for_all(60) and digested.is_set()
"""
    )
    run_python(code, model, folder, other)
    assert identified(folder) == [True] * 4


def test_the_digest_rests_unless_somebody_waits(model, folder, monkeypatch):
    monkeypatch.setattr(filing, "REST_SECONDS", 100.0)
    session = opened(model, folder)
    assert session.cached.wait(60)
    time.sleep(0.2)
    assert identified(folder) == [False, False]
    assert filing.wait_for_all(60)
    assert identified(folder) == [True, True]


def test_the_digest_comes_after_the_entries_of_other_sessions(model, folder, tmp_path, pause):
    other = tmp_path / "other.onnx"
    other.write_bytes(models.weights(2, WIDTH))
    found = []
    with pytest.MonkeyPatch.context() as patch:
        real = cache_draft.identify
        patch.setattr(
            cache_draft, "identify", lambda *args: (found.append(kinds(folder)), real(*args))[1]
        )
        sessions = [opened(model, folder), opened(other, folder)]
        pause.go.set()
        assert filing.wait_for_all(60)
    assert [session.cached.state for session in sessions] == ["shared", "shared"]
    assert found == [["model", "model", "pages", "pages"]] * 2
    assert identified(folder) == [True] * 4


# Where it is impossible

IMPOSSIBLE = (
    OPEN
    + """
warnings.simplefilter("error")
import resource, support
def private():
    session = opened()
    assert session.run(None, feed)
    assert session.cached.state == "private", session.cached
    return session
"""
)


def test_without_another_thread_nothing_is_recorded(public_path, tmp_path):
    model = public_path / "model.onnx"
    model.write_bytes(models.weights(LAYERS, WIDTH))
    public_path.chmod(0o777)
    code = (
        IMPOSSIBLE
        + """
with ortmmap.Session(sys.argv[1], options, cache=sys.argv[3]) as session:   # imports everything
    assert filing.wait_for_all(60)
support.drop_privileges()
resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
session = private()
assert "thread" in session.cached.reason, session.cached
assert session.memory().private_blocks == 0
assert kinds() == []
"""
    )
    run_python(code, model, public_path / "cache", tmp_path / "cache")


def test_too_little_room_is_remembered_until_there_is_more(model, folder):
    code = IMPOSSIBLE + "session = private()\nassert session.memory().private_blocks == 0\n"
    few = {"ORTMMAP_CACHE_LIMIT": "1MB"}
    with pytest.warns(ortmmap.CacheWarning, match="976.6 KiB"):
        first = opened_with_limit(model, folder, few)
    assert first.cached.state == "private"
    assert "976.6 KiB" in first.cached.reason
    assert kinds(folder) == []
    before = locks(folder)
    run_python(code, model, folder, env=few)  # another process is silent, and asks for no lock
    assert locks(folder) == before
    later = opened(model, folder)
    assert later.cached.wait(60)
    assert later.cached.state == "shared"
    assert kinds(folder) == ["model", "pages"]


def opened_with_limit(model: Path, folder: Path, env: dict[str, str]) -> ortmmap.Session:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache_folder, "_warned", set())
        for name, value in env.items():
            patch.setenv(name, value)
        return opened(model, folder)


def locks(folder: Path) -> list[tuple[str, int]]:
    return sorted((path.name, path.stat().st_atime_ns) for path in (folder / "locks").iterdir())


def test_locks_that_are_denied_are_tried_once_in_a_process(model, folder):
    code = (
        IMPOSSIBLE
        + """
import errno, fcntl
tried = []
def deny(fd, how):
    tried.append(how)
    raise OSError(errno.ENOLCK, "no locks available")
fcntl.flock = deny
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    session = private()
    assert "no locks" in session.cached.reason
    assert session.memory().private_blocks == 0
    first = len(tried)
    assert first == 1
    private()
    assert len(tried) == first
assert [warning.category for warning in caught] == [ortmmap.CacheWarning]
assert kinds() == []
"""
    )
    run_python(code, model, folder)


def test_a_failure_to_write_is_remembered_for_a_while(model, folder):
    code = (
        IMPOSSIBLE
        + """
import errno
def fail(*args, **more):
    raise OSError(errno.EDQUOT, "quota")
pages.write_pages = fail
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    session = opened()
    assert session.cached.wait(60) and session.cached.state == "private"
assert len(caught) == 1
"""
    )
    run_python(code, model, folder)
    again = opened(model, folder)
    assert again.cached.state == "private"
    assert "lately" in again.cached.reason
    (noted,) = folder.glob("failed-*")
    os.utime(noted, (0, 0))
    later = opened(model, folder)
    assert later.cached.wait(60)
    assert later.cached.state == "shared"


def test_an_address_space_limit_that_turns_sharing_off_says_so(model, folder):
    code = (
        IMPOSSIBLE
        + """
resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    session = opened()
    assert session.run(None, feed)
    assert session.cached.wait(60)
(warning,) = caught
assert "RLIMIT_AS" in str(warning.message) and str(8 << 30) in str(warning.message)
assert kinds() == ["model"]
again = opened()
assert "RLIMIT_AS" in again.cached.reason, again.cached
"""
    )
    run_python(code, model, folder)


def test_sharing_leaves_most_of_a_limited_address_space(model, folder):
    code = (
        IMPOSSIBLE
        + """
import mmap
resource.setrlimit(resource.RLIMIT_AS, (64 << 30, 64 << 30))
session = opened()
assert session.cached.wait(60) and session.cached.state == "shared"
mmap.mmap(-1, 40 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=0).close()
"""
    )
    run_python(code, model, folder)


# Many at once


def test_others_wait_for_the_entry_and_are_woken_by_it(model, folder):
    code = (
        OPEN
        + """
pages.write_pages = pause
session = opened()
assert reached.wait(60)
print("filing", flush=True)
sys.stdin.readline()
go.set()
assert session.cached.wait(60)
print(time.monotonic(), flush=True)
"""
    )
    with started(code, model, folder) as first:
        try:
            assert first.stdout.readline() == "filing\n"
            found: list[object] = []
            thread = threading.Thread(target=lambda: found.append(opened(model, folder)))
            thread.start()
            thread.join(0.3)
            assert thread.is_alive()
            first.stdin.write("\n")
            first.stdin.flush()
            thread.join(60)
            waited = time.monotonic()
            written = float(first.stdout.readline())
        finally:
            first.kill()
    assert found[0].cached.state == "shared"
    assert found[0].memory().private_blocks == 0
    assert waited - written < 5


WRITE_HALF = """
from ortmmap.session import prepacking
halfway, fork_now = int(sys.argv[3]), threading.Event()
def wait_halfway(fd, key, blocks, check, digest, **more):
    written = [0]
    def at():
        written[0] += 1
        if written[0] == halfway and not fork_now.is_set():
            print("halfway", flush=True)
            told = sys.stdin.readline()
            if told == "die\\n":
                os.kill(os.getpid(), signal.SIGKILL)
            while told == "fork\\n":
                fork_now.set()
                check()
        check()
    return real(fd, key, blocks, at, digest, **more)
pages.write_pages, pages.WRITE_BYTES = wait_halfway, 1 << 20
session, child = opened(), None
while not session.cached.wait(0.01):
    if fork_now.is_set() and child is None:
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
assert session.cached.state == "shared", session.cached
"""


@contextmanager
def writing_half(model: Path, folder: Path, halfway: int) -> Iterator[subprocess.Popen]:
    """Start a process that writes the pages, and stops before the write of that number."""
    with started(OPEN + WRITE_HALF, model, folder, halfway) as first:
        try:
            assert first.stdout.readline() == "halfway\n"
            yield first
        finally:
            first.kill()


def test_others_share_pages_before_they_are_all_written(model, folder):
    """They wait for each page, and not for the entry."""
    found: list[ortmmap.Session] = []
    thread = threading.Thread(target=lambda: found.append(opened(model, folder)))
    with writing_half(model, folder, 3) as first:
        thread.start()
        deadline = time.monotonic() + 60
        while not shared_mappings(folder) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert shared_mappings(folder)
        assert kinds(folder) == ["model"]
        assert thread.is_alive()
        first.stdin.write("go on\n")
        first.stdin.flush()
        thread.join(60)
        assert first.wait(60) == 0
    (session,) = found
    memory = session.memory()
    assert session.cached.state == "shared"
    assert (memory.shared_blocks, memory.private_blocks) == (LAYERS, 0)
    assert_same(session.run(None, FEED), opened(model, False).run(None, FEED))
    assert kinds(folder) == ["model", "pages"]
    Store(str(folder)).prune(0)
    assert kinds(folder) == ["model", "pages"]  # the session holds them


def shared_mappings(folder: Path) -> list[str]:
    """Return the lines of /proc/self/maps of blocks that are the cache's pages."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return [line for line in lines if str(folder) in line and " rw-p " in line]


def started(code: str, *arguments: object) -> subprocess.Popen:
    """Start a program that reads requests and writes answers, a line each."""
    folders = [Path(ortmmap.__file__).parent.parent, Path(__file__).parent.parent]
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))},
    )


def test_one_of_the_others_writes_the_pages_if_the_writer_is_killed_halfway(model, folder):
    found: list[ortmmap.Session] = []
    threads = [
        threading.Thread(target=lambda: found.append(opened(model, folder))) for _ in range(2)
    ]
    with writing_half(model, folder, 3) as first:
        for thread in threads:
            thread.start()
        threads[0].join(0.3)
        assert all(thread.is_alive() for thread in threads)
        first.stdin.write("die\n")
        first.stdin.flush()
        for thread in threads:
            thread.join(60)
    assert filing.wait_for_all(60)
    expected = opened(model, False).run(None, FEED)
    for session in found:
        assert session.cached.state == "shared"
        memory = session.memory()
        assert (memory.shared_blocks, memory.private_blocks) == (LAYERS, 0)
        assert_same(session.run(None, FEED), expected)
    assert len(found) == 2
    assert kinds(folder) == ["model", "pages"]
    assert unfinished(folder) == []


def test_a_fork_of_the_writer_does_not_make_the_others_private(model, folder):
    found: list[ortmmap.Session] = []
    thread = threading.Thread(target=lambda: found.append(opened(model, folder)))
    with writing_half(model, folder, 3) as first:
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
        first.stdin.write("fork\n")
        first.stdin.flush()
        thread.join(60)
        assert first.wait(60) == 0
    (session,) = found
    assert session.cached.state == "shared"
    assert session.memory().private_blocks == 0


def test_a_draft_that_a_killed_process_left_is_not_waited_for(model, folder):
    import fcntl

    with writing_half(model, folder, 3) as first:
        first.kill()
        first.wait()
    (left,) = unfinished(folder)
    fd = os.open(folder / left, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH)  # as a session would that has shared a part
        test_others_share_pages_before_they_are_all_written(model, folder)
        assert unfinished(folder) == [left]
    finally:
        os.close(fd)


def test_others_wait_no_longer_than_they_may_for_pages_that_are_being_written(
    model, folder, monkeypatch
):
    monkeypatch.setenv("ORTMMAP_CACHE_WAIT", "0.3")
    with writing_half(model, folder, 3):
        started = time.monotonic()
        session = opened(model, folder)
        assert time.monotonic() - started < 30
        assert session.cached.state == "private"
        assert_same(session.run(None, FEED), opened(model, False).run(None, FEED))


def test_without_a_wait_others_open_in_place(model, folder, pause, monkeypatch):
    first = opened(model, folder)
    assert pause.reached.wait(60)
    monkeypatch.setenv("ORTMMAP_CACHE_WAIT", "0")
    second = opened(model, folder)
    assert second.cached.state == "private"
    assert_same(second.run(None, FEED), first.run(None, FEED))


def total_memory(processes: list[subprocess.Popen]) -> tuple[int, int]:
    """Return the processes' proportional memory in bytes: all of it, and what is no file's."""
    found = [(0, 0)]
    for process in processes:
        try:
            memory = smaps_rollup(process.pid)
            found.append((memory["Pss"], memory["Pss_Anon"] + memory["Pss_Shmem"]))
        except (OSError, IndexError, KeyError):
            continue
    everything, private = map(sum, zip(*found, strict=True))
    return everything, private


def growth_of_four_processes(path: Path) -> tuple[int, int]:
    """Return the most `total_memory`, sampled, over that of processes without a model of 64 MiB."""
    path.mkdir()
    model, folder = path / "model.onnx", path / "cache"
    model.write_bytes(models.weights(16, 1024))
    code = (
        OPEN.replace("width = 512", "width = 1024")
        + """
ortmmap.get_version_string()
print("ready", flush=True)
sys.stdin.readline()
session = opened()
session.run(None, feed)
assert session.cached.wait(100)
print(json.dumps(session.memory()._asdict()), flush=True)
sys.stdin.readline()
"""
    )
    processes = [started(code, model, folder) for _ in range(4)]
    most, over = [0, 0], threading.Event()

    def watch() -> None:
        while not over.is_set():
            most[:] = map(max, most, total_memory(processes))
            time.sleep(0.01)

    try:
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        before = total_memory(processes)
        thread = threading.Thread(target=watch)
        thread.start()
        for process in processes:
            process.stdin.write("\n")
            process.stdin.flush()
        memories = [json.loads(process.stdout.readline()) for process in processes]
        over.set()
        thread.join()
    finally:
        over.set()
        for process in processes:
            process.kill()
            process.communicate()
    assert {memory["shared_blocks"] for memory in memories} == {16}
    assert {memory["private_blocks"] for memory in memories} == {0}
    return most[0] - before[0], most[1] - before[1]


def test_four_processes_never_hold_more_than_one_private_copy(tmp_path):
    """Samples of processes are not taken at one moment, so one sum may be too large."""
    weights = 64 << 20
    found = []
    for attempt in range(3):
        everything, private = growth_of_four_processes(tmp_path / str(attempt))
        found.append((everything, private))
        # Two private copies would be 64 MiB more. The second term has what each process needs to
        # run, and the buffers for writing. The files are the cache's pages and the model, which
        # the kernel has once, and drops if memory is short.
        if private < weights + (60 << 20) and everything < 3 * weights + (60 << 20):
            return
    raise AssertionError(found)
