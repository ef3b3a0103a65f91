"""Lifetimes by the C API: counts, threads, the end of Python, forks, truncated files."""

import ctypes
import gc
import itertools
import os
import sys
import threading
from pathlib import Path

import models
import numpy as np
import pytest
from capi_table import (
    X,
    array_of,
    as_python,
    call,
    compile_library,
    ffi,
    inputs,
    open_path,
    open_python,
    outputs,
    prepare,
    run,
    table,
)
from support import maps, ortmmap_session, run_python, to_ort

import ortmmap

NATIVE = Path(__file__).parents[1] / "native"


@pytest.fixture(scope="module")
def threads_library(tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("native") / "capi_threads.so"
    return compile_library(NATIVE / "capi_threads.c", target)


def test_a_session_is_not_closed_under_a_handle(session):
    handle = open_python(session)
    table.session_retain(handle)
    with pytest.raises(RuntimeError, match="cannot close the session: 1 handles of the C API"):
        session.close()
    table.session_release(handle)
    other = open_python(session)
    with pytest.raises(RuntimeError, match="2 handles"):
        session.close()
    table.session_release(handle)
    table.session_release(other)
    session.close()


def test_a_handle_stays_with_the_providers_that_it_was_made_with(ort_file, expected):
    """It keeps that session open, and the file mapped, after the Python object has another."""
    session = ortmmap_session(ort_file)
    before = open_python(session)
    given, into = inputs(X), outputs(np.empty_like(expected))
    prepared = prepare(before, given, into)
    session.set_providers(["AzureExecutionProvider", "CPUExecutionProvider"])
    after = open_python(session)
    assert table.session_ort(before) != table.session_ort(after)
    with pytest.raises(RuntimeError, match="1 handles"):
        session.close()
    run(after, given, into)
    assert into.arrays[0].tobytes() == expected.tobytes()
    table.session_release(after)
    session.close()
    into.arrays[0].fill(0)
    call(table.prepared_run, prepared, ffi.NULL)
    assert into.arrays[0].tobytes() == expected.tobytes()
    assert maps(ort_file)
    table.prepared_release(prepared)
    table.session_release(before)
    assert not maps(ort_file)


def test_python_gets_the_session_that_c_opened(onnx_file, expected):
    handle = open_path(onnx_file)
    python = as_python(handle)
    assert python.run(None, {"x": X})[0].tobytes() == expected.tobytes()
    assert as_python(handle) is python
    with pytest.raises(RuntimeError):
        python.close()
    table.session_release(handle)
    assert python.run(None, {"x": X})[0].tobytes() == expected.tobytes()
    python.close()


class Held:
    """What C code may hold of a session: the rest must work, whichever goes first."""

    def __init__(self, path: Path) -> None:
        self.session = ortmmap_session(path)
        self.expected = self.session.run(None, {"x": X})[0].tobytes()
        self.handle = open_python(self.session)
        self.y = np.empty((2, 4), "f4")
        self.arguments = inputs(X), outputs(self.y)
        self.prepared = prepare(self.handle, *self.arguments)
        self.wanted = outputs(None)
        run(self.handle, inputs(X), self.wanted)

    def use(self) -> None:
        if self.session is not None:
            assert self.session.run(None, {"x": X})[0].tobytes() == self.expected
        if self.handle is not None:
            wanted = outputs(None)
            run(self.handle, inputs(X), wanted)
            assert array_of(wanted[0]).tobytes() == self.expected
            table.release_outputs(wanted.structs, 1)
        if self.prepared is not None:
            self.y.fill(0)
            call(table.prepared_run, self.prepared, ffi.NULL)
            assert self.y.tobytes() == self.expected
        if self.wanted is not None:
            assert array_of(self.wanted[0]).tobytes() == self.expected

    def drop(self, name: str) -> None:
        if name == "handle":
            table.session_release(self.handle)
        elif name == "prepared":
            table.prepared_release(self.prepared)
        elif name == "wanted":
            table.release_outputs(self.wanted.structs, 1)
        setattr(self, name, None)
        gc.collect()


@pytest.mark.parametrize(
    "order",
    [*itertools.permutations(["session", "handle", "prepared", "wanted"])],
    ids=" ".join,
)
def test_whichever_goes_first_the_others_work(ort_file, order):
    held = Held(ort_file)
    for name in order:
        held.drop(name)
        held.use()
    assert not maps(ort_file)


def test_outputs_may_be_released_by_another_thread(handle):
    wanted = outputs(None)
    run(handle, inputs(X), wanted)
    thread = threading.Thread(target=table.release_outputs, args=(wanted.structs, 1))
    thread.start()
    thread.join()
    assert wanted[0].data == ffi.NULL


# --- threads that Python does not know ---


def test_threads_of_c_open_run_and_release_at_once(threads_library, onnx_file, session):
    library = ctypes.CDLL(str(threads_library))
    expected = session.run(None, {"x": np.ones((1, 8), "f4")})[0]
    handle = open_python(session)
    failures = library.churn(
        ctypes.c_void_p(ortmmap.get_capi()),
        os.fsencode(onnx_file),
        ctypes.c_void_p(int(ffi.cast("size_t", handle))),
        ctypes.c_void_p(expected.ctypes.data),
        ctypes.c_int(8),
        ctypes.c_int(20),
    )
    assert failures == 0
    table.session_release(handle)
    session.close()  # no handle is left


def test_the_last_release_comes_from_a_thread_of_c(threads_library, ort_file):
    library = ctypes.CDLL(str(threads_library))
    handle = open_path(ort_file)
    assert maps(ort_file)
    pointer = ctypes.c_void_p(int(ffi.cast("size_t", handle)))
    library.release_on_thread(ctypes.c_void_p(ortmmap.get_capi()), pointer)
    assert not maps(ort_file)


def test_a_prepared_run_refuses_a_second_thread(threads_library, session):
    library = ctypes.CDLL(str(threads_library))
    handle = open_python(session)
    x, y = np.ones((512, 8), "f4"), np.empty((512, 4), "f4")
    prepared = prepare(handle, inputs(x), outputs(y))
    counts = (ctypes.c_long * 3)()
    library.contend(
        ctypes.c_void_p(ortmmap.get_capi()),
        ctypes.c_void_p(int(ffi.cast("size_t", prepared))),
        ctypes.c_int(4),
        ctypes.c_int(20000),
        counts,
    )
    ran, busy, failed = counts
    assert failed == 0
    assert ran + busy == 80000
    assert busy > 0
    table.prepared_release(prepared)
    table.session_release(handle)


AT_EXIT = """
import ctypes, sys, time
import ortmmap
library = ctypes.CDLL(sys.argv[1])
library.churn_for_ever(ctypes.c_void_p(ortmmap.get_capi()), sys.argv[2].encode(), 4)
time.sleep(float(sys.argv[3]))
"""


@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.3])
def test_the_interpreter_ends_while_threads_of_c_go_on(threads_library, onnx_file, seconds):
    done = run_python(AT_EXIT, threads_library, onnx_file, seconds, timeout=60)
    assert done.stderr == ""
    assert "after the end: INTERPRETER_ENDED, 0 failures" in done.stdout


