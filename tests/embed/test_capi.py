"""The C API: what it gives, what it refuses, and who may be released before whom."""

import ctypes
import gc
import itertools
import os
import subprocess
import sys
import sysconfig
import threading
from pathlib import Path

import models
import numpy as np
import pytest
from capi_table import (
    CODES,
    CapiError,
    array_of,
    call,
    ffi,
    inputs,
    make,
    open_path,
    open_python,
    options,
    outputs,
    prepare,
    run,
    table,
)
from support import assert_flat, maps, ortmmap_session, run_python, to_ort

import ortmmap
from ortmmap.embed import table as _capi

X = np.arange(16, dtype="f4").reshape(2, 8) - 8
NATIVE = Path(__file__).parents[1] / "native"


@pytest.fixture
def session(onnx_file):
    with ortmmap_session(onnx_file) as opened:
        yield opened


@pytest.fixture
def handle(session):
    made = open_python(session)
    yield made
    table.session_release(made)


@pytest.fixture
def expected(session) -> np.ndarray:
    return session.run(None, {"x": X})[0]


def model_handle(model: bytes) -> object:
    return open_python(ortmmap_session(model))


# --- the table ---


def test_the_capsule_and_the_address_are_one_table():
    get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
    get_pointer.restype, get_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    assert get_pointer(_capi._C_API, b"ortmmap._C_API") == ortmmap.get_capi()
    import_ = ctypes.pythonapi.PyCapsule_Import
    import_.restype, import_.argtypes = ctypes.c_void_p, [ctypes.c_char_p, ctypes.c_int]
    assert import_(b"ortmmap._C_API", 0) == ortmmap.get_capi()


def test_the_capsule_is_there_for_who_has_imported_nothing():
    code = (
        "import ctypes\n"
        "f = ctypes.pythonapi.PyCapsule_Import\n"
        "f.restype, f.argtypes = ctypes.c_void_p, [ctypes.c_char_p, ctypes.c_int]\n"
        "assert f(b'ortmmap._C_API', 0)\n"
    )
    run_python(code)


def test_the_table_says_its_version_and_size_and_has_no_holes():
    assert (table.version_major, table.version_minor) == (1, 0)
    assert table.size == ffi.sizeof("ortmmap_capi")
    fields = [name for name, field in ffi.typeof("ortmmap_capi").fields]
    assert all(getattr(table, name) != ffi.NULL for name in fields[3:])


def test_layouts_that_callers_are_compiled_with_stay_as_they_are():
    """A change here needs another major version."""
    sizes = {
        "ortmmap_error": 2048,
        "ortmmap_input": 48,
        "ortmmap_output": 56,
        "ortmmap_session_options": 96,
    }
    assert {name: ffi.sizeof(name) for name in sizes} == sizes
    first = [name for name, _ in ffi.typeof("ortmmap_capi").fields][:22]
    assert first == [
        "version_major",
        "version_minor",
        "size",
        "session_open",
        "session_open_memory",
        "session_from_python",
        "session_to_python",
        "session_retain",
        "session_release",
        "session_input_count",
        "session_output_count",
        "session_input",
        "session_output",
        "session_ort",
        "session_ort_api",
        "session_mapping",
        "session_check",
        "run",
        "release_outputs",
        "prepare",
        "prepared_run",
        "prepared_release",
    ]
    assert sorted(CODES) == list(range(13))


