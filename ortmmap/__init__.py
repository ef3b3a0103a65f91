"""ONNX Runtime sessions that map the model file instead of reading it."""

import os as _os

from ortmmap._core import Session
from ortmmap._mapping import Mapping
from ortmmap._metadata import ModelMetadata, NodeArg
from ortmmap._options import RunOptions
from ortmmap._runtime import (
    get_available_providers,
    get_build_info,
    get_library_path,
    get_version_string,
)
from ortmmap.convert import convert
from ortmmap.options import ExecutionMode, ExecutionOrder, GraphOptimizationLevel, SessionOptions

InferenceSession = Session

__version__ = "0.1.0"
__all__ = [
    "ExecutionMode",
    "ExecutionOrder",
    "GraphOptimizationLevel",
    "InferenceSession",
    "Mapping",
    "ModelMetadata",
    "NodeArg",
    "RunOptions",
    "Session",
    "SessionOptions",
    "convert",
    "get_available_providers",
    "get_build_info",
    "get_include",
    "get_library_path",
    "get_version_string",
]


def get_include() -> str:
    """Return the folder to give a C compiler for ``#include <ortmmap/...>``."""
    package = _os.path.dirname(_os.path.abspath(__file__))
    installed = _os.path.join(package, "include")
    if _os.path.isdir(installed):
        return installed
    return _os.path.join(_os.path.dirname(package), "include")  # an editable install