def test_handles_may_be_left_at_exit(onnx_file):
    code = (
        "import sys\nfrom capi_table import *\n"
        "handle = open_path(sys.argv[1])\n"
        "x = np.ones((1, 8), 'f4'); y = np.empty((1, 4), 'f4')\n"
        "given, wanted = inputs(x), outputs(y)\n"
        "prepared = prepare(handle, given, wanted)\n"
        "call(table.prepared_run, prepared, ffi.NULL)\n"
    )
    assert run_python(code, onnx_file).stderr == ""


# --- forks, and files that are truncated ---

FORKED = """
import gc, os, sys
from capi_table import *

options_ = ortmmap.SessionOptions()
options_.intra_op_num_threads = 2
session = ortmmap.Session(sys.argv[1], options_)
x = np.ones((1, 8), "f4")
y = np.empty((1, 4), "f4")
given, into, wanted = inputs(x), outputs(y), outputs(None)
expected = session.run(None, {"x": x})[0].tobytes()
handle, own = open_python(session), open_path(sys.argv[1])
prepared = prepare(handle, given, into)
run(handle, given, wanted)

def code_of(function, *args):
    try:
        function(*args)
    except CapiError as error:
        return error.code
    return "OK"

def in_child():
    found = [
        code_of(call, table.session_check, handle),
        code_of(run, handle, given, outputs(None)),
        code_of(run, own, given, into),
        code_of(call, table.prepared_run, prepared, ffi.NULL),
        code_of(lambda: table.prepared_release(prepare(handle, given, into))),
    ]
    assert found == ["FORKED"] * 5, found
    table.release_outputs(wanted.structs, 1)
    table.prepared_release(prepared)
    table.session_release(handle)
    table.session_release(own)
    mine = open_python(session)   # which opens itself again
    y.fill(0)
    bound = prepare(mine, given, into)
    call(table.prepared_run, bound, ffi.NULL)
    assert y.tobytes() == expected
    table.prepared_release(bound)
    table.session_release(mine)
    session.close()
    gc.collect()

def in_parent():
    run(handle, given, into)
    assert y.tobytes() == expected
    call(table.prepared_run, prepared, ffi.NULL)
    assert array_of(wanted[0]).tobytes() == expected

child = os.fork()
if child == 0:
    in_child()
    sys.exit(0)   # the end of an interpreter that was forked
_, status = os.waitpid(child, 0)
assert status == 0, os.waitstatus_to_exitcode(status)
in_parent()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_gets_errors_and_handles_of_its_own(ort_file):
    assert run_python(FORKED, ort_file, timeout=120).stderr == ""


INHERITED = (
    FORKED.replace("num_threads = 2", "num_threads = 1")
    .replace("open_path(sys.argv[1])", "open_python(ortmmap.Session(sys.argv[1], options_))")
    .replace('["FORKED"] * 5', '["OK"] * 5')
    .replace(
        "    table.release_outputs(wanted",
        "    assert y.tobytes() == array_of(wanted[0]).tobytes() == expected\n"
        "    table.release_outputs(wanted",
    )
)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_uses_handles_of_a_session_without_threads(ort_file):
    assert run_python(INHERITED, ort_file, timeout=120).stderr == ""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_thread_that_forks_without_the_interpreter_lock_leaves_handles_behind(ort_file):
    code = INHERITED.replace('["OK"] * 5', '["FORKED"] * 5').replace(
        "    assert y.tobytes() == array_of(wanted[0]).tobytes() == expected\n", ""
    )
    code = f"import ctypes, os\nos.fork = ctypes.CDLL(None).fork\n{code}"
    assert run_python(code, ort_file, timeout=120).stderr == ""


TRUNCATED = """
import os, sys
from capi_table import *

