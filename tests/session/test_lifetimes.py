"""Who may be dropped before whom: everyone, in any order."""

import gc
import sys
import weakref
from collections.abc import Iterator
from itertools import permutations

import models
import numpy as np
import pytest
from support import caught, contents, maps, ortmmap_session, run_python, to_ort

import ortmmap

FEED = {"x": np.arange(16, dtype="f4").reshape(2, 8)}
HANDED = {"x": np.arange(6, dtype="f4").reshape(2, 3)}
CATALOGUE = models.catalogue()


def churn() -> None:
    """Reuse what memory was freed."""
    gc.collect()
    blocks = [bytearray(b"\xee" * size) for size in (16, 64, 256, 1024, 4096, 16384, 65536) * 8]
    blocks.clear()


@pytest.fixture(autouse=True, scope="module")
def quick_collections() -> Iterator[None]:
    """Leave out of every collection what other modules have made."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def open_path(path):
    session = ortmmap_session(path)
    return session, session.mapping


def open_mapping(path):
    mapping = ortmmap.Mapping(path)
    return ortmmap_session(mapping), mapping


def open_bytearray(path):
    source = bytearray(path.read_bytes())
    return ortmmap_session(source), source


def open_view(path):
    source = memoryview(bytearray(path.read_bytes()))
    return ortmmap_session(source), source


def open_array(path):
    source = np.frombuffer(bytearray(path.read_bytes()), "u1")
    return ortmmap_session(source), source


HELD = ("session", "source", "input", "outputs", "nodes")


@pytest.mark.parametrize("order", list(permutations(HELD)), ids="-".join)
@pytest.mark.parametrize("open_", [open_path, open_mapping, open_bytearray])
def test_everything_may_be_dropped_in_any_order(write, order, open_):
    """What is still held must work, and be what it was."""
    content = to_ort(models.handed_through(), level=0)
    path = write(content)
    session, source = open_(path)
    x = HANDED["x"].copy()
    outputs = session.run(None, {"x": x})
    held = {
        "session": session,
        "source": source,
        "input": x,
        "outputs": outputs,
        "nodes": session.get_inputs() + session.get_outputs(),
    }
    expected = [output.copy() for output in outputs]
    del session, source, x, outputs
    for name in order:
        del held[name]
        churn()
        if "session" in held:
            again = held["session"].run(None, HANDED)
            assert list(map(contents, again)) == list(map(contents, expected))
        if "outputs" in held:
            assert list(map(contents, held["outputs"])) == list(map(contents, expected))
        if "nodes" in held:
            assert [arg.name for arg in held["nodes"]][:3] == ["x", "x", "same"]
        if "source" in held:
            assert bytes(held["source"]) == content
    assert maps(path) == []


@pytest.mark.parametrize("open_", [open_path, open_mapping, open_bytearray, open_view, open_array])
@pytest.mark.parametrize("name", CATALOGUE)
def test_outputs_outlive_session_and_model(write, name, open_):
    model, feed = CATALOGUE[name]
    path = write(to_ort(model))
    session, source = open_(path)
    outputs = session.run(None, feed)
    before = repr(outputs)
    del session, source
    path.unlink()
    churn()
    assert maps(path) == []
    assert repr(outputs) == before


def test_an_output_is_freed_with_its_last_view():
    session = ortmmap_session(to_ort(models.unsqueeze()))
    (output,) = session.run(None, {"x": np.ones(10, "f4")})
    owner = sys.getrefcount(output.base)
    view = output[0, 1:]
    del output
    assert view.base is not None
    assert sys.getrefcount(view.base.base if view.base.base is not None else view.base) <= owner + 1
    np.testing.assert_array_equal(view, np.ones(9))


def test_a_mapping_in_use_is_closed_after_its_session(ort_file):
    session = ortmmap_session(ort_file)
    mapping = session.mapping
    with pytest.raises(BufferError, match="use"):
        mapping.close()
    assert session.run(None, FEED)[0].shape == (2, 4)
    assert not mapping.closed
    session.close()
    mapping.close()
    assert mapping.closed
    assert maps(ort_file) == []


def test_several_sessions_share_one_mapping(ort_file):
    mapping = ortmmap.Mapping(ort_file)
    sessions = [ortmmap_session(mapping) for _ in range(4)]
    assert len(maps(ort_file)) == 1
    results = {session.run(None, FEED)[0].tobytes() for session in sessions}
    assert len(results) == 1
    while sessions:
        with pytest.raises(BufferError):
            mapping.close()
        sessions.pop().close()
        if sessions:
            assert sessions[0].run(None, FEED)[0].tobytes() in results
    mapping.close()


def test_a_closed_session_keeps_its_outputs(ort_file):
    with ortmmap_session(ort_file) as session:
        (output,) = session.run(None, FEED)
        expected = output.copy()
    churn()
    np.testing.assert_array_equal(output, expected)


def test_a_session_and_a_mapping_can_be_referred_to_weakly(ort_file):
    session = ortmmap_session(ort_file)
    references = weakref.ref(session), weakref.ref(session.mapping)
    del session
    gc.collect()
    assert [reference() for reference in references] == [None, None]


def test_a_session_in_a_cycle_is_collected(ort_file):
    class Holder:
        pass

    holder = Holder()
    holder.session = ortmmap_session(ort_file)
    holder.itself = holder
    del holder
    gc.collect()
    assert maps(ort_file) == []


def test_a_source_that_refers_to_its_session_is_collected(affine):
    """A cycle through the buffer: array, session, array."""

    class Array(np.ndarray):
        session = None

    source = np.frombuffer(bytearray(affine), "u1").view(Array)
    source.session = ortmmap_session(source)
    gone = weakref.ref(source)
    del source
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("layout", ["contiguous", "strided", "swapped", "read-only"])
@pytest.mark.parametrize("fails", [False, True], ids=["success", "failure"])
def test_inputs_are_not_referred_to_after_a_run(affine, layout, fails):
    session = ortmmap_session(affine)
    x = np.ones((4, 9 if fails else 8), "f4")
    if layout == "strided":
        x = x[::2]
    elif layout == "swapped":
        x = x.astype(">f4")
    x.flags.writeable = layout != "read-only"
    feed = {"x": x}
    names = ["y"]
    before = [sys.getrefcount(value) for value in (x, feed, names, x.dtype)]
    for _ in range(20):
        assert (caught(session.run, names, feed) is not None) == fails
    assert [sys.getrefcount(value) for value in (x, feed, names, x.dtype)] == before


@pytest.mark.parametrize(
    "feed",
    [
        {"x": FEED["x"], "other": FEED["x"]},
        {"x": FEED["x"].astype("f8")},
        {"other": FEED["x"]},
        {"x": object()},
        {"x": [[1, 2], [3]]},
    ],
    ids=["unknown", "dtype", "missing", "object", "ragged"],
)
def test_refused_inputs_are_not_referred_to(affine, feed):
    session = ortmmap_session(affine)
    before = [sys.getrefcount(value) for value in feed.values()]
    for _ in range(20):
        assert caught(session.run, None, feed)
    gc.collect()
    assert [sys.getrefcount(value) for value in feed.values()] == before


def test_strings_are_not_referred_to_after_a_run():
    session = ortmmap_session(to_ort(models.identity(object)))
    word = "a word that is made here: " + str(id(session))
    value = np.array([word] * 5, object)
    before = sys.getrefcount(word)
    for _ in range(20):
        session.run(None, {"x": value})
    assert sys.getrefcount(word) == before
    (output,) = session.run(None, {"x": value})
    text, made_here = output[0], "".join(["a string", str(id(session))])
    del output
    assert sys.getrefcount(text) == sys.getrefcount(made_here)


def test_options_are_not_referred_to_after_a_run(affine):
    session = ortmmap_session(affine)
    options = ortmmap.RunOptions()
    before = sys.getrefcount(options)
    for _ in range(20):
        session.run(None, FEED, options)
    assert sys.getrefcount(options) == before


def test_no_value_is_shared_with_a_failed_run():
    """Inputs of a run that failed half way through its feed are released, and only once."""
    session = ortmmap_session(to_ort(models.add_many(30)))
    feed = {f"x{index}": np.ones(3, "f4") for index in range(29)}
    for bad in (np.ones(4, "f4"), np.ones(3, "f8"), None, object()):
        for _ in range(50):
            assert caught(session.run, None, {**feed, "x29": bad})
    assert len(session.run(None, {**feed, "x29": np.ones(3, "f4")})) == 30


CYCLES = """
import gc, sys
from pathlib import Path
import numpy as np
import ortmmap
from support import assert_flat, descriptors

