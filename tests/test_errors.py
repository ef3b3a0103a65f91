"""Bad inputs and bad files: onnxruntime's exceptions, and a text that names what is wrong."""

import errno
import gc
import os
import pickle
import random
import signal
from pathlib import Path

import models
import numpy as np
import onnxruntime
import pytest
from support import (
    ask_python,
    caught,
    class_names,
    descriptors,
    maps,
    onnxruntime_session,
    ortmmap_session,
    run_python,
    to_ort,
)

import ortmmap
from ortmmap import errors
from ortmmap.session.filing import wait_for_all

X = np.ones((2, 3), "f4")
GOOD = {"x": X, "Größe": X}


def two_inputs() -> bytes:
    """Build z = x + Größe, x of shape (2, 3), Größe of (n, 3)."""
    return models.build(
        [models.node("Add", "x Größe", "z")],
        [models.tensor("x", shape=[2, 3]), models.tensor("Größe", shape=["n", 3])],
        [models.tensor("z")],
    )


@pytest.fixture(scope="module", params=["ort", "onnx"])
def both(request):
    model = to_ort(two_inputs()) if request.param == "ort" else two_inputs()
    return ortmmap_session(model), onnxruntime_session(model)


BAD_RUNS = {
    "unknown input": (None, {**GOOD, "other": X}, ["other"]),
    "unknown input and one missing": (None, {"x": X, "other": X}, ["Größe"]),
    "missing input": (None, {"x": X}, ["Größe"]),
    "all inputs missing": (None, {}, ["x", "Größe"]),
    "dtype": (None, {**GOOD, "x": X.astype("f8")}, ["x", "double", "float"]),
    "dtype of the second": (None, {**GOOD, "Größe": X.astype("i8")}, ["Größe", "int64", "float"]),
    "bool": (None, {**GOOD, "x": X > 0}, ["x", "bool"]),
    "strings": (None, {**GOOD, "x": X.astype(str)}, ["x", "string"]),
    "objects": (None, {**GOOD, "x": X.astype(object)}, ["x", "string"]),
    "complex": (None, {**GOOD, "x": X.astype("c8")}, ["x", "complex64"]),
    "datetime": (None, {**GOOD, "x": X.astype("M8[s]")}, ["x", "datetime64"]),
    "longdouble": (None, {**GOOD, "x": X.astype("g")}, ["x"]),
    "structured": (None, {**GOOD, "x": np.zeros((2, 3), "i4,f4")}, ["x"]),
    "low rank": (None, {**GOOD, "x": X[0]}, ["x", "rank", "1", "2"]),
    "high rank": (None, {**GOOD, "Größe": X[None]}, ["Größe", "rank", "3", "2"]),
    "rank 0": (None, {**GOOD, "x": np.array(1, "f4")}, ["x", "rank"]),
    "size": (None, {**GOOD, "x": np.ones((2, 4), "f4")}, ["x", "index: 1", "Got: 4", "3"]),
    "size of the second": (None, {**GOOD, "Größe": np.ones((7, 4), "f4")}, ["Größe", "Got: 4"]),
    "size 0": (None, {**GOOD, "x": np.ones((0, 3), "f4")}, ["x", "Got: 0"]),
    "sizes that do not go together": (None, {**GOOD, "Größe": np.ones((7, 3), "f4")}, ["Add", "7"]),
    "unknown output": (["nothing"], GOOD, ["nothing"]),
    "one unknown output": (["z", "größte"], GOOD, ["größte"]),
    "empty output name": ([""], GOOD, ["utput name"]),
    "an input as output": (["x"], GOOD, ["x"]),
    "ragged list": (None, {**GOOD, "Größe": [[1, 2, 3], [1, 2]]}, ["Größe"]),
    "list of words": (None, {**GOOD, "Größe": [["a"]]}, ["Größe"]),
}


@pytest.mark.parametrize("case", BAD_RUNS)
def test_a_bad_run_raises_what_onnxruntime_raises(both, case):
    names, feed, told = BAD_RUNS[case]
    ours, theirs = (caught(session.run, names, feed) for session in both)
    assert type(theirs).__name__ in class_names(ours)
    for text in told:
        assert text in str(ours)
    assert both[0].run(None, GOOD)[0].shape == (2, 3)


