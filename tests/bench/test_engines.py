"""What the copies of a batch engine's job compute, and the figures of a job, without an engine."""

import os
from pathlib import Path

import numpy as np
import pytest
from support import onnxruntime_session

from benchmarks import arrays
from benchmarks.engines import scorer
from benchmarks.worker import Task
from ortmmap.engines import Predictor


@pytest.fixture
def task(tmp_path, onnx_file) -> Task:
    """A task whose memory was sampled already, so that no copy waits."""
    paths = {name: str(tmp_path / name) for name in ("cache", "feeds", "outputs.npz")}
    outputs = paths.pop("outputs.npz")
    made = Task("ort", {}, 1, str(onnx_file), **paths, outputs=outputs, started=0, seconds=0)
    scorer.sampled_mark(made).touch()
    return made


def ours(task: Task, shapes: scorer.Shapes) -> Predictor:
    return Predictor(task.model, keep=False, **scorer.our_settings(task, shapes))


@pytest.mark.parametrize("copy", [scorer.Scorer, ours])
def test_a_copy_says_who_computed_each_row_and_saves_the_outputs_of_the_first(
    copy, task, onnx_file
):
    session = onnxruntime_session(onnx_file)
    (arg,) = session.get_inputs()
    width = arg.shape[-1]
    rows = np.random.default_rng(0).standard_normal((3, width), "f4")
    batch = {arg.name: list(rows), "row": np.array([5, 0, 7])}
    made = copy(task, {arg.name: (width,)})(batch)
    assert made["copy"].tolist() == [os.getpid()] * 3
    assert (made["done"] > 0).all()
    assert scorer.computed(task) == [os.getpid()]
    found = arrays.load(Path(task.outputs))
    (expected,) = session.run(None, {arg.name: rows[1:2]})
    np.testing.assert_allclose(*found.values(), expected, rtol=1e-6)


def test_rows_are_counted_from_when_all_copies_have_computed():
    pytest.importorskip("pandas", reason="pandas is not installed")
    from benchmarks.engines.job import figures

    made = {"copy": np.array([1, 1, 2, 2, 1]), "done": np.array([1.0, 3.0, 2.0, 4.0, 5.0])}
    found = figures({**made, "started": 0.5}, 7)
    assert found == {"per_second": 1.0, "first_ms": 1500.0, "pss": 7}
    with pytest.raises(ValueError, match="try more --rows"):
        figures({"copy": np.array([1, 2]), "done": np.array([1.0, 2.0]), "started": 0}, 7)
