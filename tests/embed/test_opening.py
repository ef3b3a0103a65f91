"""Sessions that C code opens, their options, and errors."""

import gc

import models
import pytest
from capi_table import (
    CODES,
    CapiError,
    X,
    array_of,
    as_python,
    ffi,
    inputs,
    make,
    open_path,
    open_python,
    options,
    outputs,
    run,
    table,
)
from support import maps, ortmmap_session

import ortmmap


def model_handle(model: bytes) -> object:
    return open_python(ortmmap_session(model))


def test_a_file_is_opened_and_mapped(ort_file, expected):
    handle = open_path(ort_file, options(intra_op_num_threads=1))
    size = ffi.new("size_t *")
    address = table.session_mapping(handle, size)
    assert ffi.buffer(address, size[0])[:] == ort_file.read_bytes()
    wanted = outputs(None)
    run(handle, inputs(X), wanted)
    assert array_of(wanted[0]).tobytes() == expected.tobytes()
    table.release_outputs(wanted.structs, 1)
    assert maps(ort_file)
    table.session_release(handle)
    assert not maps(ort_file)


def test_inputs_and_outputs_are_described(handle):
    assert (table.session_input_count(handle), table.session_output_count(handle)) == (1, 1)
    info = table.session_input(handle, 0)
    assert ffi.string(info.name) == b"x"
    assert ffi.string(info.type) == b"tensor(float)"
    assert (info.kind, info.element_type, info.rank) == (1, 1, 2)
    assert [info.shape[0], info.shape[1]] == [-1, 8]
    assert ffi.string(info.symbols[0]) == b"batch"
    assert info.symbols[1] == ffi.NULL
    assert ffi.string(table.session_output(handle, 0).name) == b"y"
    assert table.session_input(handle, 1) == table.session_output(handle, 99) == ffi.NULL


def test_what_is_no_tensor_is_described_too():
    sequences = models.build(
        [models.node("SequenceConstruct", "x x", "s")],
        [models.tensor("x")],
        [models.sequence("s")],
    )
    handle = model_handle(sequences)
    info = table.session_output(handle, 0)
    assert (info.kind, info.element_type, info.rank) == (2, 0, 0)
    assert ffi.string(info.type) == b"seq(tensor(float))"
    table.session_release(handle)


def test_an_output_that_sessions_add_is_none():
    handle = model_handle(models.zip_map(strings=True))
    assert table.session_output_count(handle) == 1
    assert ffi.string(table.session_output(handle, 0).name) == b"maps"
    assert table.session_output(handle, 1) == ffi.NULL
    table.session_release(handle)


def test_no_session_has_nothing():
    size = ffi.new("size_t *", 5)
    assert table.session_input_count(ffi.NULL) == table.session_output_count(ffi.NULL) == 0
    assert table.session_input(ffi.NULL, 0) == table.session_ort(ffi.NULL) == ffi.NULL
    assert table.session_mapping(ffi.NULL, size) == ffi.NULL
    assert size[0] == 0
    table.session_retain(ffi.NULL)
    table.session_release(ffi.NULL)
    table.prepared_release(ffi.NULL)
    table.release_outputs(ffi.NULL, 3)


def test_memory_is_released_when_the_session_is(affine, expected):
    released = []
    callback = ffi.callback("void (void *)", released.append)
    memory = ffi.from_buffer(affine)
    context = ffi.cast("void *", 1234)
    handle = make(
        "ortmmap_session *",
        table.session_open_memory,
        memory,
        len(affine),
        callback,
        context,
        options(intra_op_num_threads=1),
    )
    wanted = outputs(None)
    run(handle, inputs(X), wanted)
    assert array_of(wanted[0]).tobytes() == expected.tobytes()
    table.release_outputs(wanted.structs, 1)
    assert released == []
    table.session_release(handle)
    assert released == [context]


def test_memory_that_nothing_needs_any_more_is_released_at_once():
    released = []
    callback = ffi.callback("void (void *)", released.append)
    model = models.affine()
    handle = make(
        "ortmmap_session *",
        table.session_open_memory,
        ffi.from_buffer(model),
        len(model),
        callback,
        ffi.NULL,
        ffi.NULL,
    )
    assert released == [ffi.NULL]
    table.session_release(handle)
    assert released == [ffi.NULL]


@pytest.mark.parametrize("content", [b"", b"not a model", None])
def test_memory_that_is_no_model_is_released_too(content):
    released = []
    callback = ffi.callback("void (void *)", released.append)
    memory = ffi.NULL if content is None else ffi.from_buffer(content)
    with pytest.raises(CapiError) as caught:
        make(
            "ortmmap_session *",
            table.session_open_memory,
            memory,
            len(content or b"12345"),
            callback,
            ffi.NULL,
            ffi.NULL,
        )
    assert caught.value.code in ("INVALID_ARGUMENT", "ORT_ERROR")
    assert caught.value.text
    del caught
    gc.collect()
    assert released == [ffi.NULL]


