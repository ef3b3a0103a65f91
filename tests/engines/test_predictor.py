"""Predictor: a session with columns, in a process of its own or in any engine's."""

import os
import pickle

import models
import numpy as np
import pytest
from support import configured, onnxruntime_session

import ortmmap
from ortmmap.engines import Predictor
from ortmmap.errors import InvalidArgument, ModelChangedError


@pytest.fixture
def path(tmp_path):
    """A model with input h0 of shape (batch, 64)."""
    path = tmp_path / "model.onnx"
    path.write_bytes(models.weights(2, 64))
    return path


@pytest.fixture
def batch():
    return {"id": np.arange(5), "v": np.random.default_rng(0).standard_normal((5, 64))}


def expected(path, batch):
    return onnxruntime_session(path).run(None, {"h0": batch["v"].astype("f4")})[0]


def test_outputs_are_added_to_the_columns(path, batch):
    made = Predictor(path, inputs={"v": "h0"}, outputs={"h2": "y"}, threads=1)(batch)
    assert list(made) == ["id", "v", "y"]
    np.testing.assert_array_equal(made["y"], expected(path, batch))
    assert made["id"] is batch["id"]


@pytest.mark.parametrize(("keep", "names"), [(False, ["h2"]), (["id"], ["id", "h2"])])
def test_columns_that_are_not_kept_are_left_out(path, batch, keep, names):
    assert list(Predictor(path, inputs={"v": "h0"}, keep=keep)(batch)) == names


def test_columns_pass_through_preprocess_and_postprocess(path, batch):
    predictor = Predictor(
        path,
        keep=["id"],
        preprocess=lambda batch: {"h0": batch["v"] * 2},
        postprocess=lambda made: {"best": made["h2"].argmax(1)},
    )
    made = predictor(batch)
    doubled = {"v": batch["v"] * 2}
    np.testing.assert_array_equal(made["best"], expected(path, doubled).argmax(1))
    assert list(batch) == ["id", "v"]


def test_a_batch_without_rows_has_columns_of_the_declared_type(path):
    made = Predictor(path, inputs={"v": "h0"}, preprocess=lambda _: pytest.fail("called"))(
        {"id": np.empty(0, int), "v": np.empty(0)}
    )
    assert made["h2"].shape == (0, 64)
    assert made["h2"].dtype == "float32"
    assert Predictor(path, inputs={"v": "h0"})({})["h2"].shape == (0, 64)


def test_names_that_the_model_lacks_are_an_error_when_it_is_opened(path):
    with pytest.raises(InvalidArgument, match="column 'v', input 'z': the model has h0 only"):
        Predictor(path, inputs={"v": "z"})
    with pytest.raises(InvalidArgument, match="column 'y', output 'z': the model has h2 only"):
        Predictor(path, outputs={"z": "y"})


def test_a_batch_that_is_no_dict_is_an_error(path):
    with pytest.raises(TypeError, match="batch_format='numpy'"):
        Predictor(path)([1, 2])


def test_options_come_before_threads_and_stay_as_they_are(path):
    options = configured(ortmmap.SessionOptions(), intra_op_num_threads=2)
    session = Predictor(path, options=options, threads=3).session
    assert session.get_session_options().intra_op_num_threads == 2
    options = configured(ortmmap.SessionOptions(), intra_op_num_threads=0)
    session = Predictor(path, options=options, threads=3).session
    assert session.get_session_options().intra_op_num_threads == 3
    assert options.intra_op_num_threads == 0


def test_a_model_that_is_replaced_does_no_harm(path, batch, tmp_path):
    predictor = Predictor(path, inputs={"v": "h0"})
    before = predictor(batch)["h2"]
    (tmp_path / "new").write_bytes(models.weights(1, 64))
    (tmp_path / "new").replace(path)
    np.testing.assert_array_equal(predictor(batch)["h2"], before)


def test_a_model_that_is_written_to_is_an_error(path, batch):
    predictor = Predictor(path, inputs={"v": "h0"})
    content = path.read_bytes()
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(1, 1))
    with pytest.raises(ModelChangedError, match="was written to"):
        predictor(batch)


def test_a_predictor_can_be_pickled(path, batch):
    predictor = Predictor(path, inputs={"v": "h0"}, threads=1)
    again = pickle.loads(pickle.dumps(predictor))
    np.testing.assert_array_equal(again(batch)["h2"], predictor(batch)["h2"])