path, feed = sys.argv[1], {"x": np.ones((2, 8), "f4")}
content = Path(path).read_bytes()
options = ortmmap.SessionOptions()
options.intra_op_num_threads = 1
options.log_severity_level = 4
kind = sys.argv[2]

def cycle():
    if kind == "close":
        with ortmmap.Session(path, options) as session:
            session.run(None, feed)
    elif kind == "drop":
        ortmmap.Session(path, options).run(None, feed)
    elif kind == "outputs":
        global kept
        kept = ortmmap.Session(path, options).run(None, feed)
    elif kind == "buffer":
        ortmmap.Session(bytearray(content), options).run(None, feed)
    elif kind == "mapping":
        with ortmmap.Mapping(path, prefault=True) as mapping:
            ortmmap.Session(mapping, options).run(None, feed)

def state():
    gc.collect()
    maps = Path("/proc/self/maps").read_text().splitlines()
    return len(descriptors()), len([line for line in maps if "model" in line]), len(maps)

for _ in range(200):
    cycle()
before = state()
assert_flat(cycle)
after = state()
assert before[:2] == after[:2], (before, after)
assert after[2] - before[2] < 10, (before, after)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["close", "drop", "outputs", "buffer", "mapping"])
def test_opening_and_closing_2000_times_leaks_nothing(ort_file, kind):
    run_python(CYCLES, ort_file, kind)


