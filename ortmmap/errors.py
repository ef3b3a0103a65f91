"""Exceptions: ONNX Runtime's error codes by onnxruntime's class names, and the mapping's own.

The classes that carry a code bear the names of ``onnxruntime.capi.onnxruntime_pybind11_state``
and word their text the same way, so that code which reads either keeps working.
"""

import errno
import os
import sys
from _thread import RLock  # threading would be imported for this alone

__all__ = [
    "EPFail",
    "EngineError",
    "Fail",
    "InvalidArgument",
    "InvalidGraph",
    "InvalidProtobuf",
    "LibraryError",
    "MappingError",
    "MappingPermissionError",
    "ModelChangedError",
    "ModelLoadCanceled",
    "ModelLoaded",
    "ModelRequiresCompilation",
    "NoModel",
    "NoSuchFile",
    "NotFound",
    "NotImplemented",
    "OrtError",
    "RuntimeException",
]


ONNXRUNTIME = "onnxruntime.capi.onnxruntime_pybind11_state"  # the module of its exceptions

# Guards the bases of the classes: of two threads that add the same one, the second would fail.
_joining = RLock()  # one that the garbage collector may take again
if hasattr(os, "register_at_fork"):  # no child is forked while another thread holds it
    os.register_at_fork(
        before=_joining.acquire,
        after_in_parent=_joining.release,
        after_in_child=_joining.release,
    )


def _join_theirs() -> None:
    """Derive each class from onnxruntime's of its name too, once that is imported.

    Then ``except`` with either class catches it, whichever package was imported first.
    """
    theirs = sys.modules.get(ONNXRUNTIME)
    if theirs is None:
        return
    with _joining:
        for cls in BY_CODE.values():
            base = getattr(theirs, cls.__name__, None)
            if base is not None and not issubclass(cls, base):
                cls.__bases__ += (base,)


class OrtError(RuntimeError):
    """Base of every exception that this package raises of its own.

    Where onnxruntime is imported too, ``except`` with its class of the same name catches it.

    Attributes
    ----------
    code : int or None
        ONNX Runtime's ``OrtErrorCode``; None where the error is not ONNX Runtime's.
    code_name : str or None
        The code's name in onnxruntime's texts, such as ``INVALID_ARGUMENT``.
    path : str or None
        The model file that the error is about, where there is one.
    provider : str or None
        The execution provider that could not be added, where that is the error.
    """

    code: int | None = None
    code_name: str | None = None
    path: str | None = None
    provider: str | None = None

    def __new__(cls, *args: object, **kwargs: object) -> "OrtError":
        """Make an exception that is caught as onnxruntime's of that name too."""
        _join_theirs()
        make = OSError.__new__ if issubclass(cls, OSError) else RuntimeError.__new__
        return make(cls, *args, **kwargs)

    def __reduce__(self) -> tuple:
        state = dict(self.__dict__)
        if isinstance(self, OSError):
            state.update(errno=self.errno, strerror=self.strerror, filename=self.filename)
        return type(self), self.args, state

    def __str__(self) -> str:  # OSError's own would say errno and file name only
        return str(self.args[0]) if self.args else ""

    @property
    def message(self) -> str:
        """The text without the prefix that names the code."""
        return str(self).removeprefix(f"[ONNXRuntimeError] : {self.code} : {self.code_name} : ")


class Fail(OrtError):
    """ORT_FAIL: whatever has no code of its own."""

    code, code_name = 1, "FAIL"


class InvalidArgument(OrtError, ValueError):
    """ORT_INVALID_ARGUMENT: a name, a type or a shape that the model does not have."""

    code, code_name = 2, "INVALID_ARGUMENT"


class NoSuchFile(OrtError, FileNotFoundError):
    """ORT_NO_SUCHFILE: the model file is not there."""

    code, code_name = 3, "NO_SUCHFILE"


class NoModel(OrtError):
    """ORT_NO_MODEL."""

    code, code_name = 4, "NO_MODEL"


