"""What is installed: Python, numpy, ortmmap's native modules, ONNX Runtime; and the settings."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module

from ortmmap.cache import SWITCHES
from ortmmap.doctor.finding import FAILURE, NOTE, OK, WARNING, Finding

__all__ = ["CHECKS"]

PREFIX = "ORTMMAP_"
VARIABLES = frozenset(
    {
        *("ORTMMAP_CACHE", "ORTMMAP_CACHE_DIR", "ORTMMAP_CACHE_EXIT_WAIT", "ORTMMAP_CACHE_LIMIT"),
        *("ORTMMAP_CACHE_WAIT", "ORTMMAP_FORK", "ORTMMAP_ONNXRUNTIME", "ORTMMAP_PATCH_THRESHOLD"),
        *("ORTMMAP_QUOTA", "ORTMMAP_STANDINS", "ORTMMAP_SYSTEM_CACHE"),
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


def _is_seconds(text: str) -> bool:
    try:
        return float(text) >= 0
    except ValueError:
        return False


def _is_switch(text: str) -> bool:
    return text.lower() in SWITCHES


# Of variables whose values no other check examines: which are right, and what others mean.
VALUES: dict[str, tuple[Callable[[str], bool], str]] = {
    "ORTMMAP_CACHE_EXIT_WAIT": (_is_seconds, "is not a number of seconds; the default is used"),
    "ORTMMAP_CACHE_WAIT": (_is_seconds, "is not a number of seconds; the default is used"),
    "ORTMMAP_FORK": (lambda text: text == "reopen", "has no effect; the only value is reopen"),
    "ORTMMAP_PATCH_THRESHOLD": (str.isdecimal, "is not a number of bytes; patching fails"),
    "ORTMMAP_QUOTA": (_is_switch, "is neither 0 nor 1; 1 is used"),
    "ORTMMAP_STANDINS": (lambda text: text in ("0", "1"), "is neither 0 nor 1; 1 is used"),
}


def variables() -> Finding | None:
    """List the environment variables that are set for ortmmap; find wrong and unknown ones."""
    names = sorted(name for name in os.environ if name.startswith(PREFIX))
    for name in filter(VALUES.__contains__, names):
        is_right, meaning = VALUES[name]
        text = os.environ[name].strip()
        if text and not is_right(text):
            return Finding(WARNING, f"{name}: {text!r} {meaning}", f"unset {name}")
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
