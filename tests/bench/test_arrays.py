"""Arrays that are kept, sent, and compared."""

import io

import numpy as np
import pytest

from benchmarks.arrays import Difference, difference, load, to_bytes


def test_arrays_are_read_as_they_were_written():
    named = {
        "x": np.arange(6, dtype="f4").reshape(2, 3),
        "of 0": np.zeros((0, 2), "i8"),
        "words": np.array(["één", ""], object),
    }
    found = load(io.BytesIO(to_bytes(named)))
    assert found.keys() == named.keys()
    assert all(np.array_equal(found[name], one) for name, one in named.items())
    assert found["x"].dtype == np.float32
    assert found["words"].dtype == object


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ([1.0, 2.0], [1.0, 2.0], Difference(0.0, True)),
        ([1.0, 2.0], [1.0, 2.5], Difference(0.5, False)),
        ([0.0], [-0.0], Difference(0.0, False)),
        ([], [], Difference(0.0, True)),
        ([True], [False], Difference(1.0, False)),
    ],
)
def test_the_largest_difference_and_whether_bits_are_equal(one, other, expected):
    assert difference([{"y": np.array(one)}], {"y": np.array(other)}) == expected


def test_any_of_many_runs_may_differ():
    runs = [{"y": np.array([1.0])}, {"y": np.array([3.0])}]
    assert difference(runs, runs[0]) == Difference(2.0, False)
    assert str(difference(runs, runs[0])) == "2.0e+00"
    assert str(difference(runs[:1], runs[0])) == "bit-equal"


def test_strings_are_equal_or_not():
    one, other = (np.array([text], object) for text in ("a", "b"))
    assert difference([{"y": one}], {"y": one.copy()}) == Difference(0.0, True)
    assert difference([{"y": one}], {"y": other}) == Difference(float("inf"), False)


@pytest.mark.parametrize(
    "other", [{"z": np.zeros(1)}, {"y": np.zeros(2)}, {"y": np.zeros(1, "f4")}]
)
def test_outputs_of_other_names_shapes_and_dtypes_are_refused(other):
    with pytest.raises(ValueError, match="other names, shapes or dtypes"):
        difference([{"y": np.zeros(1)}], other)
