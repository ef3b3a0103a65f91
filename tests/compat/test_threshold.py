"""Small models stay onnxruntime's under the patch; both kinds of sessions live in one process."""

import copy
import gc
import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import models
import numpy as np
import onnxruntime
import pytest
from onnxruntime import InferenceSession as NameBefore
from onnxruntime import IOBinding as BindingBefore
from onnxruntime import OrtValue as ValueBefore
from support import ask_python, caught

import ortmmap
from ortmmap.compat import between
from ortmmap.compat.stand_in import OUR_ATTRIBUTES
from ortmmap.compat.threshold import BLOCK, LOCATION, model_size, threshold_of

VERSION = tuple(map(int, onnxruntime.__version__.split(".")[:2]))

SMALL = models.affine()
LARGE = models.weights(2, 256)  # 512 KiB
THRESHOLD = 100_000
X = np.ones((2, 8), "f4")
H = np.ones((3, 256), "f4")


@pytest.fixture
def patched() -> Iterator[object]:
    with ortmmap.patch_onnxruntime(threshold=THRESHOLD) as patch:
        yield patch


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    (tmp_path / "small.onnx").write_bytes(SMALL)
    (tmp_path / "large.onnx").write_bytes(LARGE)
    return str(tmp_path / "small.onnx"), str(tmp_path / "large.onnx")


def is_ours(session: object) -> bool:
    return isinstance(session, ortmmap.Session)


class SubclassBefore(NameBefore):
    pass


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("as_bytes", [False, True])
def test_the_size_of_the_model_decides(files, as_bytes):
    for name in (NameBefore, onnxruntime.InferenceSession):
        small, large = (name(Path(path).read_bytes() if as_bytes else path) for path in files)
        assert [is_ours(small), is_ours(large)] == [False, True]
        for session in (small, large):
            assert isinstance(session, NameBefore)
            assert isinstance(session, onnxruntime.InferenceSession)
        assert small.run(None, {"x": X})[0].shape == (2, 4)
        assert large.run(None, {"h0": H})[0].shape == (3, 256)


@pytest.mark.usefixtures("patched")
def test_results_are_onnxruntimes(files):
    found = onnxruntime.InferenceSession(files[0]).run(None, {"x": X})[0]
    np.testing.assert_array_equal(found, SubclassBefore(files[0]).run(None, {"x": X})[0])


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("argument", [{"cache": False}, {"prefault": True}, {"lock": True}])
def test_an_argument_that_only_ortmmap_has_moves_the_model_over(files, argument):
    session = onnxruntime.InferenceSession(files[0], **argument)
    assert is_ours(session)
    assert not session.changed()


@pytest.mark.usefixtures("patched")
def test_our_options_and_other_buffers_move_the_model_over(files):
    assert is_ours(onnxruntime.InferenceSession(files[0], ortmmap.SessionOptions()))
    assert is_ours(onnxruntime.InferenceSession(bytearray(SMALL)))
    assert not is_ours(onnxruntime.InferenceSession(files[0], onnxruntime.SessionOptions()))


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("name", OUR_ATTRIBUTES)
def test_what_only_ortmmap_has_is_refused_with_the_reason(files, name):
    session = onnxruntime.InferenceSession(files[0])
    error = caught(getattr, session, name)
    assert type(error) is AttributeError
    assert re.search(rf"no {name}: .* smaller than {THRESHOLD} bytes", str(error))
    assert str(caught(getattr, session, "nothing")) == (
        "'InferenceSession' object has no attribute 'nothing'"
    )


@pytest.mark.skipif(VERSION < (1, 32), reason="earlier versions lack attributes of later ones too")
def test_attributes_of_ortmmap_are_those_that_onnxruntime_has_not():
    added = set(dir(ortmmap.Session)) - set(dir(onnxruntime.InferenceSession))
    assert {name for name in added if not name.startswith("_")} == set(OUR_ATTRIBUTES)


@pytest.mark.usefixtures("patched")
def test_errors_of_files_that_cannot_be_read_are_onnxruntimes(tmp_path):
    for model in (str(tmp_path / "absent.onnx"), tmp_path, "", "a\0b", 7, None):
        ours = caught(onnxruntime.InferenceSession, model)
        assert type(ours) is type(caught(SubclassBefore, model))


