"""The first session in a process: ONNX Runtime registers its kernels on a thread of its own."""

import models
import pytest
from cache_entries import linux
from forking import PREAMBLE
from support import ask_python, run_python

pytestmark = linux

LAYERS, WIDTH = 4, 256

# `forced` says whether a processor is idle, whatever this machine does meanwhile.
OPEN = """
import json, os, sys, threading
import numpy as np
import ortmmap
import ortmmap.cache.prepack as prepack
from ortmmap.session import filing
from support import configured
path, cache, forced = sys.argv[1], sys.argv[2], sys.argv[3] == "True"
prepack.has_idle_processor = lambda: forced
feed = {"h0": np.ones((1, 256), "f4")}
def opened(path=path):
    return ortmmap.Session(path, configured(ortmmap.SessionOptions()), cache=cache)
def threads():
    return sorted(os.listdir("/proc/self/task"))
"""

HEAPS = """
import ctypes
def heaps():
    '''Return how many heaps glibc has; a thread that allocates has one of its own.'''
    libc, text, size = ctypes.CDLL(None), ctypes.c_char_p(), ctypes.c_size_t()
    libc.open_memstream.restype = ctypes.c_void_p
    libc.open_memstream.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    libc.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
    libc.fclose.argtypes = [ctypes.c_void_p]
    stream = libc.open_memstream(ctypes.byref(text), ctypes.byref(size))
    assert libc.malloc_info(0, stream) == 0
    libc.fclose(stream)
    return text.value.count(b"<heap ")
"""


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A model whose entries are in the cache, which others may read; and its output."""
    folder = tmp_path_factory.mktemp("first")
    path, cache = folder / "m.onnx", folder / "cache"
    path.write_bytes(models.weights(LAYERS, WIDTH))
    code = "with opened() as session:\n    assert filing.wait_for_all(60)\n"
    code += "    print(json.dumps(session.run(None, feed)[0].tolist()))"
    return path, cache, ask_python(OPEN + code, path, cache, False)


@pytest.mark.parametrize("idle", [True, False])
def test_kernels_are_registered_on_another_thread_if_a_processor_is_idle(filled, idle):
    path, cache, expected = filled
    code = OPEN + HEAPS
    code += """
before, alive = heaps(), threads()
session = opened()
assert session.cached.state == "shared", session.cached
made, left = heaps() - before, [one for one in threads() if one not in alive]
print(json.dumps([made, left, session.run(None, feed)[0].tolist()]))
"""
    assert ask_python(code, path, cache, idle) == [int(idle), [], expected]


def test_a_model_that_is_none_leaves_no_thread(filled, tmp_path):
    """The process may end right after the error, and ONNX Runtime's statics with it."""
    path = tmp_path / "none.onnx"
    path.write_bytes(b"\xff" * 4096)
    code = OPEN + HEAPS
    code += """
before, alive = heaps(), threads()
try:
    opened(path)
except ortmmap.OrtError as error:
    found = type(error).__name__
print(json.dumps([found, heaps() - before, [one for one in threads() if one not in alive]]))
"""
    assert ask_python(code, path, filled[1], True) == ["InvalidProtobuf", 1, []]


def test_a_process_that_gets_no_thread_does_without(filled):
    path, cache, expected = filled
    code = OPEN + HEAPS
    code += """
libc, attributes = ctypes.CDLL(None), ctypes.create_string_buffer(256)
assert libc.pthread_attr_init(attributes) == 0
assert libc.pthread_attr_setstacksize(attributes, ctypes.c_size_t(1 << 47)) == 0
assert libc.pthread_setattr_default_np(attributes) == 0   # stacks are larger than what is free
before = heaps()
session = opened()
assert session.cached.state == "shared", session.cached
shared = session.memory().shared_blocks
print(json.dumps([heaps() - before, shared, session.run(None, feed)[0].tolist()]))
"""
    assert ask_python(code, path, cache, True) == [0, LAYERS, expected]


@pytest.mark.parametrize("tenths", range(0, 50, 5))
def test_a_fork_meanwhile_leaves_a_child_that_opens_sessions(filled, tenths):
    """Whether the fork finds the thread before it starts, at work, or ended."""
    path, cache, expected = filled
    code = OPEN + PREAMBLE
    code += f"""
children = []
def work():
    with opened() as session:
        assert session.cached.state == "shared", session.cached
        assert session.run(None, feed)[0].tolist() == {expected}
def forking():
    time.sleep({tenths} / 10_000)
    children.append(fork(work))
feed = {{"h0": np.ones((1, 256), "f4")}}
thread = threading.Thread(target=forking)
ortmmap.get_version_string()   # opens the library, which takes longer
thread.start()
work()
thread.join()
wait(children[0])
"""
    run_python(code, path, cache, True, timeout=100)


def test_forks_while_sharing_begins_leave_children_that_share(filled):
    """The opening thread may not have the interpreter's lock when a fork has waited for it."""
    path, cache, _ = filled
    code = OPEN + PREAMBLE
    code += """
def work():
    with opened() as session:
        assert session.memory().shared_blocks, session.cached.reason
ortmmap.get_version_string()
thread = threading.Thread(target=work)
thread.start()
children = []
while thread.is_alive() and len(children) < 60:
    children.append(fork(work))
    time.sleep(0.0005)
thread.join()
for child in children:
    wait(child)
"""
    run_python(code, path, cache, False, timeout=100)
