"""A process that runs other people's code on ortmmap's sessions."""

from collections.abc import Callable

import numpy as np

import ortmmap


def on_ortmmap(program: Callable[[], object]) -> object:
    with ortmmap.patch_onnxruntime(threshold=0):
        return program()


def run_library(path: str) -> int:
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    assert isinstance(session, ortmmap.Session)
    outputs = session.run(None, {"x": np.ones((2, 8), np.float32)})
    return np.asarray(outputs[0]).size


def main(path: str) -> None:
    assert on_ortmmap(lambda: run_library(path)) == 8
    patch = ortmmap.patch_onnxruntime()
    patch.undo()