# Subclasses


@pytest.fixture
def subclass(patched) -> type:  # noqa: ARG001
    class Counting(onnxruntime.InferenceSession):
        def __init__(self, path: str, **kwargs: object) -> None:
            self.runs = 0
            super().__init__(path, **kwargs)

        def run(self, *args: object) -> list:
            self.runs += 1
            return super().run(*args)

    return Counting


def test_a_subclass_has_sessions_of_both_kinds(subclass, files):
    small, large = subclass(files[0]), subclass(files[1])
    assert [is_ours(small), is_ours(large)] == [False, True]
    for session, feed in ((small, {"x": X}), (large, {"h0": H})):
        assert isinstance(session, subclass)
        assert isinstance(session, NameBefore)
        assert isinstance(session, onnxruntime.InferenceSession)
        assert type(session).__name__ == "Counting"
        session.run(None, feed)
        assert session.runs == 1
        assert session.get_inputs()[0].name in feed
    assert hasattr(large, "memory")
    assert not hasattr(small, "memory")


def test_a_subclass_of_a_subclass_and_of_another_class(subclass, files):
    class Named:
        def name(self) -> str:
            return "mine"

    class Second(Named, subclass):
        def run(self, *args: object) -> list:
            return [*super().run(*args), self.name()]

    for path, feed in zip(files, ({"x": X}, {"h0": H}), strict=True):
        session = Second(path)
        assert session.run(None, feed)[-1] == "mine"
        assert isinstance(session, subclass)
    assert issubclass(Second, onnxruntime.InferenceSession)
    assert not issubclass(subclass, Second)


def test_a_subclass_that_fails_to_open_can_be_dropped(subclass):
    for _ in range(20):
        assert caught(subclass, "/no/such/file") is not None
        made = subclass.__new__(subclass)
        assert type(made) is subclass
        del made


def test_a_session_of_a_subclass_is_copied(subclass, files):
    session = subclass(files[1])
    other = copy.copy(session)
    assert type(other) is type(session)
    assert other.run(None, {"h0": H})[0].shape == (3, 256)
    assert isinstance(caught(copy.copy, subclass(files[0])), TypeError)


@pytest.mark.usefixtures("patched")
def test_small_sessions_pickle_as_little_as_onnxruntimes_and_large_ones_do(files):
    plain = type(caught(pickle.dumps, SubclassBefore(files[0])))
    assert type(caught(pickle.dumps, onnxruntime.InferenceSession(files[0]))) is plain
    session = onnxruntime.InferenceSession(files[1])
    other = pickle.loads(pickle.dumps(session))
    assert type(other) is type(session)
    np.testing.assert_array_equal(other.run(None, {"h0": H})[0], session.run(None, {"h0": H})[0])


# Values and bindings


@pytest.mark.usefixtures("patched")
def test_values_are_onnxruntimes_and_pass_between_both_kinds(files):
    small, large = map(onnxruntime.InferenceSession, files)
    value = onnxruntime.OrtValue.ortvalue_from_numpy(H)
    assert not isinstance(value, ortmmap.OrtValue)
    (output,) = large.run_with_ort_values(None, {"h0": value})
    assert isinstance(output, onnxruntime.OrtValue)
    assert not isinstance(output, ortmmap.OrtValue)
    columns = onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(output.numpy()[:2, :8]))
    (result,) = small.run_with_ort_values(None, {"x": columns})
    np.testing.assert_array_equal(result.numpy(), small.run(None, {"x": columns})[0])
    np.testing.assert_array_equal(output.numpy(), large.run(None, {"h0": value})[0])