@pytest.mark.parametrize(
    ("names", "feed", "options"),
    [
        (None, {**GOOD, 1: X}, None),
        ([1], GOOD, None),
        ("z", GOOD, None),
        (b"z", GOOD, None),
        (3, GOOD, None),
        (None, GOOD, {}),
        (None, GOOD, 1),
    ],
    ids=["input name", "output name", "a str", "bytes", "a number", "a dict", "an int"],
)
def test_an_argument_of_a_wrong_type_is_a_type_error(both, names, feed, options):
    ours, theirs = (caught(session.run, names, feed, options) for session in both)
    assert isinstance(theirs, TypeError)
    assert isinstance(ours, (TypeError, errors.InvalidArgument))


@pytest.mark.parametrize("feed", [None, [X, X], 3, "x", X])
def test_a_feed_that_is_no_mapping_raises(both, feed):
    ours, theirs = (caught(session.run, None, feed) for session in both)
    assert isinstance(theirs, AttributeError)
    assert isinstance(ours, (AttributeError, TypeError))


@pytest.mark.parametrize(
    "value",
    [None, {}, {"a": 1}, object(), {1.0}, (x for x in [1.0])],
    ids=["None", "empty dict", "dict", "object", "set", "generator"],
)
def test_a_value_that_is_no_tensor_raises_and_is_named(both, value):
    error = caught(both[0].run, None, {"x": X, "Größe": value})
    assert isinstance(error, (TypeError, RuntimeError))
    assert "Größe" in str(error)


@pytest.mark.parametrize(
    "value", [object(), {1.0}, "text", b"bytes"], ids=["object", "set", "str", "bytes"]
)
def test_an_object_that_is_no_array_raises_with_onnxruntimes_text(both, value):
    ours, theirs = (caught(session.run, None, {"x": X, "Größe": value}) for session in both)
    assert type(theirs).__name__ in class_names(ours)
    assert str(ours).startswith(str(theirs).rstrip("."))
    assert "tensor(string)" not in str(ours)


def test_the_errors_are_names_of_the_package_too():
    for name in errors.__all__:
        assert getattr(ortmmap, name) is getattr(errors, name)
    assert {*errors.__all__} - {*ortmmap.__all__} == {"NotImplemented"}  # Python has another


def test_an_error_of_python_in_a_value_comes_through(both):
    class Broken:
        def __array__(self, dtype: object = None, copy: object = None) -> None:
            raise ZeroDivisionError("in __array__")

    with pytest.raises(ZeroDivisionError):
        both[0].run(None, {**GOOD, "x": Broken()})


def test_a_failing_iterable_of_names_comes_through(both):
    def names() -> object:
        yield "z"
        raise KeyError("mine")

    error = caught(both[0].run, names(), GOOD)
    assert isinstance(error, (KeyError, TypeError))


def test_codes_and_classes_are_onnxruntimes():
    state = onnxruntime.capi.onnxruntime_pybind11_state
    for name in (
        "EPFail",
        "EngineError",
        "Fail",
        "InvalidArgument",
        "InvalidGraph",
        "InvalidProtobuf",
        "ModelLoaded",
        "NoModel",
        "NoSuchFile",
        "NotImplemented",
        "RuntimeException",
    ):
        assert hasattr(state, name)
        cls = getattr(errors, name)
        assert issubclass(cls, errors.OrtError)
        assert issubclass(cls, RuntimeError)
    assert issubclass(errors.NoSuchFile, FileNotFoundError)
    assert issubclass(errors.InvalidArgument, ValueError)
    assert len(set(errors.BY_CODE)) == len(errors.BY_CODE)


def test_an_error_carries_onnxruntimes_code_and_message(both):
    ours, theirs = (
        caught(session.run, None, {**GOOD, "Größe": np.ones((2, 9), "f4")}) for session in both
    )
    assert (ours.code, ours.code_name) == (2, "INVALID_ARGUMENT")
    assert str(ours).startswith("[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : ")
    assert ours.message in str(theirs)
    assert str(theirs) in str(ours)