@pytest.mark.slow
@pytest.mark.parametrize("format_", ["ort", "onnx"])
def test_runs_leak_nothing(write, format_):
    """Strings, sequences, maps, copies and errors, again and again."""
    code = """
import sys
import numpy as np
import ortmmap
from support import assert_flat
options = ortmmap.SessionOptions()
options.intra_op_num_threads = 1
options.log_severity_level = 4
sequences, maps, strings, many = (ortmmap.Session(path, options) for path in sys.argv[1:])
x = np.ones((1000, 3), "f4")
words = np.array(["zoë" * 20] * 1000, object)
bad = np.array(["fine"] * 1000 + ["\\ud800"], object)
feed = {f"x{index}": np.ones(3, "f4") for index in range(40)}

def cycle():
    maps.run(None, {"x": x})
    sequences.run(None, {"x": x[:, 0], "text": words})
    strings.run(None, {"x": words})
    many.run(None, feed)
    for session, wrong in ((strings, {"x": bad}), (many, {**feed, "x39": x}), (maps, {"x": x.T})):
        try:
            session.run(None, wrong)
        except (ValueError, RuntimeError):
            continue
        raise AssertionError

cycle()
assert_flat(cycle, 100)
"""
    made = [
        models.sequences(),
        models.zip_map(strings=True),
        models.identity(object),
        models.add_many(40),
    ]
    convert = to_ort if format_ == "ort" else bytes
    paths = [write(convert(model), f"{index}.model") for index, model in enumerate(made)]
    run_python(code, *paths)


FAILURES = """
import gc, sys
from pathlib import Path
import ortmmap
from support import assert_flat, descriptors
options = ortmmap.SessionOptions()
options.intra_op_num_threads = 1
options.log_severity_level = 4
source = sys.argv[1] if sys.argv[2] != "buffer" else bytearray(Path(sys.argv[1]).read_bytes())
if sys.argv[2] == "option":
    options.add_session_config_entry("session.intra_op_thread_affinities", "nonsense")
    options.intra_op_num_threads = 3

def fail():
    try:
        ortmmap.Session(source, options)
    except Exception:
        return
    raise AssertionError("it opened")

def state():
    gc.collect()
    return len(descriptors()), len(Path("/proc/self/maps").read_text().splitlines())

for _ in range(200):
    fail()
before = state()
assert_flat(fail)
after = state()
assert before[0] == after[0], (before, after)
assert after[1] - before[1] < 10, (before, after)
if sys.argv[2] == "buffer":
    source.clear()
"""


@pytest.mark.slow
@pytest.mark.parametrize("source", ["path", "buffer"])
@pytest.mark.parametrize("kind", ["truncated", "junk", "missing", "directory", "wrong graph"])
def test_failing_to_open_2000_times_leaks_nothing(write, affine, tmp_path, kind, source):
    nonsense = models.build(
        [models.node("Nonsense", "x", "y")], [models.tensor("x")], [models.tensor("y")]
    )
    content = {"truncated": affine[:-200], "junk": b"junk" * 100, "wrong graph": nonsense}
    if kind in content:
        run_python(FAILURES, write(content[kind]), source)
    elif source == "path":
        run_python(FAILURES, tmp_path / "nothing" if kind == "missing" else tmp_path, source)


@pytest.mark.slow
def test_failing_over_an_option_leaks_nothing(ort_file):
    run_python(FAILURES, ort_file, "option")
