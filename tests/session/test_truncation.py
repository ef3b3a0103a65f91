"""A model file that is truncated while a session is live: an exception, and the process lives."""

import signal

import models
import pytest
from support import run_python, to_ort

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGBUS"), reason="the system has no SIGBUS")

PREAMBLE = """
import faulthandler, mmap, os, signal, sys, threading
import numpy as np
import ortmmap
from support import assert_same, caught

path = sys.argv[1]
feed = {"h0": np.ones((2, 512), "f4")}
options = ortmmap.SessionOptions()
options.intra_op_num_threads = 1
options.add_session_config_entry("session.disable_prepacking", "1")  # runs read the file itself

def assert_changed(error, path=path):
    assert isinstance(error, ortmmap.errors.ModelChangedError), repr(error)
    assert path in str(error) and error.path == path, error
"""


@pytest.fixture(params=["ort", "onnx"])
def path(request, tmp_path):
    """A model of 4 MiB of weights; runs of it read them from the file."""
    model = models.weights(4, 512)
    path = tmp_path / f"model.{request.param}"
    path.write_bytes(to_ort(model) if request.param == "ort" else model)
    return path


def run(code: str, *args: object, **kwargs: object) -> object:
    return run_python(PREAMBLE + code, *args, timeout=120, **kwargs)


OPEN = "session = ortmmap.Session(path, options)\n"


@pytest.mark.parametrize("left", ["0", "4096", "size // 2", "size - 4096"])
def test_a_run_that_reads_what_is_gone_raises_and_so_does_every_later_call(path, left):
    code = f"""
{OPEN}
size = os.path.getsize(path)
os.truncate(path, {left})
error = caught(session.run, None, feed)
assert_changed(error)
assert f"expected {{size}} bytes, found {{{left}}}" in str(error), error
for call in (
    lambda: session.run(None, feed),
    session.io_binding,
    session.get_modelmeta,
    lambda: session.run_async(None, feed, print, None),
):
    assert_changed(caught(call))
assert session.changed()
assert [arg.name for arg in session.get_inputs()] == ["h0"]
session.close()
"""
    run(code, path)


@pytest.mark.parametrize("folder", ["/".join(["f" * 250] * 8), "first\nsecond"])
def test_a_file_of_a_long_path_or_with_a_newline_in_it_is_guarded_too(tmp_path, folder):
    path = tmp_path / folder / "model.onnx"
    path.parent.mkdir(parents=True)
    path.write_bytes(models.weights(4, 512))
    code = f"""
{OPEN}
os.truncate(path, 4096)
assert_changed(caught(session.run, None, feed))
"""
    run(code, path)


def test_a_session_is_opened_anew_once_the_file_is_whole_again(path):
    code = f"""
content = open(path, "rb").read()
{OPEN}
expected = session.run(None, feed)
os.truncate(path, 4096)
assert_changed(caught(session.run, None, feed))
open(path, "wb").write(content)
assert_changed(caught(session.run, None, feed))
assert_same(ortmmap.Session(path, options).run(None, feed), expected)
"""
    run(code, path)


def test_other_sessions_and_threads_go_on(path):
    code = f"""
import shutil
other_path = path + ".other"
shutil.copy(path, other_path)
{OPEN}
other = ortmmap.Session(other_path, options)
expected = other.run(None, feed)
os.truncate(path, 4096)
errors = []
def work():
    for _ in range(50):
        errors.append(caught(session.run, None, feed))
        assert_same(other.run(None, feed), expected)
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert len(errors) == 400
for error in errors:
    assert_changed(error)
assert not other.changed()
"""
    run(code, path)


def test_every_session_of_the_file_is_told(path):
    code = """
sessions = [ortmmap.Session(path, options) for _ in range(3)]
os.truncate(path, 4096)
for session in sessions:
    assert_changed(caught(session.run, None, feed))
"""
    run(code, path)


def test_bound_and_asynchronous_runs_raise_too(path):
    code = """
import asyncio
options.intra_op_num_threads = 2
bound, called, awaited = [ortmmap.Session(path, options) for _ in range(3)]
binding = bound.io_binding()
binding.bind_cpu_input("h0", feed["h0"])
binding.bind_output("h4")
os.truncate(path, 4096)
assert_changed(caught(bound.run_with_iobinding, binding))
done, answers = threading.Event(), []
called.run_async(None, feed, lambda *answer: (answers.append(answer), done.set()), None)
assert done.wait(60)
assert answers[0][0] == [] and "truncated" in answers[0][2], answers
async def main():
    await awaited.run_awaitable(None, feed)
assert_changed(caught(asyncio.run, main()))
"""
    run(code, path)


def test_a_file_truncated_while_it_is_opened_raises(path):
    """Whoever truncates must hit the time between mapping and reading, so a thread hammers."""
    code = """
content = open(path, "rb").read()
stop = threading.Event()
def hammer():
    while not stop.is_set():
        with open(path, "r+b") as file:
            file.truncate(4096)
            file.write(content)
thread = threading.Thread(target=hammer)
thread.start()
options.log_severity_level = 4
try:
    for _ in range(150):
        error = caught(ortmmap.Session, path, options)
        assert error is None or isinstance(error, ortmmap.errors.OrtError), repr(error)
finally:
    stop.set()
    thread.join()
"""
    run(code, path)


def test_a_truncated_entry_of_the_cache_raises(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(models.weights(4, 512))
    code = """
from pathlib import Path
from ortmmap.cache import recognition
from ortmmap.session.filing import wait_for_all
recognition.LEAST_TOTAL = 0
options = ortmmap.SessionOptions()
options.intra_op_num_threads = 1
cache = path + ".cache"
first = ortmmap.Session(path, options, cache=cache)
expected = first.run(None, feed)
assert wait_for_all(60)   # the next session recognizes its blocks
session = ortmmap.Session(path, options, cache=cache)
assert session.memory().shared_blocks
assert_same(session.run(None, feed), expected)
(pages,) = Path(cache).glob("pages-*/pages")
os.truncate(pages, 1 << 16)
assert_changed(caught(session.run, None, feed))
"""
    run(code, path)


@pytest.mark.parametrize(
    ("moment", "kept"), [("lock", set()), ("model", set()), ("pages", {"model"})]
)
def test_nothing_of_a_truncated_file_reaches_the_cache(tmp_path, moment, kept):
    """It is truncated before the session is created, or before one of the entries is written."""
    path = tmp_path / "model.onnx"
    path.write_bytes(models.weights(4, 512))
    code = """
import warnings
from ortmmap.cache.store import Store
moment, cache, options = sys.argv[2], path + ".cache", ortmmap.SessionOptions()
options.log_severity_level = 4
lock, write, moments = Store.lock, Store.write, []
def reach(name):
    moments.append(name)
    if name == moment:
        os.truncate(path, 4096)
def locking(store, key):
    reach("lock")
    return lock(store, key)
def writing(store, key, kind, **kwargs):
    reach(kind)
    return write(store, key, kind, **kwargs)
Store.lock, Store.write = locking, writing
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    error = caught(lambda: ortmmap.Session(path, options, cache=cache).cached.wait(60))
assert isinstance(error, ortmmap.errors.OrtError) or (error is None and moment != "lock"), error
assert moment in moments
print(*(entry.kind for entry in Store(cache).entries()))
"""
    assert set(run(code, path, moment).stdout.split()) == kept
