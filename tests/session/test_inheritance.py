"""A child uses its parent's session as it is, if that has no threads and the fork was clean."""

import sysconfig

import models
import pytest
from forking import MODEL, SOURCES, files_in, run_forking
from support import to_ort

CACHES = ["False", "sys.argv[3]"]

# A thread that is inside a run of `busy` from `start()` until `stop()`.
BUSY = """
import contextlib

def is_running(busy):
    try:
        busy.set_providers(["CPUExecutionProvider"])   # which it has: nothing is done
    except RuntimeError:
        return True
    return False

@contextlib.contextmanager
def running(busy):
    big = {"h0": np.ones((8192, 256), "f4")}
    stop = threading.Event()
    def run():
        while not stop.is_set():
            busy.run(None, big)
    thread = threading.Thread(target=run)
    thread.start()
    while not is_running(busy):
        pass
    try:
        yield
    finally:
        stop.set()
        thread.join()
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return files_in(tmp_path_factory.mktemp("inheritance"))


def inheriting(source: str = "onnx file", cache: str = "False", threads: int = 1) -> str:
    return MODEL.format(source=SOURCES[source], cache=cache, threads=threads)


@pytest.mark.parametrize("cache", CACHES)
@pytest.mark.parametrize("source", ["onnx file", "ort file"])
def test_a_run_in_a_child_takes_no_private_memory_but_its_own(tmp_path, source, cache):
    """The weights are 32 MiB, and their prepacked copies are as large."""
    model = models.weights(8, 1024)
    (tmp_path / "m.onnx").write_bytes(model)
    (tmp_path / "m.ort").write_bytes(to_ort(model))
    code = inheriting(source, cache).replace("(2, 256)", "(2, 1024)")
    code += """
def private():
    found = smaps_rollup()
    return found["Private_Clean"] + found["Private_Dirty"]
def work():
    before = private()
    assert_same(session.run(None, feed), expected)
    assert is_inherited()
    assert private() - before < 4 << 20, private() - before
for _ in range(8):
    run_in_child(work)
"""
    run_forking(code, tmp_path / "m.ort", tmp_path / "m.onnx", tmp_path / "cache")


@pytest.mark.parametrize("cache", CACHES)
def test_children_of_children_inherit_too_and_run_at_the_same_time(files, cache):
    code = inheriting(cache=cache)
    code += """
def generation(left):
    def work():
        for _ in range(20):
            assert_same(session.run(None, feed), expected)
        assert is_inherited()
        if left:
            generation(left - 1)
    children = [fork(work) for _ in range(3)]
    for _ in range(20):
        assert_same(session.run(None, feed), expected)
    for child in children:
        wait(child)
generation(2)
"""
    run_forking(code, *files)


@pytest.mark.parametrize("cache", CACHES)
@pytest.mark.parametrize("order", ["child first", "parent first"])
@pytest.mark.parametrize("use", ["used", "unused"])
@pytest.mark.parametrize("how", ["session.close()", "globals().update(session=None, opened=None)"])
def test_closing_in_one_process_leaves_the_other_alone(files, cache, order, use, how):
    code = inheriting(cache=cache)
    code += f"""
other = {SOURCES["onnx file"]}
first, second = os.pipe(), os.pipe()
def close(kept):
    {how}
    gc.collect()
    assert_same(kept.run(None, feed), expected)   # another one, which shares the arena
def work():
    if {use == "used"}:
        assert_same(session.run(None, feed), expected)
        assert is_inherited()
    if {order == "parent first"}:
        os.read(first[0], 1)
        assert_same(session.run(None, feed), expected)
        assert is_inherited()
    close(other)
    os.write(second[1], b".")
child = fork(work)
if {order == "child first"}:
    os.read(second[0], 1)
    assert_same(session.run(None, feed), expected)
    close(other)
else:
    close(other)
    os.write(first[1], b".")
wait(child)
"""
    run_forking(code, *files)


@pytest.mark.parametrize("cache", CACHES)
def test_a_child_opens_and_closes_others_beside_the_inherited_one(files, cache):
    code = inheriting(cache=cache)
    code += f"""
def work():
    assert_same(session.run(None, feed), expected)
    for _ in range(3):
        with {SOURCES["onnx file"]} as other:
            assert_same(other.run(None, feed), expected)
            run_in_child(lambda: assert_same(other.run(None, feed), expected))
            assert_same(session.run(None, feed), expected)
    assert is_inherited()
    session.close()
for _ in range(3):
    run_in_child(work)
"""
    run_forking(code, *files)


def test_values_bindings_and_outputs_of_the_parent_serve_the_child(files):
    code = inheriting("ort file")
    code += """
copied = ortmmap.OrtValue.ortvalue_from_numpy(feed["h0"])
(value,) = session.run_with_ort_values(None, {"h0": copied})
binding = session.io_binding()
binding.bind_ortvalue_input("h0", copied)
binding.bind_output(session.get_outputs()[0].name)
session.run_with_iobinding(binding)
def work():
    global value, expected, binding
    assert_same([value.numpy()], expected)
    assert_same(session.run(None, {"h0": copied}, ortmmap.RunOptions()), expected)
    for _ in range(3):
        session.run_with_iobinding(binding)
        assert_same(binding.copy_outputs_to_cpu(), expected)
    binding.clear_binding_inputs()
    binding.bind_cpu_input("h0", feed["h0"])
    session.run_with_iobinding(binding)
    assert_same(binding.copy_outputs_to_cpu(), expected)
    assert is_inherited()
    del value, expected, binding
    gc.collect()
    session.run(None, feed)
    session.close()
