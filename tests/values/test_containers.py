"""Sequences, maps, optionals and sparse tensors, in and out, against onnxruntime's."""

import models
import numpy as np
import onnx
import onnxruntime
import pytest
from models import ML, TensorProto, helper
from support import assert_same, caught, onnxruntime_session, ortmmap_session

import ortmmap
from ortmmap.errors import InvalidArgument

WORDS = np.array(["a", "zoë", ""], object)


def passing_on(value: onnx.ValueInfoProto, result: onnx.ValueInfoProto) -> bytes:
    return models.build([models.node("Identity", "x", "y")], [value], [result])


@pytest.mark.parametrize("dtype", [*models.NUMERIC, object])
def test_a_sequence_goes_in_and_comes_out(dtype):
    model = passing_on(models.sequence("x", dtype), models.sequence("y", dtype))
    arrays = [np.arange(size).astype(str if dtype is object else dtype) for size in (3, 0, 5)]
    arrays = [array.astype(dtype) for array in arrays]
    ours, theirs = ortmmap_session(model), onnxruntime_session(model)
    for feed in ({"x": arrays}, {"x": []}):
        assert_same(ours.run(None, feed), theirs.run(None, feed))


def test_what_is_taken_from_a_sequence_is_what_was_put_in():
    model = models.build(
        [models.node("SequenceAt", "x i", "y"), models.node("SequenceLength", "x", "n")],
        [models.sequence("x"), models.tensor("i", "int64", [])],
        [models.tensor("y"), models.tensor("n", "int64", [])],
    )
    arrays = [np.arange(6, dtype="f4").reshape(2, 3), np.ones((1, 2), "f4").T]
    ours, theirs = ortmmap_session(model), onnxruntime_session(model)
    feed = {"x": arrays, "i": np.array(1)}
    assert_same(ours.run(None, feed), theirs.run(None, feed))


def test_a_result_does_not_lie_in_the_sequence_that_was_fed():
    session = ortmmap_session(passing_on(models.sequence("x"), models.sequence("y")))
    arrays = [np.arange(3, dtype="f4"), np.arange(4, dtype="f4")]
    (results,) = session.run(None, {"x": arrays})
    for array in arrays:
        array[...] = -1
    assert [result.tolist() for result in results] == [[0, 1, 2], [0, 1, 2, 3]]


def test_a_sequence_of_a_value_keeps_its_memory():
    session = ortmmap_session(
        models.build(
            [models.node("SequenceConstruct", "x x", "y")],
            [models.tensor("x")],
            [models.sequence("y")],
        )
    )
    array = np.arange(3, dtype="f4")
    (value,) = session.run_with_ort_values(None, {"x": ortmmap.OrtValue.ortvalue_from_numpy(array)})
    again = ortmmap_session(passing_on(models.sequence("x"), models.sequence("y")))
    (results,) = again.run(None, {"x": value})
    assert [result.tolist() for result in results] == [[0, 1, 2]] * 2


@pytest.mark.parametrize("bad", [np.ones(2, "f4"), {}, 3, [np.ones(2)], [None], "x", None])
def test_what_is_no_sequence_of_the_type_raises(bad):
    model = passing_on(models.sequence("x"), models.sequence("y"))
    error = caught(ortmmap_session(model).run, None, {"x": bad})
    assert isinstance(error, (RuntimeError, TypeError))


@pytest.mark.parametrize(
    ("key", "value", "vocabulary", "given"),
    [
        (TensorProto.STRING, TensorProto.FLOAT, ["é", "b"], {"b": 1.5, "é": 2.0}),
        (TensorProto.STRING, TensorProto.DOUBLE, ["a"], {"a": 1.5}),
        (TensorProto.STRING, TensorProto.INT64, ["a", "b"], {"b": 7}),
        (TensorProto.INT64, TensorProto.FLOAT, [1, -2], {-2: 1.5, 1: 2.5}),
        (TensorProto.INT64, TensorProto.DOUBLE, [1], {1: 0.5}),
        (TensorProto.INT64, TensorProto.STRING, [1, 2], {1: "é", 2: "x"}),
    ],
)
def test_a_map_goes_in(key, value, vocabulary, given):
    name = "string_vocabulary" if key == TensorProto.STRING else "int64_vocabulary"
    inner = helper.make_map_type_proto(key, helper.make_tensor_type_proto(value, None))
    model = models.build(
        [models.node("DictVectorizer", "x", "y", domain=ML, **{name: vocabulary})],
        [helper.make_value_info("x", inner)],
        [helper.make_tensor_value_info("y", value, None)],
    )
    (result,) = ortmmap_session(model).run(None, {"x": given})
    absent = "" if value == TensorProto.STRING else 0
    assert result.ravel().tolist() == [given.get(key, absent) for key in vocabulary]
    if value == TensorProto.FLOAT:  # the only one that onnxruntime takes
        assert_same(result, onnxruntime_session(model).run(None, {"x": given})[0])


