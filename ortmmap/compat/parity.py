"""Names that exist because onnxruntime has them: functions without effect here, package data.

`SessionIOBinding` has the arguments of the class of that name in onnxruntime's C++ part. `version`,
`package_name` and `cuda_version` describe the onnxruntime wheel whose library is in use.
"""

import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from typing import Any

from ortmmap.runtime.library import get_library_path, get_version_string
from ortmmap.session.binding import IOBinding
from ortmmap.values.ort_value_vector import OrtValueVector

__all__ = [
    "SessionIOBinding",
    "cuda_version",
    "package_name",
    "preload_dlls",
    "print_debug_info",
    "set_default_logger_verbosity",
    "set_seed",
    "version",
]

BUILD_INFO = "build_and_package_info.py"  # onnxruntime's wheels have it beside the library

package_name: str
version: str
cuda_version: str


def __getattr__(name: str) -> str:
    if name not in ("package_name", "version", "cuda_version"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _package()[name]


def _package() -> dict[str, str]:
    """Return the name, the version and the CUDA version of the wheel that has the library."""
    path = os.path.join(os.path.dirname(get_library_path()), BUILD_INFO)
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except OSError:  # the library stands alone
        lines = []
    assignments = [line.partition("=") for line in lines if "=" in line]
    found = {name.strip(): value.strip().strip("'\"") for name, _, value in assignments}
    return {
        "package_name": found.get("package_name", "onnxruntime"),
        "version": found.get("__version__") or get_version_string(),
        "cuda_version": found.get("cuda_version", ""),
    }


def preload_dlls(
    cuda: bool = True,
    cudnn: bool = True,
    msvc: bool = True,  # noqa: ARG001 - Windows loads these runtime libraries by itself
    directory: str | None = None,
) -> None:
    """Do nothing: ONNX Runtime for the CPU needs no libraries loaded in advance.

    Parameters
    ----------
    cuda, cudnn, msvc : bool, default True
        The libraries to load.
    directory : str, optional
        The folder to load them from, relative to the package onnxruntime.

    Raises
    ------
    RuntimeError
        If neither CUDA nor cuDNN is asked for and `directory` does not exist.
    NotImplementedError
        If ONNX Runtime was built for CUDA.
    """
    package = _package()
    if package["cuda_version"] and (cuda or cudnn):
        raise NotImplementedError(
            f"{package['package_name']} was built for CUDA {package['cuda_version']}, whose "
            "libraries ortmmap does not load: import torch before, or set LD_LIBRARY_PATH"
        )
    if cuda or cudnn or not directory:
        return
    root = os.path.dirname(os.path.dirname(get_library_path()))
    if not os.path.isdir(os.path.join(root, directory)):
        raise RuntimeError(
            f"Invalid parameter of directory={directory}. The directory does not exist!"
        )


def print_debug_info() -> None:
    """Print the platform, and the packages and the library in use."""
    package = _package()
    name = package["package_name"]
    print(f"{name} version: {package['version']}")
    if package["cuda_version"]:
        print(f"CUDA version used in build: {package['cuda_version']}")
    print("platform:", platform.platform())
    print("\nPython package, version and location:")
    print(f"{name}=={_installed(name)} at {get_library_path()}")
    print(f"ortmmap=={_installed('ortmmap')} at {os.path.dirname(os.path.dirname(__file__))}")
    print("\nEnvironment variable:")
    for variable in ("LD_LIBRARY_PATH", "ORTMMAP_ONNXRUNTIME"):
        print(f"{variable}={os.environ.get(variable, '(unset)')}")


def _installed(name: str) -> str:
    try:
        return installed_version(name)
    except PackageNotFoundError:
        return "(not installed)"


def set_default_logger_verbosity(level: int) -> None:
    """Do nothing if `level` is 0, the default, which cannot be changed.

    Raises
    ------
    NotImplementedError
        If `level` is another number. `SessionOptions.log_verbosity_level` sets a session's own.
    """
    if level != 0:
        raise NotImplementedError(
            "ONNX Runtime's C API cannot set the default logger's verbosity: "
            "set SessionOptions.log_verbosity_level"
        )


def set_seed(seed: int) -> None:
    """Raise: operators such as RandomNormal are seeded by their attribute ``seed`` only.

    Raises
    ------
    NotImplementedError
    """
    raise NotImplementedError(
        f"ONNX Runtime's C API cannot set the seed ({seed}) of random operators: "
        "set the attribute `seed` of the operators in the model"
    )


class SessionIOBinding(IOBinding):
    """An `IOBinding` with the arguments of ``onnxruntime.SessionIOBinding``.

    Parameters
    ----------
    session : Session
        Also taken: its ``_sess``, which is the session itself.
    """

    __slots__ = ()

    def bind_input(self, name: str, *value: Any) -> None:
        """Bind an input to an array or to an address.

        Parameters
        ----------
        name : str
        *value
            An array; or an `OrtDevice`, the type of the elements, a shape and an address.
        """
        if len(value) == 1:
            super().bind_cpu_input(name, value[0])
            return
        device, element_type, shape, address = _memory(value)
        super().bind_input(name, device, 0, element_type, shape, address)

    # onnxruntime's two classes differ in the arguments of this method.
    def bind_output(self, name: str, device: Any, *memory: Any) -> None:  # type: ignore[override]
        """Bind an output to memory that the first run allocates, or to an address.

        Parameters
        ----------
        name : str
        device : OrtDevice
        *memory
            Nothing; or the type of the elements, a shape and an address.
        """
        if not memory:
            super().bind_output(name, device)
            return
        _, element_type, shape, address = _memory((device, *memory))
        super().bind_output(name, device, 0, element_type, shape, address)

    def get_outputs(self) -> OrtValueVector:
        """Return the outputs of the last run, in the order of binding."""
        return self.get_outputs_as_ortvaluevector()


def _memory(arguments: Sequence[Any]) -> Sequence[Any]:
    if len(arguments) != 4:
        raise TypeError(
            "memory is bound by its device, the type of its elements, its shape and its address, "
            f"not by {arguments!r}"
        )
    return arguments
