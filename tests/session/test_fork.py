"""After a fork the child's first use opens its own session, over the mapping that it inherited.

A session without threads is inherited instead: test_inheritance.py has more of that. Each test
forks in an interpreter of its own, since a fork copies whatever pytest holds.
"""

import pytest
from forking import MODEL, SOURCES, files_in, run_forking
from support import run_python


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return files_in(tmp_path_factory.mktemp("fork"))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("cache", ["False", "sys.argv[3]"])
@pytest.mark.parametrize("source", SOURCES)
def test_a_child_inherits_a_session_without_threads_and_opens_others_again(
    files, source, cache, threads
):
    code = MODEL.format(source=SOURCES[source], cache=cache, threads=threads)
    code += """
def work():
    assert is_inherited() == (options.intra_op_num_threads == 1)
    assert_same(session.run(None, feed), expected)
    binding = session.io_binding()
    binding.bind_cpu_input("h0", feed["h0"])
    binding.bind_output(session.get_outputs()[0].name)
    session.run_with_iobinding(binding)
    assert_same(binding.copy_outputs_to_cpu(), expected)
    assert session.get_modelmeta().graph_name is not None
    assert session.memory()
    if options.intra_op_num_threads > 1:
        done = threading.Event()
        def called(results, *_):
            assert_same(results, expected)
            done.set()
        session.run_async(None, feed, called, None)
        assert done.wait(30)
    run_in_child(lambda: assert_same(session.run(None, feed), expected))
    session.close()
    session.close()

for _ in range(3):
    run_in_child(work)
    assert_same(session.run(None, feed), expected)
"""
    run_forking(code, *files)


def test_a_child_uses_the_mapping_and_the_pages_of_its_parent(files):
    """The file may be another by then: the child runs the parent's model."""
    code = MODEL.format(source=SOURCES["ort file"], cache="sys.argv[3]", threads=1)
    code += """
warm = ortmmap.Session(sys.argv[1], options, cache=cache)
assert warm.memory().shared_blocks
os.rename(sys.argv[1], sys.argv[1] + ".gone")
before = maps(sys.argv[1] + ".gone")
assert before
def work():
    assert_same(warm.run(None, feed), expected)
    assert maps(sys.argv[1] + ".gone") == before
    assert warm.memory().shared_blocks and not warm.memory().private_blocks
try:
    run_in_child(work)
finally:
    os.rename(sys.argv[1] + ".gone", sys.argv[1])
"""
    run_forking(code, *files)


@pytest.mark.parametrize("rewritten", [4 << 20, -1], ids=["in place", "copied"])
def test_a_child_uses_the_pages_of_its_parent_with_an_onnx_file(files, tmp_path, rewritten):
    """Cleared, the cache is filled again by the child."""
    code = f"""
import ortmmap.session.optimizing
from ortmmap.cache.store import Store
ortmmap.session.optimizing.MOST_REWRITTEN = {rewritten}
"""
    code += MODEL.format(source=SOURCES["onnx file"], cache="sys.argv[3]", threads=2)
    code += """
warm = ortmmap.Session(sys.argv[2], options, cache=cache)
assert warm.memory().shared_blocks
assert warm.mapping.path.endswith("model.data") == (ortmmap.session.optimizing.MOST_REWRITTEN < 0)
def work():
    mapped = warm.memory().mapped
    assert_same(warm.run(None, feed), expected)
    assert warm.memory().mapped == mapped
    assert warm.memory().shared_blocks and not warm.memory().private_blocks
def fill():
    assert_same(warm.run(None, feed), expected)
    assert warm.cached.wait(60)
    assert warm.memory().shared_blocks and not warm.memory().private_blocks
    assert_same(warm.run(None, feed), expected)
run_in_child(work)
Store(cache).clear()
run_in_child(fill)
run_in_child(work)
assert {entry.kind for entry in Store(cache).entries()} == {"model", "pages"}
assert_same(warm.run(None, feed), expected)
"""
    ort_file, onnx_file, _, external = files
    run_forking(code, ort_file, onnx_file, tmp_path / "cache", external)


def test_an_onnx_file_that_was_replaced_says_so_in_the_child(files):
    code = MODEL.format(source=SOURCES["onnx file"], cache="False", threads=2)
    code += """
import shutil
shutil.copy(sys.argv[2], sys.argv[2] + ".copy")
os.replace(sys.argv[2] + ".copy", sys.argv[2])
def work():
    error = caught(session.run, None, feed)
    assert isinstance(error, ortmmap.errors.ModelChangedError), error
    assert sys.argv[2] in str(error)
run_in_child(work)
assert_same(session.run(None, feed), expected)
"""
    run_forking(code, *files)


def test_a_buffer_that_is_not_kept_says_so_in_the_child(files):
    code = MODEL.format(
        source="ortmmap.Session(bytearray(open(sys.argv[2], 'rb').read()), options)",
        cache="False",
        threads=2,
    )
    code += """
def work():
    error = caught(session.run, None, feed)
    assert isinstance(error, RuntimeError) and "bytes" in str(error), error
run_in_child(work)
"""
    run_forking(code, *files)


