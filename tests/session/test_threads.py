"""Many threads, and the interpreter lock."""

import gc
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import models
import numpy as np
import onnxruntime
import pytest
from support import (
    assert_same,
    caught,
    maps,
    onnxruntime_session,
    ortmmap_session,
    run_python,
    to_ort,
)

import ortmmap

THREADS = 10
ROUNDS = 50_000_000  # hours: a run of so many only ends when it is told to


@pytest.fixture(scope="module")
def endless() -> ortmmap.Session:
    return ortmmap_session(to_ort(models.endless()))


def run_in_threads(target: Callable[[int], None], count: int = THREADS) -> None:
    """Run target(0), target(1) … at once; what one of them raises is raised."""
    start = threading.Barrier(count)

    def begin(index: int) -> None:
        start.wait()
        target(index)

    with ThreadPoolExecutor(count) as pool:
        for future in [pool.submit(begin, index) for index in range(count)]:
            future.result()


class LongRun:
    """A run in a thread of its own, under way while the `with` block is, and terminated after."""

    def __init__(self, session: ortmmap.Session, options: ortmmap.RunOptions | None = None) -> None:
        self.options = options or ortmmap.RunOptions()
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, args=[session])

    def _run(self, session: ortmmap.Session) -> None:
        feed = {"rounds": np.array(ROUNDS), "x": np.ones(1000, "f4")}
        self.error = caught(session.run, None, feed, self.options)

    def __enter__(self) -> "LongRun":
        self.thread.start()
        clock = time.pthread_getcpuclockid(self.thread.ident)
        while time.clock_gettime(clock) < 0.02:  # CPU time that only the kernels can have taken
            pass
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.options.terminate = True
        self.thread.join()


@pytest.mark.parametrize("name", ["affine", "convolution", "lstm", "text", "sequences", "many"])
def test_one_session_runs_in_many_threads(name):
    model, feed = models.catalogue()[name]
    session = ortmmap_session(to_ort(model))
    expected = onnxruntime_session(to_ort(model)).run(None, feed)

    def run(_: int) -> None:
        for _ in range(100):
            assert_same(session.run(None, feed), expected)

    run_in_threads(run)


def test_each_thread_gets_the_result_of_its_own_input(affine):
    session = ortmmap_session(affine)
    feeds = [{"x": np.full((index + 1, 8), index, "f4")} for index in range(THREADS)]
    expected = [session.run(None, feed) for feed in feeds]

    def run(index: int) -> None:
        for _ in range(300):
            assert_same(session.run(None, feeds[index]), expected[index])

    run_in_threads(run)


def test_failing_and_succeeding_runs_do_not_disturb_each_other(affine):
    session = ortmmap_session(affine)
    feed = {"x": np.ones((2, 8), "f4")}
    expected = session.run(None, feed)

    def run(index: int) -> None:
        for _ in range(200):
            if index % 2:
                assert caught(session.run, None, {"x": np.ones((2, 9), "f4")})
            else:
                assert_same(session.run(None, feed), expected)

    run_in_threads(run)


@pytest.mark.parametrize("from_file", [True, False])
def test_sessions_are_created_used_and_closed_in_many_threads(ort_file, affine, from_file):
    feed = {"x": np.ones((2, 8), "f4")}
    expected = ortmmap_session(affine).run(None, feed)

    def cycle(index: int) -> None:
        for turn in range(30):
            session = ortmmap_session(ort_file if from_file else affine)
            assert_same(session.run(None, feed), expected)
            if (index + turn) % 2:
                session.close()

    run_in_threads(cycle)
    assert maps(ort_file) == []


def test_the_library_is_opened_once_by_threads_that_come_first(ort_file):
    code = (
        "import sys, threading\nimport numpy as np\nimport ortmmap\n"
        "start = threading.Barrier(10)\nresults = []\n"
        "def first():\n"
        "    start.wait()\n"
        "    session = ortmmap.Session(sys.argv[1])\n"
        "    results.append(session.run(None, {'x': np.ones((2, 8), 'f4')})[0].tobytes())\n"
        "threads = [threading.Thread(target=first) for _ in range(10)]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()\n"
        "assert len(results) == 10 and len(set(results)) == 1\n"
    )
    for _ in range(3):
        run_python(code, ort_file)


def assert_terminated(error: BaseException | None) -> None:
    assert isinstance(error, ortmmap.errors.OrtError)
    assert "terminate" in str(error).lower()


def test_other_threads_go_on_while_a_session_runs(endless):
    """The run ends only because this thread goes on and terminates it."""
    with LongRun(endless) as run:
        counted = sum(1 for _ in range(100_000))
        assert run.thread.is_alive()
    assert counted == 100_000
    assert_terminated(run.error)


def test_onnxruntime_terminates_with_the_same_exception(endless):
    with LongRun(endless) as run:
        pass
    options = onnxruntime.RunOptions()
    options.terminate = True
    session = onnxruntime_session(to_ort(models.endless()))
    theirs = caught(session.run, None, {"rounds": np.array(3), "x": np.ones(1, "f4")}, options)
    assert type(run.error).__name__ == type(theirs).__name__


