"""onnxruntime's verdicts on a model file, and on the skeleton of the file."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import SparseTensor

from ortmmap import errors
from ortmmap.model.skeleton import Skeleton, scan

FOLDER = "session.model_external_initializers_file_folder_path"
LEVELS = [
    onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
]


@dataclass(frozen=True)
class Verdict:
    """Outputs and overridable initializers of a session, or the error of one that was refused."""

    refused: bool
    outputs: object = None
    overridable: tuple[str, ...] = ()
    error: Exception | None = field(default=None, compare=False)


def verdict(
    model: bytes | Path,
    feeds: dict[str, np.ndarray],
    level: onnxruntime.GraphOptimizationLevel = LEVELS[1],
    folder: Path | None = None,
) -> Verdict:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = level
    if folder is not None:
        options.add_session_config_entry(FOLDER, os.fspath(folder))
    try:
        session = onnxruntime.InferenceSession(
            model, options, ["CPUExecutionProvider"], enable_fallback=0
        )
        outputs = session.run(None, feeds)
    except Exception as error:
        return Verdict(True, error=error)
    names = tuple(arg.name for arg in session.get_overridable_initializers())
    return Verdict(False, dump(outputs), names)


def dump(output: object) -> object:
    if isinstance(output, np.ndarray):
        content = output.tolist() if output.dtype == object else output.tobytes()
        return output.dtype.str, output.shape, content
    if isinstance(output, SparseTensor):
        return output.dense_shape(), dump(output.values())
    return [dump(item) for item in output] if isinstance(output, list) else output


def scan_file(path: Path, threshold: int = 64) -> Skeleton:
    """Scan a file by its resolved name, as a session does."""
    return scan(path.read_bytes(), os.fsencode(path.resolve().name), os.fspath(path), threshold)


def skeleton_verdict(
    path: Path,
    feeds: dict[str, np.ndarray],
    level: onnxruntime.GraphOptimizationLevel = LEVELS[1],
    threshold: int = 64,
) -> Verdict:
    try:
        skeleton = scan_file(path, threshold)
    except errors.OrtError as error:
        return Verdict(True, error=error)
    if skeleton.model is None:
        return verdict(path, feeds, level)
    return verdict(skeleton.model, feeds, level, path.resolve().parent)