for _ in range(3):
    run_in_child(work)
session.run_with_iobinding(binding)
assert_same(binding.copy_outputs_to_cpu(), expected)
assert_same([value.numpy()], expected)
"""
    run_forking(code, *files)


def test_a_replaced_file_and_a_buffer_that_is_not_kept_do_not_matter(files):
    code = inheriting("onnx file")
    code += """
import shutil
buffer = ortmmap.Session(bytearray(open(sys.argv[2], 'rb').read()), options)
shutil.copy(sys.argv[2], sys.argv[2] + ".copy")
os.replace(sys.argv[2] + ".copy", sys.argv[2])
def work():
    assert_same(session.run(None, feed), expected)
    assert_same(buffer.run(None, feed), expected)
run_in_child(work)
"""
    run_forking(code, *files)


# --- forks that are not clean ---


@pytest.mark.parametrize("cache", CACHES)
@pytest.mark.parametrize("busy", ["session", "other"])
def test_with_another_thread_inside_a_run_the_child_opens_again(files, cache, busy):
    """Of any session: what locks that run holds, all sessions may need."""
    code = inheriting(cache=cache) + BUSY
    code += f"""
other = {SOURCES["onnx file"]}
value = ortmmap.OrtValue.ortvalue_from_numpy(feed["h0"])
def work():
    assert_same(session.run(None, feed), expected)
    assert not is_inherited()
    global value
    del value
    again = session._opened()
    run_in_child(lambda: session._opened() is again or sys.exit("the child's own fork was clean"))
with running({busy}):
    run_in_child(work)
run_in_child(lambda: is_inherited() or sys.exit("not inherited"))
"""
    run_forking(code, *files)


def test_a_creation_in_another_thread_delays_the_fork(files):
    code = inheriting()
    code += f"""
done = threading.Event()
def create():
    while not done.is_set():
        {SOURCES["onnx file"]}.close()
thread = threading.Thread(target=create)
thread.start()
try:
    for _ in range(20):
        run_in_child(lambda: assert_same(session.run(None, feed), expected))
finally:
    done.set()
    thread.join()
"""
    run_forking(code, *files)


@pytest.mark.parametrize("library_class", ["CDLL", "PyDLL"])
def test_a_thread_that_forks_without_the_interpreter_lock_opens_again(
    files,
    library_class,
):
    """Another thread might have held it, inside ONNX Runtime.

    On a free-threaded interpreter so it might while the forking thread has "the lock" too: Python
    stops other threads before it forks, C code does not.
    """
    is_clean = library_class == "PyDLL" and not sysconfig.get_config_var("Py_GIL_DISABLED")
    code = inheriting()
    code += f"""
import ctypes
libc = ctypes.{library_class}(None)
os.fork = libc.fork
def work():
    assert_same(session.run(None, feed), expected)
    assert is_inherited() == {is_clean}
run_in_child(work)
"""
    run_forking(code, *files)


# --- sessions that are not inherited ---

SETTINGS = {
    "default threads": "options.intra_op_num_threads = 0",
    "two threads": "options.intra_op_num_threads = 2",
    "parallel nodes": (
        "options.execution_mode = ortmmap.ExecutionMode.ORT_PARALLEL; "
        "options.inter_op_num_threads = 2"
    ),
    "the environment's threads": "options.use_per_session_threads = False",
    "profiling": "options.enable_profiling = True; options.profile_file_prefix = sys.argv[1]",
    "an unknown entry": "options.add_session_config_entry('session.of_tomorrow', '1')",
    "by the environment variable": "os.environ['ORTMMAP_FORK'] = 'reopen'",
    "telemetry": "ortmmap.enable_telemetry_events()",
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_session_that_may_depend_on_more_than_its_memory_is_opened_again(
    files,
    setting,
):
    code = "ortmmap.set_global_thread_pool_sizes(2, 1)\n" + inheriting()
    code = code.replace("session =", f"{SETTINGS[setting]}\nsession =", 1)
    code += """
def work():
    assert_same(session.run(None, feed), expected)
    assert not is_inherited()
run_in_child(work)
"""
    run_forking(code, *files)


@pytest.mark.parametrize("mode", ["ORT_SEQUENTIAL", "ORT_PARALLEL"])
@pytest.mark.parametrize("source", ["onnx file", "ort file"])
def test_a_session_that_is_inherited_starts_no_thread(files, source, mode):
    """What inheriting rests on, in the library that is installed."""
    code = "threads = lambda: set(os.listdir('/proc/self/task'))\n" + inheriting(source)
    setting = f"options.execution_mode = ortmmap.ExecutionMode.{mode}"
    setting += "; options.inter_op_num_threads = 1"
    code = code.replace("session =", f"{setting}\nbefore = threads()\nsession =", 1)
    code += """
def work():
    assert_same(session.run(None, feed), expected)
    assert is_inherited()
assert threads() == before
run_in_child(work)
"""
    run_forking(code, *files)


def test_a_session_with_custom_operators_is_opened_again(files):
    extensions = pytest.importorskip("onnxruntime_extensions")
    code = inheriting().replace(
        "session =", "options.register_custom_ops_library(sys.argv[5])\nsession =", 1
    )
    code += """
run_in_child(lambda: is_inherited() and sys.exit("inherited"))
"""
    run_forking(code, *files, extensions.get_library_path())
