"""What is installed: onnxruntime's names for its package, and functions that look at it.

Importing this opens the library; whether it was built for CUDA is written beside it.
"""

import os
import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version

from ortmmap.runtime.library import get_library_path, get_version_string

__all__ = ["cuda_version", "package_name", "preload_dlls", "print_debug_info", "version"]

WHAT_IS_BUILT = "build_and_package_info.py"  # onnxruntime's wheels have it beside the library


def _read_build_info() -> dict[str, str]:
    """Read the assignments of texts beside the library; nothing, where it lies alone."""
    path = os.path.join(os.path.dirname(get_library_path()), WHAT_IS_BUILT)
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except OSError:
        return {}
    assignments = [line.partition("=") for line in lines if "=" in line]
    return {name.strip(): value.strip().strip("'\"") for name, _, value in assignments}


_built = _read_build_info()
package_name = _built.get("package_name", "onnxruntime")
version = _built.get("__version__", get_version_string())
cuda_version = _built.get("cuda_version", "")


def preload_dlls(
    cuda: bool = True,
    cudnn: bool = True,
    msvc: bool = True,  # noqa: ARG001 - Windows', which onnxruntime's wheels need by themselves
    directory: str | None = None,
) -> None:
    """Do nothing: ONNX Runtime for the CPU has no libraries to load before it.

    Parameters
    ----------
    cuda, cudnn, msvc : bool, default True
        Which libraries.
    directory : str, optional
        Where they lie; relative to the package onnxruntime.

    Raises
    ------
    RuntimeError
        Where there is no such folder, and neither CUDA nor cuDNN is asked for.
    NotImplementedError
        Where ONNX Runtime was built for CUDA.
    """
    if cuda_version and (cuda or cudnn):
        raise NotImplementedError(
            f"{package_name} was built for CUDA {cuda_version}, whose libraries ortmmap does not "
            "load: import torch before, or set LD_LIBRARY_PATH"
        )
    if cuda or cudnn or not directory:
        return
    package = os.path.dirname(os.path.dirname(get_library_path()))
    if not os.path.isdir(os.path.join(package, directory)):
        raise RuntimeError(
            f"Invalid parameter of directory={directory}. The directory does not exist!"
        )


def print_debug_info() -> None:
    """Print which packages and which library are in use, and on what."""
    print(f"{package_name} version: {version}")
    if cuda_version:
        print(f"CUDA version used in build: {cuda_version}")
    print("platform:", platform.platform())
    print("\nPython package, version and location:")
    for name, place in ((package_name, get_library_path()), ("ortmmap", os.path.dirname(__file__))):
        print(f"{name}=={_installed(name)} at {place}")
    print("\nEnvironment variable:")
    for name in ("LD_LIBRARY_PATH", "ORTMMAP_ONNXRUNTIME"):
        print(f"{name}={os.environ.get(name, '(unset)')}")


def _installed(name: str) -> str:
    try:
        return installed_version(name)
    except PackageNotFoundError:
        return "(not installed)"