def test_options_reach_the_session(onnx_file, tmp_path):
    keys = [ffi.new("char[]", b"session.disable_prepacking")]
    values = [ffi.new("char[]", b"1")]
    providers = [ffi.new("char[]", b"CPUExecutionProvider")]
    arrays = [ffi.new("char *[]", texts) for texts in (keys, values, providers)]
    folder = ffi.new("char[]", bytes(tmp_path / "cache"))
    given = options(
        intra_op_num_threads=3,
        inter_op_num_threads=2,
        parallel=1,
        optimization=ffi.typeof("enum ortmmap_optimization").relements["ORTMMAP_OPTIMIZE_LAYOUT"],
        log_severity=ffi.typeof("enum ortmmap_log").relements["ORTMMAP_LOG_FATAL"],
        cache=1,
        cache_folder=folder,
        prefault=1,
        config_keys=arrays[0],
        config_values=arrays[1],
        config_count=1,
        providers=arrays[2],
        provider_count=1,
    )
    handle = open_path(onnx_file, given)
    python = as_python(handle)
    found = python.get_session_options()
    assert (found.intra_op_num_threads, found.inter_op_num_threads) == (3, 2)
    assert found.execution_mode == ortmmap.ExecutionMode.ORT_PARALLEL
    assert found.graph_optimization_level == ortmmap.GraphOptimizationLevel.ORT_ENABLE_LAYOUT
    assert found.log_severity_level == 4
    assert found.get_session_config_entry("session.disable_prepacking") == "1"
    assert python.get_providers() == ["CPUExecutionProvider"]
    assert any((tmp_path / "cache").iterdir())
    table.session_release(handle)


def test_options_start_from_pythons(onnx_file):
    base = ortmmap.SessionOptions()
    base.intra_op_num_threads = 2
    base.logid = "of Python"
    pointer = ffi.cast("void *", id(base))
    handle = open_path(onnx_file, options(python_options=pointer, intra_op_num_threads=1))
    found = as_python(handle).get_session_options()
    assert (found.intra_op_num_threads, found.logid) == (1, "of Python")
    assert base.intra_op_num_threads == 2
    table.session_release(handle)


def test_a_program_that_knows_fewer_options_is_served(onnx_file):
    given = options(intra_op_num_threads=2, log_severity=99)
    given.struct_size = ffi.offsetof("ortmmap_session_options", "inter_op_num_threads")
    handle = open_path(onnx_file, given)
    assert as_python(handle).get_session_options().intra_op_num_threads == 2
    table.session_release(handle)


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"struct_size": 0}, "struct_size of the options: expected 96 bytes or less, found 0"),
        ({"struct_size": 1000}, "found 1000"),
        ({"optimization": 6}, "optimization: expected 0 to 5, found 6"),
        ({"log_severity": -1}, "log_severity: expected 0 to 5, found -1"),
        ({"cache": 3}, "cache: expected 0 to 2, found 3"),
        ({"config_count": 1}, "config_keys: expected a text at 0, found NULL"),
        ({"provider_count": 2}, "providers: expected a text at 0, found NULL"),
    ],
)
def test_options_that_are_wrong_are_refused(onnx_file, members, text):
    with pytest.raises(CapiError) as caught:
        open_path(onnx_file, options(**members))
    assert caught.value.code == "INVALID_ARGUMENT"
    assert text in caught.value.text


def test_a_cache_folder_needs_the_cache(onnx_file):
    folder = ffi.new("char[]", b"/nowhere")
    with pytest.raises(CapiError, match="cache_folder goes with ORTMMAP_CACHE_ON"):
        open_path(onnx_file, options(cache_folder=folder))


@pytest.mark.parametrize(
    ("path", "code", "ort_code", "text"),
    [
        ("missing.onnx", "NO_SUCH_FILE", 3, "No such file"),
        (".", "FILE_ERROR", 1, "is a directory"),
        ("empty", "FILE_ERROR", 1, "is empty"),
        ("corrupt", "ORT_ERROR", 7, "corrupt"),
    ],
)
def test_files_that_cannot_be_opened_say_why(tmp_path, path, code, ort_code, text):
    (tmp_path / "empty").touch()
    (tmp_path / "corrupt").write_bytes(b"\xff" * 1000)
    with pytest.raises(CapiError) as caught:
        open_path(tmp_path / path)
    assert (caught.value.code, caught.value.ort_code) == (code, ort_code)
    assert text in caught.value.text


def test_a_long_text_is_cut_between_characters():
    for length in (3000, 3001, 3002):
        with pytest.raises(CapiError) as caught:
            open_path("x" * (length - 3000) + "€" * 1000)
        assert 2030 < len(caught.value.text.encode()) < 2040


def test_the_error_may_be_null(tmp_path):
    made = ffi.new("ortmmap_session **")
    path = bytes(tmp_path / "missing")
    assert CODES[table.session_open(path, ffi.NULL, made, ffi.NULL)] == "NO_SUCH_FILE"
    assert CODES[table.session_open(ffi.NULL, ffi.NULL, made, ffi.NULL)] == "INVALID_ARGUMENT"
    assert CODES[table.session_open(path, ffi.NULL, ffi.NULL, ffi.NULL)] == "INVALID_ARGUMENT"
    assert CODES[table.session_from_python(ffi.NULL, made, ffi.NULL)] == "INVALID_ARGUMENT"
    assert CODES[table.session_check(ffi.NULL, ffi.NULL)] == "INVALID_ARGUMENT"


def test_only_a_session_that_is_open_gets_a_handle(onnx_file):
    for wrong in (object(), None, 3, ortmmap.Session):
        with pytest.raises(CapiError, match=r"expected an ortmmap\.Session, found"):
            open_python(wrong)
    session = ortmmap_session(onnx_file)
    session.close()
    with pytest.raises(CapiError, match=f"the session of {onnx_file} is closed"):
        open_python(session)


def test_an_exception_that_is_set_is_left_alone(session):
    """As in a destructor that runs while an exception is propagated."""

    class Dropped:
        def __del__(self):
            table.session_release(open_python(session))

    def fail():
        dropped = Dropped()  # noqa: F841 - dropped by the exception
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        fail()