@pytest.mark.parametrize("bad", [np.ones(2, "f4"), [], 3, {1: 2.0}, {"a": "b"}, None])
def test_what_is_no_map_of_the_type_raises(bad):
    inner = helper.make_map_type_proto(
        TensorProto.STRING, helper.make_tensor_type_proto(TensorProto.FLOAT, None)
    )
    model = models.build(
        [models.node("DictVectorizer", "x", "y", domain=ML, string_vocabulary=["a"])],
        [helper.make_value_info("x", inner)],
        [models.tensor("y")],
    )
    error = caught(ortmmap_session(model).run, None, {"x": bad})
    assert isinstance(error, (RuntimeError, TypeError)) or bad == {1: 2.0}


@pytest.mark.parametrize("strings", [True, False])
def test_a_sequence_of_maps_comes_out(strings):
    model = models.zip_map(strings=strings)
    feed = {"x": np.random.default_rng(0).random((50, 3), "f4")}
    assert_same(ortmmap_session(model).run(None, feed), onnxruntime_session(model).run(None, feed))


@pytest.mark.parametrize("feed", [{"x": None}, {}, {"x": np.ones(3, "f4")}])
def test_an_optional_may_be_empty(feed):
    model = models.build(
        [models.node("OptionalHasElement", "x", "y")],
        [models.optional("x")],
        [models.tensor("y", "bool", [])],
    )
    assert_same(ortmmap_session(model).run(None, feed), onnxruntime_session(model).run(None, feed))


def test_an_empty_optional_comes_out_as_none():
    session = ortmmap_session(models.make_optional())
    some, nothing, *_ = session.run(None, {"x": np.ones(3, "f4")})
    assert some.tolist() == [1, 1, 1]
    assert nothing is None


def test_a_value_that_is_an_empty_optional_is_an_input_left_out_or_refused():
    """onnxruntime ends the process."""
    x = ortmmap.OrtValue.ortvalue_from_numpy(np.ones(3, "f4"))
    some, nothing, *_ = ortmmap_session(models.make_optional()).run_with_ort_values(None, {"x": x})
    session = ortmmap_session(
        models.build(
            [models.node("OptionalHasElement", "x", "y")],
            [models.optional("x")],
            [models.tensor("y", "bool", [])],
        )
    )
    for value, expected in ((some, True), (nothing, False)):
        assert session.run(None, {"x": value})[0] == expected
        assert session.run_with_ort_values(None, {"x": value})[0].numpy() == expected
    binding, tensor_session = session.io_binding(), ortmmap_session(models.affine())
    sequence_session = ortmmap_session(passing_on(models.sequence("x"), models.sequence("y")))
    for call, *args in (
        (tensor_session.run, None, {"x": nothing}),
        (tensor_session.run_with_ort_values, None, {"x": nothing}),
        (sequence_session.run, None, {"x": [x, nothing]}),
        (binding.bind_ortvalue_input, "x", nothing),
        (binding.bind_ortvalue_output, "y", nothing),
    ):
        with pytest.raises(InvalidArgument, match="empty optional"):
            call(*args)


def test_the_optionals_around_others_are_fed():
    model = models.build(
        [models.node("OptionalHasElement", "a", "y"), models.node("Add", "x z", "s")],
        [models.tensor("x"), models.optional("a"), models.tensor("z")],
        [models.tensor("y", "bool", []), models.tensor("s")],
    )
    feed = {"x": np.ones(2, "f4"), "a": None, "z": np.ones(2, "f4")}
    assert_same(ortmmap_session(model).run(None, feed), onnxruntime_session(model).run(None, feed))


# --- sparse tensors ---

VALUES = np.array([1.5, -2, 3], "f4")
DENSE = np.array([[0, 1.5, 0], [0, 0, -2], [3, 0, 0]], "f4")
DEVICE = onnxruntime.OrtDevice.make("cpu", 0)