def test_threads_that_fail_first_join_onnxruntimes_classes_once():
    run_python("""
import sys, threading
import onnxruntime
from ortmmap import errors
sys.setswitchinterval(1e-6)
classes = list(errors.BY_CODE.values())
ours = [cls.__bases__ for cls in classes]
raised = []

def fail():
    start.wait()
    try:
        errors.Fail("text")
    except BaseException as error:
        raised.append(error)

for _ in range(200):
    for cls, bases in zip(classes, ours):
        cls.__bases__ = bases
    start = threading.Barrier(4)
    threads = [threading.Thread(target=fail) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
assert not raised, raised[0]
for cls, bases in zip(classes, ours):
    assert len(cls.__bases__) <= len(bases) + 1, cls.__bases__
""")


@pytest.mark.parametrize(
    "cls",
    [
        errors.Fail,
        errors.NoSuchFile,
        errors.InvalidArgument,
        errors.MappingPermissionError,
        errors.LibraryError,
    ],
)
def test_an_error_survives_pickling(cls):
    copy = pickle.loads(pickle.dumps(cls("the text")))
    assert type(copy) is cls
    assert str(copy) == "the text"


def test_the_error_of_a_model_names_its_file(write):
    path = write(b"nothing that is a model", "model.onnx")
    error = caught(ortmmap_session, path)
    assert type(error).__name__ == type(caught(onnxruntime_session, path)).__name__
    assert str(path) in str(error)
    assert error.path == str(path)


@pytest.mark.parametrize(
    "model", [b"junk" * 4, b"\0" * 100, b"\x08", b"ORTM" * 4, b"\xa5\xf9\xa7\xb4C"]
)
def test_bytes_that_are_no_model_raise_what_onnxruntime_raises(model):
    ours, theirs = caught(ortmmap_session, model), caught(onnxruntime_session, model)
    assert type(theirs).__name__ in class_names(ours)


def test_no_bytes_at_all_are_an_invalid_argument():
    for empty in (b"", bytearray(), memoryview(b""), np.zeros(0, "u1")):
        error = caught(ortmmap_session, empty)
        assert "InvalidArgument" in class_names(error)
        assert "0 bytes" in str(error)


@pytest.mark.parametrize(
    "model",
    [
        models.build(
            [models.node("Nonsense", "x", "y")], [models.tensor("x")], [models.tensor("y")]
        ),
        models.build(
            [models.node("Relu", "nowhere", "y")], [models.tensor("x")], [models.tensor("y")]
        ),
        models.build(
            [models.node("Add", "x z", "y")],
            [models.tensor("x"), models.tensor("z", "int64")],
            [models.tensor("y")],
        ),
        models.build(
            [models.node("Relu", "x", "y")],
            [models.tensor("x", "bool")],
            [models.tensor("y", "bool")],
        ),
        models.build(
            [models.node("BitShift", "x x", "y", direction="LEFT")],
            [models.tensor("x", "uint16")],
            [models.tensor("y", "uint16")],
        ),
        models.build(
            [models.node("Relu", "x", "y")], [models.tensor("x")], [models.tensor("y")], opset=999
        ),
    ],
    ids=["operator", "name", "types", "type", "kernel", "opset"],
)
def test_a_wrong_model_raises_what_onnxruntime_raises(model):
    ours, theirs = caught(ortmmap_session, model), caught(onnxruntime_session, model)
    assert type(theirs).__name__ in class_names(ours)
    assert str(theirs) in str(ours)


@pytest.mark.parametrize("name", ["nothing.ort", "nothing.onnx", "nothing", "no folder/model.ort"])
def test_a_missing_model_is_no_such_file(tmp_path, name):
    error = caught(ortmmap.Session, tmp_path / name)
    assert type(error) is errors.NoSuchFile
    assert isinstance(error, FileNotFoundError)
    assert "NoSuchFile" in class_names(caught(onnxruntime_session, tmp_path / "nothing.onnx"))
    assert str(tmp_path / name) in str(error)
    assert error.errno in (errno.ENOENT, errno.ENOTDIR)


