"""What is installed: Python, numpy, ortmmap's native modules, ONNX Runtime; and the settings."""

from __future__ import annotations

import os
import sys
from importlib import import_module

from ortmmap.doctor.finding import FAILURE, NOTE, OK, WARNING, Finding

__all__ = ["CHECKS"]

PREFIX = "ORTMMAP_"
VARIABLES = frozenset(
    {
        *("ORTMMAP_CACHE", "ORTMMAP_CACHE_DIR", "ORTMMAP_CACHE_EXIT_WAIT", "ORTMMAP_CACHE_LIMIT"),
        *("ORTMMAP_CACHE_WAIT", "ORTMMAP_FORK", "ORTMMAP_ONNXRUNTIME", "ORTMMAP_PATCH_THRESHOLD"),
        *("ORTMMAP_QUOTA", "ORTMMAP_SYSTEM_CACHE"),
    }
)
PACKAGES = (
    *("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino"),
    *("onnxruntime-rocm", "onnxruntime-qnn", "onnxruntime-migraphx"),
)


def python() -> Finding:
    """Describe the interpreter and the platform."""
    import platform

    version = f"{platform.python_implementation()} {platform.python_version()}"
    text = f"{version} at {sys.executable}, {platform.platform()}"
    if sys.platform == "win32":
        return Finding(NOTE, f"{text}; prepacked weights are not shared on Windows")
    return Finding(OK, text)


def numpy() -> Finding:
    """Check that numpy can be imported, which every session needs."""
    try:
        import numpy as found
    except ImportError as error:
        return Finding(FAILURE, f"numpy cannot be imported: {error}", "pip install numpy")
    return Finding(OK, found.__version__)


def ortmmap() -> Finding:
    """Check that the native modules can be loaded."""
    from ortmmap import __version__

    folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    text = f"{__version__} in {folder}"
    try:
        import_module("ortmmap._core")
    except ImportError as error:
        remedy = "install ortmmap for this Python; in a source tree: pip install --editable ."
        return Finding(FAILURE, f"{text}; its native modules cannot be loaded: {error}", remedy)
    return Finding(OK, text)


def onnxruntime() -> Finding:
    """List the installed packages that bring ONNX Runtime's library; there should be one."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    text = ", ".join(f"{name} {number}" for name, number in found.items())
    if len(found) > 1:
        remedy = "uninstall all of them, then install one: they overwrite each other's files"
        return Finding(WARNING, text, remedy)
    return Finding(OK if found else NOTE, text or "no package of that name is installed")


def library() -> Finding:
    """Check that ONNX Runtime's library is found, can be loaded, and is new enough."""
    try:
        from ortmmap.errors import LibraryError
        from ortmmap.runtime.library import find_library, get_build_info, get_version_string
    except ImportError as error:
        return Finding(FAILURE, f"not examined: {error}", "see above")
    try:
        path = find_library()
        version = get_version_string()
    except LibraryError as error:
        text, _, remedy = str(error).partition("; ")
        return Finding(FAILURE, text, remedy or None)
    return Finding(OK, f"{version} at {path} ({get_build_info()})")


def variables() -> Finding | None:
    """List the environment variables that are set for ortmmap, and find unknown ones."""
    names = sorted(name for name in os.environ if name.startswith(PREFIX))
    unknown = [name for name in names if name not in VARIABLES]
    if unknown:
        known = ", ".join(sorted(VARIABLES))
        return Finding(NOTE, f"unknown: {', '.join(unknown)}", f"the known ones are {known}")
    settings = ", ".join(f"{name}={os.environ[name]}" for name in names)
    return Finding(OK, settings) if names else None


CHECKS = (
    ("Python", python),
    ("numpy", numpy),
    ("ortmmap", ortmmap),
    ("onnxruntime", onnxruntime),
    ("library", library),
    ("environment", variables),
)