def compile_library(source: Path, target: Path, *flags: str) -> Path:
    command = ["cc", "-std=gnu99", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    command += [f"-I{ortmmap.get_include()}", *flags, str(source), "-o", str(target), "-pthread"]
    subprocess.run(command, check=True)
    return target


IMPORTER = """
#include <Python.h>
#include <ortmmap/capi.h>
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "importer", .m_size = -1};
PyMODINIT_FUNC PyInit_importer(void) {
  return ortmmap_capi_import() == NULL ? NULL : PyModule_Create(&module);
}
"""

REPLACE_TABLE = """
import ctypes, sys
from ortmmap.embed import table as _capi
if sys.argv[1:]:
    major, minor, less = map(int, sys.argv[1:])
    new = ctypes.pythonapi.PyCapsule_New
    new.restype = ctypes.py_object
    new.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    fake = (ctypes.c_uint32 * 4)()   # two versions, and the low half of a size_t
    size = ctypes.cast(_capi.get_capi() + 8, ctypes.POINTER(ctypes.c_size_t))[0]
    fake[0], fake[1], fake[2] = major, minor, size - less
    _capi._C_API = new(ctypes.addressof(fake), b"ortmmap._C_API", None)
try:
    import importer
    print("imported")
except ImportError as error:
    print(error)
"""


def test_an_extension_refuses_a_table_of_another_version(tmp_path):
    source = tmp_path / "importer.c"
    source.write_text(IMPORTER)
    target = tmp_path / f"importer{sysconfig.get_config_var('EXT_SUFFIX')}"
    compile_library(source, target, f"-I{sysconfig.get_path('include')}")

    def say(*args: int) -> str:
        code = "import sys; sys.path.insert(0, sys.argv.pop(1))\n" + REPLACE_TABLE
        return run_python(code, tmp_path, *args).stdout.strip()

    assert say() == "imported"
    assert say(1, 0, 0) == "imported"
    assert say(1, 7, -64) == "imported"  # a later minor version
    assert say(2, 0, 0) == (
        "ortmmap's C API has version 2.0; this module was compiled for 1.0 or a later minor version"
    )
    assert "version 1.0;" in say(1, 0, 8)  # fewer functions


@pytest.mark.parametrize("compiler", ["gcc -std=c99", "g++ -std=c++11"])
def test_the_header_is_plain_c99_and_cpp11(tmp_path, compiler):
    source = tmp_path / ("use.c" if "gcc" in compiler else "use.cpp")
    source.write_text(
        "#include <ortmmap/capi.h>\n#include <ortmmap/capi.h>\n"
        "int main(void) { return ortmmap_capi_usable(0); }\n"
    )
    flags = ["-Wall", "-Wextra", "-pedantic", "-Wconversion", "-Wshadow", "-Werror"]
    include = f"-I{ortmmap.get_include()}"
    command = [*compiler.split(), *flags, include, str(source), "-o", str(tmp_path / "use")]
    subprocess.run(command, check=True)
    assert subprocess.run([str(tmp_path / "use")], check=False).returncode == 0


# --- opening ---


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


def as_python(handle) -> ortmmap.Session:
    pointer = make("void *", table.session_to_python, handle)
    python = ctypes.cast(int(ffi.cast("size_t", pointer)), ctypes.py_object).value
    ctypes.pythonapi.Py_DecRef(ctypes.py_object(python))
    return python


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


def test_nothing_is_said_where_nobody_listens(tmp_path):
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
    with pytest.raises(CapiError, match="the session is closed"):
        open_python(session)


def test_an_exception_that_is_set_is_left_alone(session):
    """As in a destructor that runs while an exception is on its way."""

    class Dropped:
        def __del__(self):
            table.session_release(open_python(session))

    def fail():
        dropped = Dropped()  # noqa: F841 - dropped by the exception
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        fail()


# --- running ---


def test_a_run_gives_what_python_gets(handle, expected):
    call(table.session_check, handle)
    for names in (None, ["x"]):
        wanted = outputs(None, names=names and ["y"])
        run(handle, inputs(X, names=names), wanted)
        assert array_of(wanted[0]).tobytes() == expected.tobytes()
        table.release_outputs(wanted.structs, 1)
        assert (wanted[0].data, wanted[0].owner, wanted[0].rank) == (ffi.NULL, ffi.NULL, 0)
        table.release_outputs(wanted.structs, 1)  # once more is nothing


def test_a_run_writes_into_the_callers_memory(handle, expected):
    y = np.full((2, 4), np.nan, "f4")
    wanted = outputs(y)
    run(handle, inputs(X), wanted)
    assert y.tobytes() == expected.tobytes()
    assert wanted[0].owner == ffi.NULL
    table.release_outputs(wanted.structs, 1)
    assert int(ffi.cast("size_t", wanted[0].data)) == y.ctypes.data


def test_a_prepared_run_reads_and_writes_memory_as_it_lies(handle, session):
    x, y = X.copy(), np.empty((2, 4), "f4")
    prepared = prepare(handle, inputs(x), outputs(y))
    for scale in (1, -1, 0.5):
        x[:] = X * scale
        call(table.prepared_run, prepared, ffi.NULL)
        assert y.tobytes() == session.run(None, {"x": x})[0].tobytes()
    table.prepared_release(prepared)


MANY = models.build(
    [models.node("Neg", f"x{index}", f"y{index}") for index in range(60)],
    [models.tensor(f"x{index}", shape=[None]) for index in range(60)],
    [models.tensor(f"y{index}", shape=[None]) for index in range(60)],
)


@pytest.mark.parametrize("count", [1, 12, 13, 40, 60])
def test_any_number_of_inputs_and_outputs_in_any_order(count):
    """Past some number a run allocates room for its arguments."""
    handle = model_handle(MANY)
    arrays = [np.full(index + 1, index, "f4") for index in range(60)]
    order = list(np.random.default_rng(0).permutation(60))
    results = [np.empty(index + 1, "f4") if index % 2 else None for index in order[:count]]
    wanted = outputs(*results, names=[f"y{index}" for index in order[:count]])
    given = inputs(*(arrays[index] for index in order), names=[f"x{index}" for index in order])
    run(handle, given, wanted)
    for position, index in enumerate(order[:count]):
        found = array_of(wanted[position])
        assert found.tolist() == (-arrays[index]).tolist()
    table.release_outputs(wanted.structs, count)
    table.session_release(handle)


def test_an_output_that_lies_in_an_input_is_copied():
    handle = model_handle(models.identity(shape=[None]))
    x = np.arange(4, dtype="f4")
    wanted = outputs(None)
    run(handle, inputs(x), wanted)
    x[:] = 9
    assert array_of(wanted[0]).tolist() == [0, 1, 2, 3]
    table.release_outputs(wanted.structs, 1)
    y = np.empty(4, "f4")
    run(handle, inputs(x), outputs(y))
    x[:] = 5
    assert y.tolist() == [9] * 4
    table.session_release(handle)


@pytest.mark.parametrize("shape", [(), (0,), (0, 8), (3, 0, 2)])
def test_scalars_and_tensors_of_nothing(shape):
    handle = model_handle(models.one_node("Neg"))
    x = np.ones(shape, "f4")
    given = inputs(x)
    if x.size == 0:
        given[0].data = ffi.NULL
    if x.ndim == 0:
        given[0].shape = ffi.NULL
    wanted = outputs(None)
    run(handle, given, wanted)
    assert array_of(wanted[0]).tolist() == (-x).tolist()
    assert array_of(wanted[0]).shape == shape
    table.release_outputs(wanted.structs, 1)
    table.session_release(handle)


def test_packed_elements_are_counted_in_bits():
    cast = models.build(
        [models.node("Cast", "x", "y", to=2)],
        [models.tensor("x", 21)],
        [models.tensor("y", 2)],
        opset=21,
    )
    handle = model_handle(cast)
    given = inputs(np.array([0x21, 0xF3], "u1"))
    shape = ffi.new("int64_t[]", [3])
    given[0].shape, given[0].element_type = shape, 21
    wanted = outputs(None)
    run(handle, given, wanted)
    assert array_of(wanted[0]).tolist() == [1, 2, 3]
    table.release_outputs(wanted.structs, 1)
    given[0].size = 1
    with pytest.raises(CapiError, match="expected 2 bytes of data, found 1"):
        run(handle, given, wanted)
    table.session_release(handle)


def with_(arguments, **members):
    for name, value in members.items():
        setattr(arguments[0], name, value)
    return arguments


NEGATIVE = ffi.new("int64_t[]", [-2, 8])
HUGE = ffi.new("int64_t[]", [2**40, 2**40])
OTHER_WIDTH = ffi.new("int64_t[]", [4, 4])
BAD_INPUTS = {
    "unknown": (lambda: inputs(X, names=["z"]), "input 0 (z): the model has no such one; it has 1"),
    "twice": (lambda: inputs(X, X), "more inputs than the model has"),
    "type": (
        lambda: inputs(np.zeros((2, 8), "i4")),
        "input 0 (x): expected element type 1, found 6",
    ),
    "unknown type": (lambda: with_(inputs(X), element_type=99), "found 99"),
    "NULL data": (lambda: with_(inputs(X), data=ffi.NULL), "64 bytes of data, found NULL"),
    "NULL shape": (lambda: with_(inputs(X), shape=ffi.NULL), "a shape of 2 sizes, found NULL"),
    "size": (lambda: with_(inputs(X), size=63), "expected 64 bytes of data, found 63"),
    "negative": (lambda: with_(inputs(X), shape=NEGATIVE), "in its shape is negative"),
    "huge": (lambda: with_(inputs(X), shape=HUGE), "or the shape is too large"),
    "rank": (lambda: inputs(X[0]), "Invalid rank for input: x"),
    "width": (lambda: with_(inputs(X), shape=OTHER_WIDTH), "invalid dimensions for input: x"),
    "none": (inputs, "Missing Input: x"),
}
BAD_OUTPUTS = {
    "unknown": (lambda: outputs(None, names=["x"]), "output 0 (x): the model has no such one"),
    "too many": (lambda: outputs(None, None), "more outputs than the model has"),
    "none": (outputs, "expected an output or more"),
    "type": (lambda: outputs(np.zeros((2, 4), "i4")), "output 0 (y): expected element type 1"),
    "size": (lambda: with_(outputs(np.zeros((2, 4), "f4")), size=31), "expected 32 bytes"),
    "small": (lambda: outputs(np.zeros((1, 4), "f4")), "{2,4}"),
    "large": (lambda: outputs(np.zeros((3, 4), "f4")), "{2,4}"),
    "rank": (lambda: outputs(np.zeros(8, "f4")), "rank for output: y"),
    "taken": (lambda: with_(outputs(None), owner=ffi.cast("void *", 8)), "release_outputs() first"),
}


@pytest.mark.parametrize("what", BAD_INPUTS)
@pytest.mark.parametrize("how", ["run", "prepare"])
def test_wrong_inputs_are_refused(handle, expected, what, how):
    given, text = BAD_INPUTS[what]
    y = np.empty((2, 4), "f4")
    refused(handle, given(), outputs(y), text, how)
    run(handle, inputs(X), outputs(y))
    assert y.tobytes() == expected.tobytes()


@pytest.mark.parametrize("what", BAD_OUTPUTS)
@pytest.mark.parametrize("how", ["run", "prepare"])
def test_wrong_outputs_are_refused(handle, expected, what, how):
    wanted, text = BAD_OUTPUTS[what]
    refused(handle, inputs(X), wanted(), text, how)
    y = np.empty((2, 4), "f4")
    run(handle, inputs(X), outputs(y))
    assert y.tobytes() == expected.tobytes()


def refused(handle, given, wanted, text, how) -> None:
    with pytest.raises(CapiError) as caught:
        {"run": run, "prepare": prepare_and_run}[how](handle, given, wanted)
    assert caught.value.code in ("INVALID_ARGUMENT", "ORT_ERROR")
    assert text in caught.value.text


def prepare_and_run(handle, given, wanted) -> None:
    prepared = prepare(handle, given, wanted)
    try:
        call(table.prepared_run, prepared, ffi.NULL)
    finally:
        table.prepared_release(prepared)


def test_a_prepared_run_needs_memory_for_its_outputs(handle):
    with pytest.raises(CapiError, match="output 0"):
        prepare(handle, inputs(X), outputs(None))


def test_a_prepared_run_that_failed_works_when_what_was_wrong_is_gone():
    handle = model_handle(models.one_node("Gather", ("float32", "int64")))
    x, index, y = X.copy(), np.array([5]), np.empty((1, 8), "f4")
    prepared = prepare(handle, inputs(x, index), outputs(y))
    with pytest.raises(CapiError, match="indices element out of data bounds"):
        call(table.prepared_run, prepared, ffi.NULL)
    index[0] = 1
    call(table.prepared_run, prepared, ffi.NULL)
    assert y.tolist() == X[1:2].tolist()
    table.prepared_release(prepared)
    table.session_release(handle)


def test_one_input_or_output_twice_is_refused():
    handle = model_handle(MANY)
    x = np.ones(1, "f4")
    with pytest.raises(CapiError, match=r"input 2 \(x3\): is the same one as 0"):
        run(handle, inputs(x, x, x, names=["x3", "x1", "x3"]), outputs(None))
    given = inputs(*[x] * 60)
    with pytest.raises(CapiError, match=r"output 1 \(y0\): is the same one as 0"):
        run(handle, given, outputs(None, None, names=["y0", "y0"]))
    table.session_release(handle)


def test_null_pointers_are_refused(handle):
    x, y = inputs(X), outputs(None)
    prepared = ffi.new("ortmmap_prepared **")
    for function, args in [
        (table.run, (ffi.NULL, x.structs, 1, y.structs, 1, ffi.NULL)),
        (table.run, (handle, ffi.NULL, 1, y.structs, 1, ffi.NULL)),
        (table.run, (handle, x.structs, 1, ffi.NULL, 1, ffi.NULL)),
        (table.prepare, (ffi.NULL, x.structs, 1, y.structs, 1, prepared)),
        (table.prepare, (handle, ffi.NULL, 1, y.structs, 1, prepared)),
        (table.prepare, (handle, x.structs, 1, ffi.NULL, 1, prepared)),
        (table.prepare, (handle, x.structs, 1, y.structs, 1, ffi.NULL)),
        (table.prepared_run, (ffi.NULL, ffi.NULL)),
        (table.session_to_python, (ffi.NULL, ffi.new("void **"))),
        (table.session_to_python, (handle, ffi.NULL)),
        (table.session_check, (ffi.NULL,)),
    ]:
        with pytest.raises(CapiError, match="INVALID_ARGUMENT"):
            call(function, *args)


def test_strings_and_sequences_are_for_onnxruntimes_own_api():
    handle = model_handle(models.identity("O", [None]))
    with pytest.raises(CapiError) as caught:
        run(handle, with_(inputs(np.zeros(1, "i8")), element_type=8), outputs(None))
    assert caught.value.code == "NOT_SUPPORTED"
    table.session_release(handle)


def test_an_overridable_initializer_is_fed_by_name():
    model = models.build(
        [models.node("Add", "x w", "y")],
        [models.tensor("x", shape=[2]), models.tensor("w", shape=[2])],
        [models.tensor("y", shape=[2])],
        [models.constant("w", np.array([1, 2], "f4"))],
    )
    handle = model_handle(model)
    x, w, y = np.zeros(2, "f4"), np.array([5, 6], "f4"), np.empty(2, "f4")
    assert table.session_input_count(handle) == 1
    run(handle, inputs(x), outputs(y))
    assert y.tolist() == [1, 2]
    run(handle, inputs(w, x, names=["w", "x"]), outputs(y))
    assert y.tolist() == [5, 6]
    table.session_release(handle)


def test_calls_leave_no_memory_behind(onnx_file):
    handle = open_path(onnx_file, options(intra_op_num_threads=1))
    y = np.empty((2, 4), "f4")
    given, wanted, into = inputs(X), outputs(None), outputs(y)
    narrow = inputs(X[:, :3].copy())

    def once():
        run(handle, given, wanted)
        table.release_outputs(wanted.structs, 1)
        run(handle, given, into)
        prepared = prepare(handle, given, into)
        call(table.prepared_run, prepared, ffi.NULL)
        table.prepared_release(prepared)
        with pytest.raises(CapiError):
            run(handle, narrow, wanted)

    assert_flat(once, 300)
    table.session_release(handle)


# --- lifetimes ---


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
    """It keeps that session open, and the file mapped, whatever becomes of the Python object."""
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
    """What C code may hold of a session: all that is left must work, whatever went first."""

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
def test_whoever_goes_first_the_others_work(ort_file, order):
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


@pytest.fixture(scope="module")
def threads_library(tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("native") / "capi_threads.so"
    return compile_library(NATIVE / "capi_threads.c", target)


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
    session.close()  # every count is given back


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
        code_of(prepare, handle, given, into),
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
def test_the_child_of_a_fork_is_told_and_gets_handles_of_its_own(ort_file):
    assert run_python(FORKED, ort_file, timeout=120).stderr == ""


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
        "a buffer: it, or what the cache keeps of it, could not be read while it was in use",
    )
    run_python(code, path, path)
