"""Columns of a batch as inputs: conversions without loss, and errors that name both."""

from decimal import Decimal

import models
import numpy as np
import pytest
from support import ortmmap_session

from ortmmap.engines.columns import described, empty_output, feed, pairs, to_column
from ortmmap.errors import InvalidArgument


def args(dtype: object, shape: list | None) -> list:
    return [described(arg) for arg in ortmmap_session(models.identity(dtype, shape)).get_inputs()]


def fed(column: object, dtype: object = "float32", shape: list | None = None) -> np.ndarray:
    found = args(dtype, shape)
    (array,) = feed({"c": column}, [("c", found[0].name)], found).values()
    return array


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("float64", "float32"),
        ("float32", "float64"),
        ("float16", "float32"),
        ("int32", "int64"),
        ("int64", "int32"),
        ("int64", "uint8"),
        ("int16", "float32"),
        ("bool", "int64"),
    ],
)
def test_numbers_become_the_inputs_type_if_nothing_is_lost(given, wanted):
    array = fed(np.array([1, 0, 1], given), wanted)
    assert array.dtype == wanted
    assert array.tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("column", "wanted"),
    [
        (np.array([300]), "uint8"),
        (np.array([-1]), "uint64"),
        (np.array([1.5]), "int64"),
        (np.array([1 << 40]), "float32"),
        (np.array(["a"]), "float32"),
        (np.array(["a"], object), "float32"),
        (np.array([2]), "bool"),
        (np.array([1.0]), object),
        (np.array([Decimal(1)], object), "float32"),
    ],
)
def test_another_type_is_an_error_that_names_column_and_input(column, wanted):
    name = args(wanted, None)[0].name
    with pytest.raises(InvalidArgument, match=rf"column 'c', input '{name}': .*preprocess"):
        fed(column, wanted)


def test_lists_of_numbers_become_one_array():
    column = np.empty(3, object)
    column[:] = [np.arange(4.0), np.arange(4.0), [0.0, 1.0, 2.0, 3.0]]
    array = fed(column, "float32", ["n", 4])
    assert array.shape == (3, 4)
    assert array.dtype == "float32"


def test_nested_lists_become_one_array():
    row = np.empty(2, object)
    row[:] = [np.arange(3), np.arange(3)]
    column = np.empty(2, object)
    column[:] = [row, row]
    assert fed(column, "int64", ["n", 2, 3]).tolist() == [[[0, 1, 2]] * 2] * 2


def test_rows_of_different_lengths_are_an_error():
    column = np.empty(2, object)
    column[:] = [np.arange(4), np.arange(5)]
    with pytest.raises(InvalidArgument, match=r"column 'c', .*\(4,\), \(5,\).*pad"):
        fed(column, "float32", ["n", 4])


@pytest.mark.parametrize("dtype", ["float32", object])
def test_a_null_is_an_error_that_names_its_row(dtype):
    with pytest.raises(InvalidArgument, match=r"column 'c', .*row 1 is null"):
        fed(np.array(["a" if dtype is object else [1.0], None], object), dtype)


def test_texts_are_passed():
    for column in (np.array(["a", "bc"]), np.array(["a", "bc"], object)):
        assert fed(column, object).tolist() == ["a", "bc"]


def test_scalars_are_rows_of_one_number():
    assert fed(np.arange(3.0), "float32", ["n", 1]).shape == (3, 1)
    assert fed(np.arange(3.0), "float32", ["n", "width"]).shape == (3, 1)


def test_another_shape_is_an_error_that_names_column_and_input():
    with pytest.raises(InvalidArgument, match=r"column 'c', input '\w+': shape \(2, 3\)"):
        fed(np.zeros((2, 3)), "float32", ["n", 4])


def test_columns_of_one_input_become_its_last_axis():
    found = args("float32", ["n", 2])
    name = found[0].name
    batch = {"a": np.array([1, 2], "i2"), "b": np.array([3.0, 4.0])}
    made = feed(batch, [("a", name), ("b", name)], found)
    assert made[name].tolist() == [[1, 3], [2, 4]]


def test_a_missing_column_is_an_error_that_lists_those_there():
    found = args("float32", ["n"])
    with pytest.raises(InvalidArgument, match=r"column 'c', input '\w+': the batch has a, b only"):
        feed({"a": 0, "b": 0}, [("c", found[0].name)], found)


def test_names_may_be_a_mapping_a_sequence_or_none():
    assert pairs({"column": "x"}, ["x", "y"], "input") == [("column", "x")]
    assert pairs({"x": "column"}, ["x", "y"], "output") == [("x", "column")]
    assert pairs(["y"], ["x", "y"], "input") == [("y", "y")]
    assert pairs(None, ["x", "y"], "output") == [("x", "x"), ("y", "y")]


@pytest.mark.parametrize("names", [{"c": "z"}, ["z"]])
def test_an_unknown_name_is_an_error_that_lists_the_models(names):
    with pytest.raises(InvalidArgument, match=r"input 'z': the model has x, y only"):
        pairs(names, ["x", "y"], "input")


def test_a_single_text_is_no_sequence_of_names():
    with pytest.raises(TypeError, match="the text 'x'"):
        pairs("x", ["x"], "input")


def test_an_output_without_a_row_for_each_of_the_batch_is_an_error():
    for value in (np.zeros((2, 2)), np.float32(1), [1, 2]):
        with pytest.raises(InvalidArgument, match=r"column 'c', output 'y': .*postprocess"):
            to_column(value, 3, "y", "c")
    assert to_column([{1: 2.0}, {1: 3.0}], 2, "y", "c").tolist() == [{1: 2.0}, {1: 3.0}]


def test_an_output_of_no_rows_has_the_declared_type_and_shape():
    found = empty_output(args("float64", ["n", 3, "width"])[0])
    assert found.shape == (0, 3, 0)
    assert found.dtype == "float64"