@pytest.mark.parametrize("suffix", ["ort", "onnx"])
def test_an_empty_model_file_is_told(write, suffix):
    path = write(b"", f"model.{suffix}")
    with pytest.raises(errors.Fail, match="empty") as info:
        ortmmap.Session(path)
    assert str(path) in str(info.value)


@pytest.mark.parametrize("suffix", ["ort", "onnx"])
def test_a_directory_is_told(tmp_path, suffix):
    path = tmp_path / f"model.{suffix}"
    path.mkdir()
    with pytest.raises(OSError, match="directory") as info:
        ortmmap.Session(path)
    assert str(path) in str(info.value)


@pytest.mark.parametrize("suffix", ["ort", "onnx"])
def test_a_fifo_is_told_and_not_waited_for(tmp_path, suffix):
    path = tmp_path / f"model.{suffix}"
    os.mkfifo(path)
    with pytest.raises(OSError, match="FIFO"):
        ortmmap.Session(path)


@pytest.mark.parametrize("device", ["/dev/null", "/dev/zero"])
def test_a_device_is_told(device):
    with pytest.raises(OSError, match=device):
        ortmmap.Session(device)


@pytest.mark.parametrize("suffix", ["ort", "onnx"])
def test_a_model_that_may_not_be_read_is_a_permission_error(public_path, affine, suffix):
    path = public_path / f"model.{suffix}"
    path.write_bytes(affine if suffix == "ort" else models.affine())
    path.chmod(0)
    code = (
        "import sys, ortmmap\nfrom support import drop_privileges\n"
        "ortmmap.get_version_string()\ndrop_privileges()\n"
        "try:\n    ortmmap.Session(sys.argv[1])\n"
        "except PermissionError as error:\n    print(type(error).__name__, error)\n"
    )
    printed = run_python(code, path).stdout
    assert printed.startswith("MappingPermissionError")
    assert str(path) in printed


def test_a_null_in_a_path_is_a_value_error():
    with pytest.raises(ValueError, match="null"):
        ortmmap.Session("model\0.ort")


OPEN_ALL = """
import json, os, sys
from pathlib import Path
import numpy as np
import ortmmap
options = ortmmap.SessionOptions()
options.log_severity_level = 4
options.intra_op_num_threads = 1
feed = dict(np.load(sys.argv[2]))
outcomes = {}
for path in sorted(Path(sys.argv[1]).iterdir()):
    print("at", path.name, flush=True)
    try:
        ortmmap.Session(path, options).run(None, feed)
        outcome = "ran"
    except Exception as error:
        outcome = type(error).__name__
    outcomes[outcome] = outcomes.get(outcome, 0) + 1
print(json.dumps(outcomes))
"""


def open_all(folder: Path, feed: dict[str, np.ndarray]) -> dict[str, int]:
    """Open and run each file of `folder` in a child process; count the outcomes."""
    arrays = folder.parent / "feed.npz"
    np.savez(arrays, **feed)
    return ask_python(OPEN_ALL, folder, arrays)


