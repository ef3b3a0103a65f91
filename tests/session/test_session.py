"""Session: what it opens, and what it tells of the model."""

import array
import gc
import io
import mmap
import os
from multiprocessing import shared_memory
from pathlib import Path

import models
import numpy as np
import onnxruntime
import pytest
from support import (
    assert_same,
    contents,
    descriptors,
    maps,
    onnxruntime_session,
    ortmmap_session,
    run_python,
    status,
    to_ort,
)

import ortmmap

FEED = {"x": np.random.default_rng(1).standard_normal((3, 8), "f4")}
CATALOGUE = models.catalogue()


@pytest.fixture(scope="module")
def expected(affine) -> list[np.ndarray]:
    return onnxruntime_session(affine).run(None, FEED)


def shared(content: bytes) -> shared_memory.SharedMemory:
    memory = shared_memory.SharedMemory(create=True, size=len(content))
    memory.buf[: len(content)] = content
    return memory


def anonymous_map(content: bytes) -> mmap.mmap:
    mapped = mmap.mmap(-1, len(content))
    mapped[:] = content
    return mapped


BUFFERS = {
    "bytes": bytes,
    "bytearray": bytearray,
    "memoryview": memoryview,
    "memoryview of bytearray": lambda content: memoryview(bytearray(content)),
    "cast memoryview": lambda content: memoryview(content).cast("b"),
    "mmap": anonymous_map,
    "ndarray": lambda content: np.frombuffer(content, "u1"),
    "ndarray of two dimensions": lambda content: np.frombuffer(content, "u1").reshape(4, -1),
    "ndarray of int32": lambda content: np.frombuffer(content, "i4").copy(),
    "array": lambda content: array.array("B", content),
    "BytesIO": lambda content: io.BytesIO(content).getbuffer(),
}


@pytest.mark.parametrize(
    "name", ["model.ort", "model.bin", "model", "model.onnx", ".ort", "zoë 日.ort"]
)
@pytest.mark.parametrize("kind", [str, Path])
def test_an_ort_file_is_mapped_whatever_its_name(write, affine, expected, name, kind):
    path = write(affine, name)
    session = ortmmap_session(kind(path))
    assert_same(session.run(None, FEED), expected)
    assert isinstance(session.mapping, ortmmap.Mapping)
    assert session.mapping.path == str(path)
    assert session.mapping.nbytes == len(affine)
    assert len(maps(path)) == 1
    assert str(path) not in descriptors()


@pytest.mark.parametrize("name", ["model.onnx", "model.pb", "model", "model.ort", "zoë 日.onnx"])
def test_an_onnx_file_is_read_whatever_its_name(write, name):
    session = ortmmap_session(write(models.affine(), name))
    expected = onnxruntime_session(models.affine()).run(None, FEED)
    assert_same(session.run(None, FEED), expected)
    assert session.mapping is None


def test_a_path_like_object_is_a_path(ort_file, expected):
    class PathLike:
        def __fspath__(self) -> str:
            return str(ort_file)

    assert_same(ortmmap_session(PathLike()).run(None, FEED), expected)


def test_a_relative_path_is_opened(ort_file, expected, monkeypatch):
    monkeypatch.chdir(ort_file.parent)
    assert_same(ortmmap_session(ort_file.name).run(None, FEED), expected)


def test_onnx_weights_beside_the_model_are_found(tmp_path, monkeypatch):
    import onnx

    model = onnx.load_from_string(models.weights(2, 64))
    path = tmp_path / "model.onnx"
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    feed = {"h0": np.ones((1, 64), "f4")}
    expected = onnxruntime_session(models.weights(2, 64)).run(None, feed)
    assert_same(ortmmap_session(path).run(None, feed), expected)
    monkeypatch.chdir(tmp_path)
    assert_same(ortmmap_session("model.onnx").run(None, feed), expected)


