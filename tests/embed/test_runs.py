"""Runs by the C API: the results, and the arguments that are refused."""

import models
import numpy as np
import pytest
from capi_table import (
    CapiError,
    X,
    array_of,
    call,
    ffi,
    inputs,
    open_path,
    open_python,
    options,
    outputs,
    prepare,
    run,
    table,
)
from support import assert_flat, ortmmap_session


def model_handle(model: bytes) -> object:
    return open_python(ortmmap_session(model))


def test_a_run_gives_what_python_gets(handle, expected):
    call(table.session_check, handle)
    for names in (None, ["x"]):
        wanted = outputs(None, names=names and ["y"])
        run(handle, inputs(X, names=names), wanted)
        assert array_of(wanted[0]).tobytes() == expected.tobytes()
        table.release_outputs(wanted.structs, 1)
        assert (wanted[0].data, wanted[0].owner, wanted[0].rank) == (ffi.NULL, ffi.NULL, 0)
        table.release_outputs(wanted.structs, 1)  # a second time does nothing


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
    """Above some number, a run allocates its arguments."""
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


def test_an_output_may_have_more_dimensions_than_numpy_allows():
    model = models.build(
        [models.node("Reshape", "x shape", "y")],
        [models.tensor("x"), models.tensor("shape", "int64", ["n"])],
        [models.tensor("y")],
    )
    handle = model_handle(model)
    wanted = outputs(None)
    for rank in (64, 65, 70):
        sizes = [1] * (rank - 1) + [3]
        run(handle, inputs(np.arange(3, dtype="f4"), np.array(sizes)), wanted)
        assert (wanted[0].rank, wanted[0].size) == (rank, 12)
        assert list(wanted[0].shape[0:rank]) == sizes
        assert np.frombuffer(ffi.buffer(wanted[0].data, 12), "f4").tolist() == [0, 1, 2]
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