def coo(module: object, indices: np.ndarray, values: np.ndarray = VALUES) -> object:
    device = DEVICE if module is onnxruntime else None
    return module.SparseTensor.sparse_coo_from_numpy(
        np.array([3, 3]), values, np.array(indices, "i8"), device
    )


def csr(module: object, values: np.ndarray = VALUES) -> object:
    device = DEVICE if module is onnxruntime else None
    return module.SparseTensor.sparse_csr_from_numpy(
        np.array([3, 3]), values, np.array([1, 2, 0]), np.array([0, 1, 2, 3]), device
    )


@pytest.mark.parametrize("indices", [[1, 5, 6], [[0, 1], [1, 2], [2, 0]]])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i8", "u1", "U1"])
def test_a_sparse_tensor_in_coo_format_is_described_as_by_onnxruntime(indices, dtype):
    values = np.array([1, 2, 3]).astype(dtype)
    ours, theirs = (coo(module, indices, values) for module in (ortmmap, onnxruntime))
    assert_same(ours.values(), theirs.values())
    assert_same(ours.as_coo_view().indices(), theirs.as_coo_view().indices())
    assert_alike(ours, theirs)


@pytest.mark.parametrize("dtype", ["f4", "U1"])
def test_a_sparse_tensor_in_csr_format_is_described_as_by_onnxruntime(dtype):
    values = np.array([1, 2, 3]).astype(dtype)
    ours, theirs = (csr(module, values) for module in (ortmmap, onnxruntime))
    assert_same(ours.values(), theirs.values())
    assert_same(ours.as_csrc_view().inner(), theirs.as_csrc_view().inner())
    assert_same(ours.as_csrc_view().outer(), theirs.as_csrc_view().outer())
    assert_alike(ours, theirs)


def assert_alike(ours: object, theirs: object) -> None:
    assert ours.format() == int(theirs.format())
    assert ours.format().name == theirs.format().name
    for method in ("dense_shape", "data_type", "device_name"):
        assert getattr(ours, method)() == getattr(theirs, method)()


@pytest.mark.parametrize(
    "make", [lambda m: coo(m, [[0, 1], [1, 2], [2, 0]]), csr], ids=["COO", "CSR"]
)
def test_a_sparse_tensor_is_fed_as_onnxruntime_feeds_it(make):
    model = models.build(
        [models.node("SparseToDenseMatMul", "s x", "y", domain="com.microsoft")],
        [
            helper.make_value_info(
                "s", helper.make_sparse_tensor_type_proto(TensorProto.FLOAT, [3, 3])
            ),
            models.tensor("x"),
        ],
        [models.tensor("y")],
        opset=18,
    )
    proto = onnx.load_from_string(model)
    proto.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    model = proto.SerializeToString()
    x = np.arange(6, dtype="f4").reshape(3, 2)
    session = ortmmap_session(model)
    (result,) = session.run(None, {"s": make(ortmmap), "x": x})
    np.testing.assert_array_equal(result, DENSE @ x)
    value = onnxruntime.OrtValue.ort_value_from_sparse_tensor(make(onnxruntime))
    (theirs,) = onnxruntime_session(model).run_with_ort_values(
        None, {"s": value, "x": onnxruntime.OrtValue.ortvalue_from_numpy(x)}
    )
    assert_same(result, theirs.numpy())
    ours = ortmmap.OrtValue.ort_value_from_sparse_tensor(make(ortmmap))
    assert ours.is_sparse_tensor()
    assert_same(session.run(None, {"s": ours, "x": x})[0], result)


def test_a_value_and_its_sparse_tensor_share_memory():
    tensor = csr(ortmmap)
    value = ortmmap.OrtValue.ort_value_from_sparse_tensor(tensor)
    again = value.as_sparse_tensor()
    del tensor, value
    assert_same(again.values(), VALUES)


@pytest.mark.parametrize("view", ["SparseCooView", "SparseCsrView", "SparseBlockSparseView"])
def test_a_view_that_no_tensor_made_harms_nothing(view):
    from ortmmap.values import sparse

    cls = getattr(sparse, view)
    for empty in (cls(), cls.__new__(cls)):
        for method in {"indices", "inner", "outer"} & set(dir(cls)):
            assert isinstance(caught(getattr(empty, method)), RuntimeError)