class EngineError(OrtError):
    """ORT_ENGINE_ERROR."""

    code, code_name = 5, "ENGINE_ERROR"


class RuntimeException(OrtError):
    """ORT_RUNTIME_EXCEPTION: a kernel or the allocator threw."""

    code, code_name = 6, "RUNTIME_EXCEPTION"


class InvalidProtobuf(OrtError):
    """ORT_INVALID_PROTOBUF: the bytes are not an ONNX model."""

    code, code_name = 7, "INVALID_PROTOBUF"


class ModelLoaded(OrtError):
    """ORT_MODEL_LOADED."""

    code, code_name = 8, "MODEL_LOADED"


class NotImplemented(OrtError, NotImplementedError):  # noqa: A001 - onnxruntime's name
    """ORT_NOT_IMPLEMENTED: no kernel, or no support in this build, for what was asked."""

    code, code_name = 9, "NOT_IMPLEMENTED"


class InvalidGraph(OrtError):
    """ORT_INVALID_GRAPH: the model contradicts the ONNX standard."""

    code, code_name = 10, "INVALID_GRAPH"


class EPFail(OrtError):
    """ORT_EP_FAIL: an execution provider failed."""

    code, code_name = 11, "EP_FAIL"


class ModelLoadCanceled(OrtError):
    """ORT_MODEL_LOAD_CANCELED."""

    code, code_name = 12, "MODEL_LOAD_CANCELED"


class ModelRequiresCompilation(OrtError):
    """ORT_MODEL_REQUIRES_COMPILATION."""

    code, code_name = 13, "MODEL_REQUIRES_COMPILATION"


class NotFound(OrtError):
    """ORT_NOT_FOUND."""

    code, code_name = 14, "NOT_FOUND"


class MappingError(Fail, OSError):
    """A file cannot be mapped: what it is, or what the system said."""


class MappingPermissionError(MappingError, PermissionError):
    """A file cannot be mapped for want of permission."""


class ModelChangedError(MappingError):
    """The model file is no longer the one that was opened."""


class LibraryError(OrtError, ImportError):
    """ONNX Runtime's shared library is missing, too old, or not one."""


BY_CODE = {
    cls.code: cls
    for cls in (
        Fail,
        InvalidArgument,
        NoSuchFile,
        NoModel,
        EngineError,
        RuntimeException,
        InvalidProtobuf,
        ModelLoaded,
        NotImplemented,
        InvalidGraph,
        EPFail,
        ModelLoadCanceled,
        ModelRequiresCompilation,
        NotFound,
    )
}

BY_ERRNO: dict[int, type[NoSuchFile] | type[MappingError]] = {
    errno.ENOENT: NoSuchFile,
    errno.ENOTDIR: NoSuchFile,
    errno.EACCES: MappingPermissionError,
    errno.EPERM: MappingPermissionError,
}


def from_status(code: int, message: str, path: str | None = None) -> OrtError:
    """Make the exception for an ONNX Runtime status, worded as onnxruntime words it."""
    cls = BY_CODE.get(code, Fail)
    if path is not None and path not in message:
        message = f"{message} (model: {path})"
    error = cls(f"[ONNXRuntimeError] : {code} : {cls.code_name} : {message}")
    error.code = code
    error.path = path
    return error


def file_error(
    cls: type[NoSuchFile] | type[MappingError], reason: str, path: str, number: int | None = None
) -> NoSuchFile | MappingError:
    """Make the error of a file: its text names the file, its attributes are those of OSError."""
    error = cls(f"{path}: {reason}")
    error.errno = number
    error.strerror = reason
    error.filename = error.path = path
    return error


def system_error(reason: str, path: str, number: int) -> NoSuchFile | MappingError:
    """Make the error of a file from what the system said: an errno, or a Windows error code."""
    if os.name == "nt":
        translated = OSError(None, None, None, number)
        number, said = translated.errno or number, translated.strerror
    else:
        said = os.strerror(number)
    cls = BY_ERRNO.get(number, MappingError)
    return file_error(cls, f"{reason}: {said}", path, number)