@pytest.mark.parametrize("kind", BUFFERS)
def test_any_contiguous_buffer_is_a_model(affine, expected, kind):
    content = affine + bytes(-len(affine) % 16)
    session = ortmmap_session(BUFFERS[kind](content))
    gc.collect()
    assert_same(session.run(None, FEED), expected)
    assert session.mapping is None


@pytest.mark.parametrize("offset", [*range(1, 9), 64])
def test_a_model_may_begin_at_any_address(affine, expected, offset):
    whole = bytearray(offset) + affine
    session = ortmmap_session(memoryview(whole)[offset:])
    assert_same(session.run(None, FEED), expected)


@pytest.mark.parametrize("offset", range(1, 9))
@pytest.mark.parametrize("name", ["convolution", "lstm", "transformer", "quantized", "weights"])
def test_weights_may_begin_at_any_address(name, offset):
    model, feed = CATALOGUE[name]
    content = to_ort(model)
    session = ortmmap_session(memoryview(bytearray(offset) + content)[offset:])
    assert_same(session.run(None, feed), onnxruntime_session(content).run(None, feed))


@pytest.mark.parametrize("kind", BUFFERS)
def test_any_contiguous_buffer_is_an_onnx_model(kind):
    content = models.affine()
    if "int32" not in kind and "two" not in kind:
        session = ortmmap_session(BUFFERS[kind](content))
        assert_same(session.run(None, FEED), onnxruntime_session(content).run(None, FEED))


def test_shared_memory_is_a_model(affine, expected):
    memory = shared(affine)
    session = ortmmap_session(memory.buf)
    memory.unlink()
    with pytest.raises(BufferError):
        memory.close()
    assert_same(session.run(None, FEED), expected)
    session.close()
    memory.close()


def test_a_mapping_is_a_model(ort_file, expected):
    mapping = ortmmap.Mapping(ort_file)
    session = ortmmap_session(mapping)
    assert_same(session.run(None, FEED), expected)
    with pytest.raises(BufferError):
        mapping.close()
    session.close()
    mapping.close()


def test_a_file_mapped_by_mmap_is_a_model(ort_file, expected):
    with (
        ort_file.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
    ):
        session = ortmmap_session(mapped)
        assert_same(session.run(None, FEED), expected)
        with pytest.raises(BufferError):
            mapped.close()
        session.close()


def test_a_bytearray_cannot_be_resized_while_a_session_uses_it(affine, expected):
    content = bytearray(affine)
    session = ortmmap_session(content)
    for resize in (content.clear, lambda: content.extend(b"more"), content.pop):
        with pytest.raises(BufferError):
            resize()
    assert_same(session.run(None, FEED), expected)
    session.close()
    content.clear()


def test_a_bytearray_is_free_once_its_session_is_collected(affine):
    content = bytearray(affine)
    session = ortmmap_session(content)
    del session
    gc.collect()
    content.clear()


def test_a_bytearray_of_onnx_is_free_at_once():
    content = bytearray(models.affine())
    session = ortmmap_session(content)
    content.clear()
    assert session.run(None, FEED)[0].shape == (3, 4)