def test_values_of_the_parent_are_readable_and_bindings_say_whose_they_are(files):
    code = MODEL.format(source=SOURCES["ort file"], cache="False", threads=2)
    code += """
copied = ortmmap.OrtValue.ortvalue_from_numpy(feed["h0"])
(value,) = session.run_with_ort_values(None, {"h0": copied})
binding = session.io_binding()
binding.bind_ortvalue_input("h0", copied)
binding.bind_output(session.get_outputs()[0].name)
session.run_with_iobinding(binding)
run_options = ortmmap.RunOptions()
def work():
    global value, expected
    assert_same([value.numpy()], expected)
    assert_same(session.run(None, {"h0": copied}, run_options), expected)
    for use in (
        lambda: session.run_with_iobinding(binding),
        lambda: binding.bind_ortvalue_input("h0", copied),
        binding.get_outputs,
        binding.synchronize_inputs,
    ):
        error = caught(use)
        assert isinstance(error, RuntimeError) and "fork" in str(error), error
    del value, expected
    globals().pop("binding")
    gc.collect()
    session.run(None, feed)
run_in_child(work)
session.run_with_iobinding(binding)
assert_same(binding.copy_outputs_to_cpu(), expected)
assert_same([value.numpy()], expected)
"""
    run_forking(code, *files)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("cache", ["False", "sys.argv[3]"])
def test_a_fork_while_other_threads_run_is_safe(files, cache, threads):
    """Whatever locks they hold at that moment, the child needs none of them."""
    code = MODEL.format(source=SOURCES["onnx file"], cache=cache, threads=threads)
    code += """
stop = threading.Event()
def hammer():
    while not stop.is_set():
        session.run(None, {"h0": np.ones((np.random.randint(1, 64), 256), "f4")})
hammers = [threading.Thread(target=hammer) for _ in range(3)]
for thread in hammers: thread.start()
try:
    for _ in range(25):
        run_in_child(lambda: assert_same(session.run(None, feed), expected))
finally:
    stop.set()
    for thread in hammers: thread.join()
"""
    run_forking(code, *files)


def test_a_fork_while_other_threads_open_and_close_sessions_is_safe(files):
    code = MODEL.format(source=SOURCES["onnx file"], cache="sys.argv[3]", threads=1)
    code += """
stop = threading.Event()
def hammer():
    while not stop.is_set():
        with ortmmap.Session(sys.argv[2], options, cache=cache) as other:
            other.run(None, feed)
hammers = [threading.Thread(target=hammer) for _ in range(3)]
for thread in hammers: thread.start()
def work():
    assert_same(session.run(None, feed), expected)
    with ortmmap.Session(sys.argv[2], options, cache=cache) as other:
        assert_same(other.run(None, feed), expected)
try:
    for _ in range(25):
        run_in_child(work)
finally:
    stop.set()
    for thread in hammers: thread.join()
"""
    run_forking(code, *files)


def test_threads_that_come_first_in_a_child_open_one_session(files):
    code = MODEL.format(source=SOURCES["ort file"], cache="False", threads=1)
    code += """
def work():
    start = threading.Barrier(8)
    errors = []
    def run():
        start.wait()
        try:
            assert_same(session.run(None, feed), expected)
        except BaseException as error:
            errors.append(error)
    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    assert not errors, errors
    opened = session._opened()
    session.run(None, feed)
    assert session._opened() is opened
run_in_child(work)
"""
    run_forking(code, *files)


def test_threads_that_sessions_shared_are_replaced_in_a_child(files):
    code = """
ortmmap.set_global_thread_pool_sizes(2, 1)
""" + MODEL.format(source=SOURCES["ort file"], cache="False", threads=1)
    code = code.replace("intra_op_num_threads=1)", "use_per_session_threads=False)", 1)
    code += """
assert session.get_session_options().use_per_session_threads is False
run_in_child(lambda: assert_same(session.run(None, feed), expected))
"""
    run_forking(code, *files)


def test_a_library_opened_before_any_session_serves_the_child(files):
    code = """
ortmmap.get_version_string()
options = options_of(intra_op_num_threads=2)
def work():
    ortmmap.Session(sys.argv[1], options).run(None, {"h0": np.ones((2, 256), "f4")})
run_in_child(work)
"""
    run_forking(code, *files)


def test_a_child_may_exit_as_any_interpreter_does(files):
    """onnxruntime 1.32 is not imported here: a child that inherits it hangs at its exit."""
    code = """
import os, sys
import numpy as np
import ortmmap
feed = {"h0": np.ones((2, 256), "f4")}
options = ortmmap.SessionOptions()
options.intra_op_num_threads = 2
session = ortmmap.Session(sys.argv[1], options)
session.run(None, feed)
for use in (lambda: None, lambda: session.run(None, feed)):
    child = os.fork()
    if child == 0:
        use()
        sys.exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
"""
    run_python(code, *files, timeout=100)


@pytest.mark.parametrize("cache", ["False", "sys.argv[3]"])
def test_a_thousand_children_leave_nothing_behind(files, cache):
    code = MODEL.format(source=SOURCES["onnx file"], cache=cache, threads=1)
    code += """
def cycle(count):
    for _ in range(count):
        run_in_child(lambda: assert_same(session.run(None, feed), expected))
cycle(20)
before, opened = smaps_rollup()["Anonymous"], len(descriptors())
cycle(480)
assert smaps_rollup()["Anonymous"] - before < 1 << 20
assert len(descriptors()) == opened
"""
    run_forking(code, *files)
