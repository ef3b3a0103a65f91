"""Session options that a model has in its metadata, for ``ORT_LOAD_CONFIG_FROM_MODEL=1``.

ONNX Runtime reads them itself. They replace all options of the session, those that the model does
not name by the defaults, so the weights of the model are copied. This module reads them too, so
that `Session` reports them.
"""

import json
import mmap
import os
from typing import Any

from ortmmap.errors import OrtError
from ortmmap.model.wire import fields
from ortmmap.options import ExecutionMode, GraphOptimizationLevel, SessionOptions

__all__ = ["options_from_model"]

KEY = "ort_config"
SECTION = "session_options"
METADATA = 14  # of ModelProto; an entry has the fields 1, its key, and 2, its value

VALUES = {
    "enable_profiling": (0, 1),
    "execution_mode": tuple(ExecutionMode),
    "graph_optimization_level": tuple(GraphOptimizationLevel),
}
COUNTS = ("inter_op_num_threads", "intra_op_num_threads")


def options_from_model(source: Any, options: SessionOptions) -> SessionOptions:
    """Return the options that ONNX Runtime opens a model with.

    Parameters
    ----------
    source : str, os.PathLike or buffer
        The model, in ONNX format.
    options : SessionOptions
        Returned for a model that is not in ONNX format, or that ONNX Runtime refuses.
    """
    try:
        text = _metadata(source).get(KEY.encode())
        return _options_of({} if text is None else json.loads(text))
    except (OrtError, OSError, TypeError, ValueError):
        return options  # the session's creation raises


def _options_of(settings: Any) -> SessionOptions:
    """Return default options with the settings; raise ValueError if one is invalid."""
    options = SessionOptions()
    section = settings.get(SECTION) if isinstance(settings, dict) else None
    for name, value in (section if isinstance(section, dict) else {}).items():
        if name not in VALUES and name not in COUNTS:
            continue
        if type(value) is not int or value not in VALUES.get(name, (value,)):
            raise ValueError(f"{name} = {value!r}")
        setattr(options, name, value)
    return options


def _metadata(source: Any) -> dict[bytes, bytes]:
    """Read the metadata of a model in ONNX format."""
    if not isinstance(source, (str, os.PathLike)):
        return _entries(memoryview(source).cast("B"))
    with (
        open(source, "rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        memoryview(data) as view,
    ):
        return _entries(view)


def _entries(data: memoryview) -> dict[bytes, bytes]:
    entries = {}
    for entry in fields(data):
        if entry.number == METADATA:
            pair = {
                each.number: bytes(data[each.start : each.stop])
                for each in fields(data, entry.start, entry.stop)
            }
            entries[pair.get(1, b"")] = pair.get(2, b"")
    return entries