@pytest.mark.usefixtures("patched")
def test_an_output_outlives_its_session(files):
    (output,) = onnxruntime.InferenceSession(files[1]).run_with_ort_values(
        None, {"h0": onnxruntime.OrtValue.ortvalue_from_numpy(H)}
    )
    expected = SubclassBefore(files[1]).run(None, {"h0": H})[0]
    np.testing.assert_allclose(output.numpy(), expected, rtol=1e-5)


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("dtype", ["f4", "f8", "i1", "u8", "?", "f2", "bfloat16", "float8"])
def test_outputs_of_every_type_become_onnxruntimes(dtype):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    onnx_type = {"bfloat16": 16, "float8": 17}.get(dtype)
    named = {"bfloat16": ml_dtypes.bfloat16, "float8": ml_dtypes.float8_e4m3fn}
    array = np.ones((2, 3)).astype(named.get(dtype, dtype))
    value = ortmmap.OrtValue.ortvalue_from_numpy(array)
    theirs, expected = between.to_theirs(value), value.numpy()
    del value
    gc.collect()
    assert isinstance(theirs, ValueBefore)
    assert onnx_type in (None, theirs.element_type())
    assert theirs.shape() == [2, 3]
    if not onnx_type:
        np.testing.assert_array_equal(theirs.numpy(), expected)


@pytest.mark.usefixtures("patched")
def test_a_vector_is_filled_and_written_into(files):
    state = onnxruntime.capi.onnxruntime_pybind11_state
    session = onnxruntime.InferenceSession(files[1])
    name, expected = session.get_outputs()[0].name, session.run(None, {"h0": H})[0]
    target = onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros_like(expected))
    feeds, empty, full = (state.OrtValueVector() for _ in range(3))
    feed = onnxruntime.OrtValue.ortvalue_from_numpy(H)
    feeds.push_back(feed._ortvalue)
    full.push_back(target._ortvalue)
    devices = [onnxruntime.OrtDevice.make("cpu", 0)._get_c_device()]
    for fetches in (empty, full):
        session.run_with_ortvaluevector(None, ["h0"], feeds, [name], fetches, devices)
        np.testing.assert_array_equal(fetches[0].numpy(), expected)
    np.testing.assert_array_equal(target.numpy(), expected)


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("bind", ["method", "class", "name before"])
def test_bindings_are_of_their_sessions_kind(files, bind):
    for path, feed in zip(files, ({"x": X}, {"h0": H}), strict=True):
        session = onnxruntime.InferenceSession(path)
        binding = {
            "method": session.io_binding,
            "class": lambda s=session: onnxruntime.IOBinding(s),
            "name before": lambda s=session: BindingBefore(s),
        }[bind]()
        assert isinstance(binding, onnxruntime.IOBinding)
        ((name, array),) = feed.items()
        binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(array))
        binding.bind_output(session.get_outputs()[0].name)
        session.run_with_iobinding(binding)
        expected = session.run(None, feed)[0]
        for value in (binding.get_outputs()[0], binding.get_outputs_as_ortvaluevector()[0]):
            np.testing.assert_array_equal(value.numpy(), expected)
        target = onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros_like(expected))
        binding.bind_ortvalue_output(session.get_outputs()[0].name, target)
        session.run_with_iobinding(binding)
        np.testing.assert_array_equal(target.numpy(), expected)


@pytest.mark.usefixtures("patched")
def test_settings_of_options_reach_both_kinds(files):
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("a.key", "7")
    options.add_free_dimension_override_by_name("batch", 3)
    for path in files:
        found = onnxruntime.InferenceSession(path, options).get_session_options()
        assert found.get_session_config_entry("a.key") == "7"


# The threshold


def test_the_variable_and_the_argument_give_the_threshold(monkeypatch):
    monkeypatch.delenv("ORTMMAP_PATCH_THRESHOLD", raising=False)
    assert threshold_of(None) == 16 << 20
    monkeypatch.setenv("ORTMMAP_PATCH_THRESHOLD", "1234")
    assert [threshold_of(None), threshold_of(5), threshold_of(0)] == [1234, 5, 0]
    for wrong in ("", "x", "-1"):
        monkeypatch.setenv("ORTMMAP_PATCH_THRESHOLD", wrong)
        error = caught(threshold_of, None)
        assert type(error) is (ValueError if wrong else type(None))


def test_a_nested_patch_has_the_threshold_in_effect(patched, files):  # noqa: ARG001
    with ortmmap.patch_onnxruntime():
        assert not is_ours(onnxruntime.InferenceSession(files[0]))
    assert type(caught(ortmmap.patch_onnxruntime, 0)) is RuntimeError
    with ortmmap.patch_onnxruntime(THRESHOLD):
        assert is_ours(onnxruntime.InferenceSession(files[1]))


