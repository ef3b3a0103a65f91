"""The property fuzzed: a session of the skeleton equals one of the file, or both are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_zoo
from onnx_verdict import skeleton_verdict, verdict

FEEDS = {"x": onnx_zoo.x_value()}
THRESHOLD = 64


class MismatchError(AssertionError):
    """The skeleton's session differs from the file's."""


def corpus() -> list[bytes]:
    """Return the models that the tests use."""
    cases = [build() for build in onnx_zoo.CASES.values()]
    cases += [onnx_zoo.of_type(data_type) for data_type in onnx_zoo.DATA_TYPES]
    return [case.content for case in cases]


def check_original(path: Path) -> None:
    verdict(path, FEEDS)


def check(path: Path) -> bool:
    """Compare onnxruntime's verdicts; return whether the file was accepted."""
    with np.errstate(all="ignore"):
        expected = verdict(path, FEEDS)
        found = skeleton_verdict(path, FEEDS, threshold=THRESHOLD)
    if found != expected:
        raise MismatchError(f"onnxruntime: {expected}\nskeleton: {found}")
    return not expected.refused