base = ortmmap.SessionOptions()
base.add_session_config_entry("session.disable_prepacking", "1")   # runs read the file itself
handle = open_path(sys.argv[1], options(python_options=ffi.cast("void *", id(base)), cache=2))
width = table.session_input(handle, 0).shape[1]
x, y = np.ones((1, width), "f4"), np.empty((1, width), "f4")
given, into = inputs(x), outputs(y)
prepared = prepare(handle, given, into)
call(table.prepared_run, prepared, ffi.NULL)
size = os.path.getsize(sys.argv[2])
os.truncate(sys.argv[2], 4096)
found = []
for attempt in (
    lambda: run(handle, given, outputs(None)),
    lambda: run(handle, given, into),
    lambda: call(table.prepared_run, prepared, ffi.NULL),
    lambda: call(table.session_check, handle),
):
    try:
        attempt()
    except CapiError as error:
        found.append((error.code, error.text))
truncated = f"was truncated while it was in use: expected {size} bytes, found 4096"
assert found == [("MODEL_CHANGED", f"{sys.argv[2]}: {truncated}")] * 4, found
table.prepared_release(prepared)
table.session_release(handle)
"""


linux = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="SIGBUS is answered on Linux"
)


@linux
def test_a_truncated_model_file_is_named_and_no_crash(tmp_path):
    path = tmp_path / "modèle.onnx"
    path.write_bytes(models.weights(4, 256))
    run_python(TRUNCATED, path, path)


@linux
def test_truncated_external_data_is_named_and_no_crash(tmp_path):
    run_python(TRUNCATED, *models.external(tmp_path, 4, 256))


@linux
def test_the_text_of_a_truncated_file_is_cut_between_characters(tmp_path):
    folder = tmp_path.joinpath(*["é" * 120] * 9)
    folder.mkdir(parents=True)
    path = folder / "model.ort"
    path.write_bytes(to_ort(models.weights(4, 256)))
    code = TRUNCATED.replace('f"{sys.argv[2]}: {truncated}"', "cut")
    cut = os.fsencode(path)[:2039].decode(errors="ignore")
    run_python(f"cut = {cut!r}\n{code}", path, path)


@linux
def test_a_truncated_model_in_memory_is_called_a_buffer(tmp_path):
    path = tmp_path / "model.ort"
    path.write_bytes(to_ort(models.weights(4, 256)))
    mapped = """
import mmap
with open(sys.argv[1], "rb") as file:
    source = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
handle = open_python(ortmmap.Session(source, base))
"""
    opening = next(line for line in TRUNCATED.splitlines() if line.startswith("handle ="))
    code = TRUNCATED.replace(opening, mapped).replace(
        "{sys.argv[2]}: {truncated}",
        "a buffer: the file, or its entry in the cache, could not be read while it was in use",
    )
    run_python(code, path, path)