def test_a_terminated_session_runs_again(endless):
    with LongRun(endless) as run:
        pass
    run.options.terminate = False
    (y,) = endless.run(None, {"rounds": np.array(2), "x": np.ones(1, "f4")}, run.options)
    np.testing.assert_allclose(y, np.sin(np.sin(np.ones(1))), rtol=1e-6)


def test_many_long_runs_of_one_session_go_on_at_once(endless):
    with ExitStack() as stack:
        runs = [stack.enter_context(LongRun(endless)) for _ in range(8)]
        assert all(run.thread.is_alive() for run in runs)
    for run in runs:
        assert_terminated(run.error)


def test_terminating_one_run_leaves_the_others_alone(endless):
    with LongRun(endless) as other:
        with LongRun(endless) as run:
            pass
        assert_terminated(run.error)
        assert other.thread.is_alive()


def test_one_options_object_terminates_every_run_that_uses_it(endless):
    options = ortmmap.RunOptions()
    with ExitStack() as stack:
        runs = [stack.enter_context(LongRun(endless, options)) for _ in range(4)]
        options.terminate = True
    for run in runs:
        assert_terminated(run.error)


def test_closing_raises_while_a_session_runs_and_works_later(write):
    path = write(to_ort(models.endless()))
    session = ortmmap_session(path)
    with LongRun(session) as run:
        with pytest.raises(RuntimeError, match="run"):
            session.close()
        with pytest.raises(RuntimeError), session:
            pass
        with pytest.raises(BufferError):
            session.mapping.close()
        assert maps(path)
    assert_terminated(run.error)
    session.close()
    assert maps(path) == []


def test_another_run_fails_or_succeeds_beside_a_long_one(endless):
    with LongRun(endless):
        assert caught(endless.run, None, {"rounds": np.array(1), "x": np.ones((1, 1), "f4")})
        (y,) = endless.run(None, {"rounds": np.array(1), "x": np.zeros(1, "f4")})
        assert y.tolist() == [0]


def test_dropping_the_last_name_of_a_running_session_is_safe(write):
    path = write(to_ort(models.endless()))
    run = LongRun(ortmmap_session(path))
    with run:
        assert maps(path)
    assert_terminated(run.error)
    del run
    gc.collect()  # the error, its traceback and the run are a cycle
    assert maps(path) == []


def test_other_threads_go_on_while_a_session_is_created(tmp_path):
    """Creation writes to a FIFO, and ends only because another thread goes on and reads it."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    code = (
        "import sys, threading\nfrom pathlib import Path\nimport numpy as np\nimport ortmmap\n"
        "read = []\n"
        "reader = threading.Thread(target=lambda: read.append(Path(sys.argv[1]).read_bytes()))\n"
        "options = ortmmap.SessionOptions()\n"
        "options.log_severity_level = 3\n"
        "options.optimized_model_filepath = sys.argv[1]\n"
        "reader.start()\n"
        "session = ortmmap.Session(bytes.fromhex(sys.argv[2]), options)\n"
        "reader.join()\n"
        "feed = {'x': np.ones((1, 8), 'f4')}\n"
        "assert ortmmap.Session(read[0]).run(None, feed)[0].shape == (1, 4)\n"
    )
    run_python(code, fifo, models.affine().hex(), timeout=300)


def test_the_interpreter_may_exit_while_sessions_live_and_run(ort_file, write):
    """Threads and sessions of every state are left over at exit."""
    code = (
        "import sys, threading\nimport numpy as np\nimport ortmmap\n"
        "session = ortmmap.Session(sys.argv[1])\n"
        "kept = session.run(None, {'x': np.ones((2, 8), 'f4')})\n"
    )
    running = (
        "started = threading.Event()\n"
        "endless = ortmmap.Session(sys.argv[2])\n"
        "def run():\n"
        "    started.set()\n"
        "    endless.run(None, {'rounds': np.array(10**9), 'x': np.ones(1000, 'f4')})\n"
        "threading.Thread(target=run, daemon=True).start()\n"
        "started.wait()\n"
    )
    endless = write(to_ort(models.endless()), "endless.ort")
    run_python(code, ort_file, endless)
    run_python(code + running, ort_file, endless, timeout=300)


MEDDLERS = {
    "closing the session": "session.close()",
    "closing session and mapping": "mapping = session.mapping; session.close(); mapping.close()",
    "emptying the feed": "feed.clear()",
    "adding to the feed": "feed.update({str(index): None for index in range(100)})",
    "moving names to the end of the feed, for ever": (
        "name = next(iter(feed)); feed[name] = feed.pop(name)"
    ),
    "running the session": "session.run(None, {**dict.fromkeys(names, np.ones(3, 'f4'))})",
    "opening it again": "session.__init__(sys.argv[1])",
    "collecting garbage": "gc.collect()",
}


@pytest.mark.parametrize("meddling", MEDDLERS)
def test_a_value_whose_conversion_meddles_raises_or_runs(write, meddling):
    """Converting a value runs Python code, which may do anything; the process must not die."""
    code = f"""