def test_a_bytearray_is_free_after_a_failure(affine):
    for broken in (affine[: len(affine) // 2], b"not a model at all"):
        content = bytearray(broken)
        with pytest.raises(RuntimeError):
            ortmmap_session(content)
        content.clear()


@pytest.mark.parametrize(
    "scatter",
    [
        lambda content: memoryview(content + content)[::2],
        lambda content: memoryview(content)[::-1],
        lambda content: np.frombuffer(content + content, "u1")[::2],
        lambda content: np.asfortranarray(np.frombuffer(content, "u1").reshape(2, -1)),
    ],
    ids=["memoryview", "reversed", "ndarray", "Fortran order"],
)
def test_a_buffer_that_is_not_contiguous_is_refused(affine, scatter):
    with pytest.raises((BufferError, ValueError, TypeError), match="contiguous"):
        ortmmap.Session(scatter(affine + bytes(len(affine) % 2)))


@pytest.mark.parametrize("bad", [None, 3, 1.5, object(), ["model.ort"], {}, io.BytesIO(b"model")])
def test_what_is_neither_path_nor_buffer_is_a_type_error(bad):
    with pytest.raises(TypeError, match="Unable to load from type"):
        ortmmap.Session(bad)


def test_the_file_may_be_deleted_or_replaced_while_a_session_uses_it(ort_file, expected):
    session = ortmmap_session(ort_file)
    ort_file.unlink()
    ort_file.write_bytes(b"something else")
    assert_same(session.run(None, FEED), expected)


def test_the_content_decides_unless_an_option_says(write, affine):
    key = "session.load_model_format"
    assert ortmmap_session(write(affine), config={key: "ORT"}).mapping is not None
    assert ortmmap_session(write(models.affine(), "m"), config={key: "ONNX"}).mapping is None
    with pytest.raises(RuntimeError):
        ortmmap_session(write(affine), config={key: "ONNX"})
    with pytest.raises(RuntimeError):
        ortmmap_session(write(models.affine(), "m"), config={key: "ORT"})


def test_options_that_would_copy_the_model_may_be_set(ort_file, expected):
    keys = ["session.use_ort_model_bytes_directly", "session.use_ort_model_bytes_for_initializers"]
    for off in (keys[:1], keys[1:], keys):
        session = ortmmap_session(ort_file, config=dict.fromkeys(off, "0"))
        assert_same(session.run(None, FEED), expected)


def test_prefault_brings_the_whole_file_in(big_ort_file):
    session = ortmmap.Session(big_ort_file, prefault=True)
    assert session.mapping.resident() == session.mapping.nbytes


def test_lock_keeps_the_file_in_memory(ort_file):
    before = status("VmLck")
    session = ortmmap.Session(ort_file, lock=True)
    assert status("VmLck") - before >= session.mapping.nbytes
    session.close()
    assert status("VmLck") == before


@pytest.mark.parametrize("keyword", ["prefault", "lock"])
def test_prefault_and_lock_go_with_a_file(affine, keyword):
    with pytest.raises(ValueError, match=keyword):
        ortmmap.Session(affine, **{keyword: True})


def test_prefault_and_lock_are_keywords_only(ort_file):
    with pytest.raises(TypeError):
        ortmmap.Session(ort_file, None, None, None, True)


def test_inference_session_is_the_same_class():
    assert ortmmap.InferenceSession is ortmmap.Session


def test_arguments_may_be_named_as_onnxruntimes(ort_file, expected):
    session = ortmmap.InferenceSession(
        path_or_bytes=ort_file,
        sess_options=ortmmap.SessionOptions(),
        providers=["CPUExecutionProvider"],
        provider_options=[{}],
    )
    outputs = session.run(output_names=None, input_feed=FEED, run_options=None)
    assert_same(outputs, expected)


@pytest.mark.parametrize("name", CATALOGUE)
@pytest.mark.parametrize("format_", ["ort", "onnx"])
def test_inputs_and_outputs_are_described_as_by_onnxruntime(name, format_):
    model = CATALOGUE[name][0]
    assert_described_alike(to_ort(model) if format_ == "ort" else model)


@pytest.mark.parametrize("shape", [None, [], [1], ["n"], [None], ["n", 2, None, "größe", 0], [""]])
@pytest.mark.parametrize("dtype", [*models.NUMERIC, "object"])
def test_shapes_and_types_are_described_as_by_onnxruntime(dtype, shape):
    assert_described_alike(models.identity(dtype, shape))


def test_optional_types_are_described_as_by_onnxruntime():
    assert_described_alike(models.make_optional())
    model = models.build(
        [models.node("OptionalHasElement", "s", "y")],
        [models.optional("s", "int64", ["n"])],
        [models.tensor("y", "bool", [])],
    )
    assert_described_alike(model)


def assert_described_alike(model: bytes) -> None:
    ours, theirs = ortmmap_session(model), onnxruntime_session(model)
    for method in ("get_inputs", "get_outputs", "get_overridable_initializers"):
        described = [
            [(arg.name, arg.type, arg.shape) for arg in getattr(session, method)()]
            for session in (ours, theirs)
        ]
        assert described[0] == described[1]


def test_a_list_of_inputs_belongs_to_the_caller(affine):
    session = ortmmap_session(affine)
    session.get_inputs().clear()
    session.get_inputs()[0].shape.clear()
    assert [(arg.name, len(arg.shape)) for arg in session.get_inputs()] == [("x", 2)]


def test_an_input_outlives_its_session(affine):
    (arg,) = ortmmap_session(affine).get_inputs()
    gc.collect()
    assert (arg.name, arg.type, arg.shape) == ("x", "tensor(float)", ["batch", 8])
    assert "x" in repr(arg)


@pytest.mark.parametrize("format_", ["ort", "onnx"])
def test_the_metadata_is_what_onnxruntime_tells(format_):
    model = models.affine()
    model = to_ort(model) if format_ == "ort" else model
    ours = ortmmap_session(model).get_modelmeta()
    theirs = onnxruntime_session(model).get_modelmeta()
    for name in (
        "producer_name",
        "graph_name",
        "domain",
        "description",
        "graph_description",
        "version",
        "custom_metadata_map",
    ):
        assert getattr(ours, name) == getattr(theirs, name)
    assert ours.producer_name == "ortmmap-tests"
    assert ours.version == 7
    assert ours.custom_metadata_map == {"author": "nobody", "größe": "8 · 4"}


def test_providers_are_those_of_onnxruntime(affine):
    ours, theirs = ortmmap_session(affine), onnxruntime_session(affine)
    assert ours.get_providers() == theirs.get_providers()
    assert ours.get_provider_options() == theirs.get_provider_options()


def test_a_closed_session_says_so(ort_file):
    session = ortmmap_session(ort_file)
    session.close()
    session.close()
    assert session.mapping is None
    assert maps(ort_file) == []
    assert repr(session) == f"<ortmmap.Session of {ort_file}, closed>"
    for use in (
        lambda: session.run(None, FEED),
        session.get_modelmeta,
        session.end_profiling,
        session.get_profiling_start_time_ns,
    ):
        with pytest.raises(ValueError, match=f"the session of {ort_file} is closed"):
            use()


def test_an_empty_path_is_said_to_be_empty():
    with pytest.raises(ortmmap.NoSuchFile, match="the path is empty"):
        ortmmap.Session("")


@pytest.mark.parametrize(
    ("cache", "error", "text"),
    [
        (3, TypeError, "cache should be True, False, None or a folder, not int"),
        ([], TypeError, "cache should be True, False, None or a folder, not list"),
        ("", ValueError, "cache='' names no folder"),
    ],
)
def test_a_cache_that_is_no_folder_is_refused(ort_file, cache, error, text):
    with pytest.raises(error, match=f"^{text}$"):
        ortmmap.Session(ort_file, cache=cache)


def test_a_session_is_a_context_manager(ort_file, expected):
    with ortmmap_session(ort_file) as session:
        assert_same(session.run(None, FEED), expected)
    assert maps(ort_file) == []


def test_a_session_is_opened_once(ort_file, affine, expected):
    session = ortmmap_session(ort_file)
    with pytest.raises(RuntimeError):
        session.__init__(affine)
    assert_same(session.run(None, FEED), expected)
    assert session.mapping.path == str(ort_file)


def test_a_session_that_was_never_opened_raises():
    session = ortmmap.Session.__new__(ortmmap.Session)
    uses = [
        lambda: session.run(None, FEED),
        lambda: session.run(["y"], FEED),
        session.get_inputs,
        session.get_outputs,
        session.get_overridable_initializers,
        session.get_modelmeta,
        session.get_providers,
        session.get_provider_options,
        session.end_profiling,
        session.get_profiling_start_time_ns,
    ]
    for use in uses:
        with pytest.raises((ValueError, RuntimeError, TypeError)):
            use()
    repr(session)
    session.close()


def test_a_session_that_failed_to_open_may_be_opened_later(ort_file, expected):
    session = ortmmap.Session.__new__(ortmmap.Session)
    with pytest.raises(FileNotFoundError):
        session.__init__(ort_file.parent / "nothing")
    session.__init__(ort_file)
    np.testing.assert_allclose(session.run(None, FEED)[0], expected[0])


def test_it_may_be_subclassed(ort_file, expected):
    class Named(ortmmap.Session):
        def __init__(self, *args: object) -> None:
            super().__init__(*args)
            self.name = "named"

    session = Named(ort_file)
    assert session.name == "named"
    np.testing.assert_allclose(session.run(None, FEED)[0], expected[0])


def test_disabled_optimizers_are_passed_on(onnx_file, tmp_path):
    ops = {}
    for name, disabled in (("all", []), ("none", ["MatMulAddFusion", "GemmActivationFusion"])):
        path = tmp_path / name
        options = ortmmap.SessionOptions()
        options.optimized_model_filepath = str(path)
        ortmmap.Session(onnx_file, options, disabled_optimizers=disabled)
        import onnx

        ops[name] = [node.op_type for node in onnx.load(path).graph.node]
    assert ops["all"] == ["FusedGemm"]
    assert ops["none"] == ["Gemm", "Relu"]


def test_a_profile_is_written(ort_file, tmp_path):
    session = ortmmap_session(
        ort_file, enable_profiling=True, profile_file_prefix=str(tmp_path / "zoë")
    )
    session.run(None, FEED)
    assert session.get_profiling_start_time_ns() > 0
    path = Path(session.end_profiling())
    assert path.parent == tmp_path
    assert path.name.startswith("zoë")
    assert "model_run" in path.read_text()


def test_without_profiling_no_profile_is_written(affine, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    session = ortmmap_session(affine)
    session.run(None, FEED)
    assert session.end_profiling() == onnxruntime_session(affine).end_profiling()
    assert list(tmp_path.iterdir()) == []


def test_onnxruntimes_module_may_be_imported_before_or_after(ort_file):
    code = (
        "import sys, numpy as np\n"
        "names = ['onnxruntime', 'ortmmap']\n"
        "names = names[::int(sys.argv[2])]\n"
        "modules = [__import__(name) for name in names]\n"
        "feed = {'x': np.ones((2, 8), 'f4')}\n"
        "sessions = [m.InferenceSession(sys.argv[1]) for m in modules for _ in range(2)]\n"
        "results = {s.run(None, feed)[0].tobytes() for s in sessions + sessions[::-1]}\n"
        "assert len(results) == 1\n"
    )
    for order in (1, -1):
        run_python(code, ort_file, order)


def test_versions_agree_with_onnxruntimes():
    assert ortmmap.get_version_string() == onnxruntime.__version__
    assert ortmmap.get_available_providers() == onnxruntime.get_available_providers()
    assert os.path.isabs(ortmmap.get_library_path())  # noqa: PTH117
    assert ortmmap.get_build_info() == onnxruntime.get_build_info()


def test_an_output_equals_what_numpy_computes(ort_file):
    import onnx

    model = onnx.load_from_string(models.affine())
    w, b = (onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer)
    (y,) = ortmmap.Session(ort_file).run(None, FEED)
    np.testing.assert_allclose(y, np.maximum(FEED["x"] @ w + b, 0), rtol=1e-5, atol=1e-6)
    assert contents(y) != contents(FEED["x"])