@pytest.mark.parametrize("name", ["affine", "lstm", "transformer", "branch"])
def test_a_truncated_model_raises(tmp_path, name):
    model, feed = models.catalogue()[name]
    content = to_ort(model)
    folder = tmp_path / "models"
    folder.mkdir()
    sizes = {*range(1, 64), *range(64, len(content), max(1, len(content) // 150)), len(content) - 1}
    for size in sizes:
        (folder / f"{size}.ort").write_bytes(content[:size])
    outcomes = open_all(folder, feed)
    assert outcomes.pop("ran", 0) <= 3  # what is cut off at the very end may be padding
    assert sum(outcomes.values()) >= len(sizes) - 3
    assert set(outcomes) <= set(errors.__all__)


CORRUPTIONS = """
import os, random, resource, sys
import numpy as np
import ortmmap
options = ortmmap.SessionOptions()
options.log_severity_level = 4
options.intra_op_num_threads = 1
whole = open(sys.argv[1], "rb").read()
feed = dict(np.load(sys.argv[2]))
ortmmap.get_version_string()
died = []
for seed in range(int(sys.argv[3]), int(sys.argv[4])):
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (20, 20))  # a wrong size may mean years
        chance = random.Random(seed)
        content = bytearray(whole)
        for _ in range(chance.choice([1, 1, 4, 16])):
            content[chance.randrange(8, len(content))] = chance.randrange(256)
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        try:
            ortmmap.Session(content, options).run(None, feed)
        except Exception:
            pass
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if status:
        died.append((seed, os.waitstatus_to_exitcode(status)))
print(died)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["affine", "lstm"])
def test_a_corrupt_model_ends_in_an_exception_or_a_run_as_onnxruntimes_does(tmp_path, name):
    """Where onnxruntime itself dies of the same bytes, there is nothing to be done here."""
    model, feed = models.catalogue()[name]
    path, arrays = tmp_path / "model.ort", tmp_path / "feed.npz"
    path.write_bytes(to_ort(model))
    np.savez(arrays, **feed)
    died = eval_line(run_python(CORRUPTIONS, path, arrays, 0, 150).stdout)
    theirs = CORRUPTIONS.replace("import ortmmap", "import onnxruntime as ortmmap")
    theirs = theirs.replace("get_version_string()", "get_available_providers()")
    theirs = theirs.replace("Session(content,", "InferenceSession(bytes(content),")
    for seed, exit_code in died:
        alone = run_python(theirs, path, arrays, seed, seed + 1, check=False)
        assert eval_line(alone.stdout) == [(seed, exit_code)], signal.Signals(-exit_code).name


def eval_line(text: str) -> list:
    import ast

    return ast.literal_eval(text.splitlines()[-1])


def test_random_bytes_with_the_identifier_of_ort_format_raise(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    chance = random.Random(5)
    for index in range(200):
        size = chance.choice([0, 1, 8, 100, 5000])
        content = chance.randbytes(4) + b"ORTM" + chance.randbytes(size)
        (folder / f"{index}.ort").write_bytes(content)
    outcomes = open_all(folder, {"x": X})
    assert sum(outcomes.values()) == 200
    assert set(outcomes) <= set(errors.__all__)


def test_failures_leave_no_descriptor_and_no_mapping(tmp_path, affine, write):
    truncated, junk = write(affine[:-100], "truncated.ort"), write(b"junk" * 10, "junk.onnx")
    empty = write(b"", "empty.ort")
    assert wait_for_all(60)  # an earlier test's session may be filed
    before = sorted(descriptors())
    for path in (truncated, junk, empty, tmp_path, tmp_path / "nothing") * 20:
        assert isinstance(caught(ortmmap_session, path), errors.OrtError)
    gc.collect()
    assert sorted(descriptors()) == before
    assert not any(maps(path) for path in (truncated, junk, empty))


def test_a_failed_session_keeps_no_reference_to_its_source():
    source = np.frombuffer(b"junk" * 100, "u1").copy()
    import sys

    before = sys.getrefcount(source)
    for _ in range(10):
        assert caught(ortmmap_session, source)
    assert sys.getrefcount(source) == before


def test_bad_options_close_the_model(ort_file):
    options = ortmmap.SessionOptions()
    options.add_session_config_entry("session.intra_op_thread_affinities", "nonsense")
    options.intra_op_num_threads = 3
    options.log_severity_level = 4
    assert caught(ortmmap.Session, ort_file, options) is not None
    assert maps(ort_file) == []


def test_an_error_while_running_names_the_node():
    model = models.build(
        [models.node("Gather", "x i", "y", name="the gatherer")],
        [models.tensor("x", shape=["n"]), models.tensor("i", "int64", ["m"])],
        [models.tensor("y")],
    )
    feed = {"x": np.ones(3, "f4"), "i": np.array([99])}
    ours, theirs = (
        caught(make(model).run, None, feed) for make in (ortmmap_session, onnxruntime_session)
    )
    assert type(ours).__name__ == type(theirs).__name__
    assert str(theirs) == str(ours)
    assert "the gatherer" in str(ours)
