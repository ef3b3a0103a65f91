"""A batch job: arrays in, labels and probabilities out, models of several kinds."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

import ortmmap

Matrix = npt.NDArray[np.float32]


class Scorer(Protocol):
    def score(self, batch: Matrix) -> Matrix: ...


class OnnxScorer:
    def __init__(self, path: Path, *, threads: int = 1) -> None:
        options = ortmmap.SessionOptions()
        options.intra_op_num_threads = threads
        options.graph_optimization_level = ortmmap.GraphOptimizationLevel.ORT_ENABLE_ALL
        self.session = ortmmap.InferenceSession(
            path, sess_options=options, providers=["CPUExecutionProvider"], cache=False
        )
        self.input_name = self.session.get_inputs()[0].name
        self.output_names = [output.name for output in self.session.get_outputs()]

    def score(self, batch: Matrix) -> Matrix:
        return self.session.run(self.output_names, {self.input_name: batch})[0]

    def best(self, batch: Matrix) -> npt.NDArray[np.intp]:
        scores: Matrix = self.session.run(None, {self.input_name: batch})[0]
        best: npt.NDArray[np.intp] = np.argmax(scores, axis=1)
        return best


def batches(rows: Matrix, size: int) -> Iterator[Matrix]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def score_all(scorer: Scorer, rows: Iterable[Matrix]) -> Matrix:
    return np.concatenate([scorer.score(batch) for batch in rows])


def probabilities(classifier: bytes, rows: Matrix) -> list[dict[str, float]]:
    """Run a model whose output is a sequence of maps, as those of scikit-learn's classifiers."""
    session = ortmmap.Session(classifier)
    outputs = session.run(None, {session.get_inputs()[0].name: rows})
    return [{str(label): float(value) for label, value in row.items()} for row in outputs[0]]


def main(path: str, classifier: bytes) -> None:
    scorer = OnnxScorer(Path(path))
    rows = np.linspace(-1, 1, 80, dtype=np.float32).reshape(10, 8)
    assert scorer.session.run(None, {scorer.input_name: rows})[0].shape[0] == len(rows)
    scores = score_all(scorer, batches(rows, 4))
    assert scores.shape == (10, 4)
    assert scorer.best(rows).tolist() == scores.argmax(axis=1).tolist()
    found = probabilities(classifier, np.array([[0.25, 0.5, 0.0]], np.float32))
    assert max(found[0], key=lambda label: found[0][label]) == list(found[0])[1]