def test_undoing_leaves_all_models_to_onnxruntime(files):
    with ortmmap.patch_onnxruntime(THRESHOLD):
        pass
    assert onnxruntime.InferenceSession is NameBefore
    assert not is_ours(onnxruntime.InferenceSession(files[1]))


def test_weights_in_other_files_count(tmp_path):
    entry = LOCATION + b"\x04w.bi"
    (tmp_path / "w.bi").write_bytes(b"w" * 5000)
    (tmp_path / "model.onnx").write_bytes(b"begin" + entry * 3 + LOCATION + b"\x03nix" + b"end")
    path = tmp_path / "model.onnx"
    assert model_size(path, None, 5010) == path.stat().st_size + 5000
    assert model_size(path, None, 6000) == path.stat().st_size  # nothing there is large enough
    assert model_size(path, None, 10) == path.stat().st_size
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", str(tmp_path)
    )
    assert model_size(path.read_bytes(), options, 5010) == path.stat().st_size + 5000


def test_weights_in_a_subfolder_count(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "w").write_bytes(b"w" * 5000)
    (tmp_path / "model.onnx").write_bytes(LOCATION + b"\x05sub/w")
    assert model_size(tmp_path / "model.onnx", None, 1 << 20) > 5000


@pytest.mark.parametrize("offset", range(-20, 21, 4))
def test_a_key_across_two_blocks_is_found(tmp_path, offset):
    (tmp_path / "w.bi").write_bytes(b"w" * 5000)
    content = b"\0" * (BLOCK + offset) + LOCATION + b"\x04w.bi"
    (tmp_path / "model.onnx").write_bytes(content)
    assert model_size(tmp_path / "model.onnx", None, len(content) + 1) == len(content) + 5000


def test_external_data_of_a_real_model_counts(tmp_path):
    onnx = pytest.importorskip("onnx")
    onnx.save_model(
        onnx.load_from_string(LARGE),
        tmp_path / "model.onnx",
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=16,
    )
    assert (tmp_path / "model.onnx").stat().st_size < 10_000
    with ortmmap.patch_onnxruntime(THRESHOLD):
        assert is_ours(onnxruntime.InferenceSession(tmp_path / "model.onnx"))


# What a process of small models costs

OPENING = """
import json, sys
if sys.argv[2] != "plain":
    import ortmmap
    ortmmap.patch_onnxruntime()
import numpy as np
import onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options)
session.run(None, {"h0": np.ones((1, 512), "f4")})
"""

MEMORY = """
rollup = dict(
    line.split()[:2] for line in open("/proc/self/smaps_rollup").read().splitlines()[1:]
)
private = int(rollup["Anonymous:"])   # pages of files are private if no other process maps them
maps = open("/proc/self/maps").read()
print(json.dumps([private, "libonnxruntime.so" in maps, "ortmmap/_core" in maps]))
"""


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs /proc")
@pytest.mark.parametrize("layers", [1, 5])  # of 1 MiB
def test_a_process_of_small_models_takes_no_more_memory(tmp_path, layers):
    (tmp_path / "model.onnx").write_bytes(models.weights(layers, 512))
    no_huge_pages = (
        "import ctypes; ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)\n"  # they come by chance
    )
    code = no_huge_pages + OPENING + MEMORY
    environment = {
        "ORT_DISABLE_TELEMETRY": "1",
        "PYTHONPYCACHEPREFIX": str(tmp_path / "pyc"),
        "ORTMMAP_PATCH_THRESHOLD": None,
        "MALLOC_MMAP_THRESHOLD_": "65536",  # freed weights stay in the heap, or not, by its layout
    }
    found = {
        way: [ask_python(code, tmp_path / "model.onnx", way, env=environment) for _ in range(7)]
        for way in ("plain", "patched")
    }
    assert not any(loaded for each in found.values() for _, *loaded in each for loaded in loaded)
    plain, patched = (min(private for private, *_ in found[way]) for way in ("plain", "patched"))
    assert patched <= 1.02 * plain