import gc, sys
import numpy as np
import ortmmap
session = ortmmap.Session(sys.argv[1])
names = [arg.name for arg in session.get_inputs()]
calls = 0

class Meddler:
    def __array__(self, dtype=None, copy=None):
        global calls
        calls += 1
        if calls > 100_000:
            raise RecursionError("for ever")
        {MEDDLERS[meddling]}
        return np.ones(3, "f4")

feed = dict.fromkeys(names, Meddler())
try:
    session.run(None, feed)
except Exception as error:
    print(type(error).__name__, error)
assert calls <= 10 * len(names), "values of one feed were converted again and again"
session.close()
ortmmap.Session(sys.argv[1]).run(None, dict.fromkeys(names, np.ones(3, "f4")))
"""
    run_python(code, write(to_ort(models.add_many(6))))


def test_names_whose_iteration_closes_the_session_raise_or_run(ort_file):
    code = """
import sys
import numpy as np
import ortmmap
session = ortmmap.Session(sys.argv[1])

class Names(list):
    def __iter__(self):
        session.close()
        return super().__iter__()

try:
    session.run(Names(["y"]), {"x": np.ones((1, 8), "f4")})
except (ValueError, RuntimeError):
    pass
"""
    run_python(code, ort_file)


def test_closing_while_another_thread_converts_its_input_is_safe(write):
    """numpy gives the lock up while it copies; the session may be closed by then."""
    model = models.build(
        [models.node("ReduceMax", "x", "y", keepdims=0)],
        [models.tensor("x", shape=["n"])],
        [models.tensor("y")],
    )
    code = """
import sys, threading
import numpy as np
import ortmmap
x = np.ones(1 << 22, "f4")[::2]
for _ in range(40):
    session = ortmmap.Session(sys.argv[1])
    started = threading.Event()
    def run():
        started.set()
        try:
            session.run(None, {"x": x})
        except (ValueError, RuntimeError):
            pass
    thread = threading.Thread(target=run)
    thread.start()
    started.wait()
    try:
        session.close()
    except RuntimeError:
        pass
    thread.join()
"""
    run_python(code, write(to_ort(model)))


def test_sixteen_threads_run_open_and_close_without_a_leak(ort_file):
    """Ten thousand runs each; every hundredth is of a session of the thread's own."""
    code = """
import sys, threading
import numpy as np
import ortmmap
from support import assert_same, descriptors, maps, smaps_rollup

path = sys.argv[1]
options = ortmmap.SessionOptions()
options.intra_op_num_threads = 1
shared = ortmmap.Session(path, options)
feed = {"x": np.ones((2, 8), "f4")}
expected = shared.run(None, feed)
errors = []

def work(runs):
    try:
        for index in range(runs):
            if index % 100:
                shared.run(None, feed)
                continue
            with ortmmap.Session(path, options) as own:
                assert_same(own.run(None, feed), expected)
    except BaseException as error:
        errors.append(error)

def cycle(runs):
    threads = [threading.Thread(target=work, args=[runs]) for _ in range(16)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    assert not errors, errors
    return smaps_rollup()["Anonymous"], len(descriptors()), len(maps(path))

cycle(2000)   # the heap of each thread's arena settles
before = cycle(2000)
after = cycle(6000)
assert after[0] - before[0] < 4 << 20, (before, after)
assert after[1:] == before[1:] and after[2] == 1, (before, after)
assert_same(shared.run(None, feed), expected)
"""
    run_python(code, ort_file, timeout=300)


def test_another_interpreter_of_the_process_is_refused():
    """ONNX Runtime's library, the heap and the handlers are the process's, and there is one."""
    code = """
import importlib
for name in ("_interpreters", "_xxsubinterpreters"):   # Python 3.13; before
    try:
        interpreters = importlib.import_module(name)
        break
    except ImportError:
        continue
import os
from ortmmap import Session   # the native modules, which one interpreter may load
other = interpreters.create()
reader, writer = os.pipe()
run = getattr(interpreters, "run_string", None) or interpreters.exec
run(other, f'''
import os, sys, warnings
warnings.simplefilter("ignore")   # numpy's own, of such interpreters
sys.path[:0] = {os.environ["PYTHONPATH"].split(os.pathsep)!r}
try:
    from ortmmap import Session
    text = "imported"
except ImportError as error:
    text = f"ImportError: {{error}}"
os.write({writer}, text.encode())
''')
text = os.read(reader, 1000).decode()
assert text.startswith("ImportError"), text
# Cython's words, and Python's own since 3.12.
assert "one interpreter per process" in text or "loading in subinterpreters" in text, text
interpreters.destroy(other)
"""
    run_python(code)