def test_the_inner_tensor_is_as_in_onnxruntime():
    ours, theirs = csr(ortmmap), csr(onnxruntime)
    for inner in (ours._tensor, ours._get_c_tensor()):
        assert_same(inner.values(), theirs._tensor.values())
        assert inner.device_name() == theirs._tensor.device_name() == "Cpu"
        assert ortmmap.SparseTensor(inner).dense_shape() == [3, 3]
    kept = ours._tensor
    del ours
    assert_same(ortmmap.SparseTensor(kept).values(), VALUES)
    for module in (ortmmap, onnxruntime):
        for bad in (None, 3, VALUES):
            assert isinstance(caught(module.SparseTensor, bad), ValueError)
        assert isinstance(caught(module.SparseTensor), TypeError)
    assert isinstance(caught(kept.__init__, csr(ortmmap)), RuntimeError)


def test_void_values_are_refused_as_by_onnxruntime():
    for module in (ortmmap, onnxruntime):
        assert isinstance(caught(coo, module, [1, 5], np.zeros(2, "V4")), RuntimeError)


@pytest.mark.parametrize(
    "indices", [[0, 1], [0, 1, 9], [-1, 0, 1], [[0, 0], [1, 1], [2, 3]], [[0], [1], [2]], [[[1]]]]
)
def test_indices_that_do_not_fit_raise(indices):
    assert isinstance(caught(coo, ortmmap, indices), RuntimeError)


@pytest.mark.parametrize(
    ("inner", "outer"),
    [
        ([0, 1], [0, 1, 2, 3]),
        ([0, 1, 3], [0, 1, 2, 3]),
        ([0, 1, 2], [0, 1, 3]),
        ([0, 1, 2], [0, 2, 1, 3]),
        ([0, 1, 2], [1, 1, 2, 3]),
        ([0, 1, 2], [0, 1, 2, 4]),
    ],
)
def test_rows_and_columns_that_do_not_fit_raise(inner, outer):
    make = ortmmap.SparseTensor.sparse_csr_from_numpy
    arrays = VALUES, np.array(inner), np.array(outer)
    assert isinstance(caught(make, [3, 3], *arrays, DEVICE), RuntimeError)


def test_the_view_of_another_format_raises():
    for module in (ortmmap, onnxruntime):
        assert isinstance(caught(coo(module, [1, 5, 6]).as_csrc_view), RuntimeError)
        assert isinstance(caught(csr(module).as_coo_view), RuntimeError)
    with pytest.raises(NotImplementedError):
        csr(ortmmap).to_cuda(None)


@pytest.mark.parametrize("cls", [ortmmap.SparseTensor, ortmmap.OrtValue])
def test_a_value_without_a_native_one_harms_nothing(cls):
    empty = cls.__new__(cls)
    assert "empty" in repr(empty)
    for method in ("data_type", "dense_shape", "values", "format", "as_coo_view", "shape"):
        call = getattr(empty, method, None)
        if call is not None and (cls, method) != (ortmmap.OrtValue, "data_type"):
            assert isinstance(caught(call), RuntimeError)
    session = ortmmap_session(models.affine())
    assert isinstance(caught(session.run, None, {"x": empty}), (TypeError, ValueError))
    if cls is ortmmap.OrtValue:
        assert isinstance(caught(session.run_with_ort_values, None, {"x": empty}), TypeError)
        assert isinstance(caught(session.io_binding().bind_ortvalue_input, "x", empty), TypeError)
        assert isinstance(caught(session.io_binding().bind_ortvalue_output, "y", empty), TypeError)
        assert isinstance(caught(ortmmap.SessionOptions().add_initializer, "w", empty), TypeError)
    with pytest.raises(ValueError, match="is made by"):
        cls(5)
    with pytest.raises(TypeError):
        cls(empty)
    assert "empty" in repr(empty._tensor if cls is ortmmap.SparseTensor else empty._ortvalue)


def test_indices_of_other_integers_are_taken_and_no_others():
    make = ortmmap.SparseTensor.sparse_coo_from_numpy
    tensor = make([3, 3], VALUES, np.array([1, 5, 6], "i4"))
    assert tensor.as_coo_view().indices().tolist() == [1, 5, 6]
    for shape, indices in (([3, 3], [1.5, 5, 6]), ([3.5, 3], [1, 5, 6]), (["3", "3"], [1, 5, 6])):
        assert isinstance(caught(make, shape, VALUES, np.array(indices)), ValueError)
