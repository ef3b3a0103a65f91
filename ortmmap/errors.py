"""Exceptions: a class for each of ONNX Runtime's error codes, and those of files. Warnings.

Classes with an error code have the names and the wording of those in
``onnxruntime.capi.onnxruntime_pybind11_state``, so that code which relies on either keeps working.
"""

import errno
import os
import sys
import warnings
from _thread import RLock  # threading would be imported for this alone

__all__ = [
    "EPFail",
    "EmptyFileError",
    "EmptyPathError",
    "EngineError",
    "Fail",
    "FolderError",
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


_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
ONNXRUNTIME = "onnxruntime.capi.onnxruntime_pybind11_state"  # the module of its exceptions

# Guards the bases of the classes: of two threads that add the same base, the second would fail.
_joining = RLock()  # reentrant, since the garbage collector may run code that takes it
if hasattr(os, "register_at_fork"):  # no child starts while another thread holds the lock
    os.register_at_fork(
        before=_joining.acquire,
        after_in_parent=_joining.release,
        after_in_child=_joining.release,
    )


def _join_theirs() -> None:
    """Derive each class from onnxruntime's class of the same name, once that is imported.

    ``except`` with either class then catches it, whichever package was imported first.
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
    """Base class of all exceptions that ortmmap defines.

    If onnxruntime is imported too, ``except`` with its class of the same name catches them.

    Attributes
    ----------
    code : int or None
        ONNX Runtime's ``OrtErrorCode``; None if the error is not ONNX Runtime's.
    code_name : str or None
        The code's name in onnxruntime's messages, such as ``INVALID_ARGUMENT``.
    path : str or None
        The model file concerned, if any.
    provider : str or None
        The execution provider that could not be added, if that is the error.
    """

    code: int | None = None
    code_name: str | None = None
    path: str | None = None
    provider: str | None = None

    def __new__(cls, *args: object, **kwargs: object) -> "OrtError":
        """Make an exception that onnxruntime's class of the same name catches too."""
        _join_theirs()
        make = OSError.__new__ if issubclass(cls, OSError) else RuntimeError.__new__
        return make(cls, *args, **kwargs)

    def __reduce__(self) -> tuple:
        state = dict(self.__dict__)
        if isinstance(self, OSError):
            state.update(errno=self.errno, strerror=self.strerror, filename=self.filename)
        return type(self), self.args, state

    def __str__(self) -> str:  # OSError's own has errno and file name only
        return str(self.args[0]) if self.args else ""

    @property
    def message(self) -> str:
        """The text without the prefix that names the code."""
        text = str(self)
        return text.split(" : ", 3)[-1] if text.startswith("[ONNXRuntimeError] : ") else text


class Fail(OrtError):
    """ORT_FAIL: an error without a code of its own."""

    code, code_name = 1, "FAIL"


class InvalidArgument(OrtError, ValueError):
    """ORT_INVALID_ARGUMENT: a name, a type or a shape that the model does not have."""

    code, code_name = 2, "INVALID_ARGUMENT"


class NoSuchFile(OrtError, FileNotFoundError):
    """ORT_NO_SUCHFILE: the model file does not exist."""

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
    """ORT_NOT_IMPLEMENTED: an operator, a type or a function that this build does not support."""

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
    """A file cannot be mapped, because of its kind or for a reason that the system gives."""


class MappingPermissionError(MappingError, PermissionError):
    """A file cannot be mapped, because permission is denied."""


class ModelChangedError(MappingError):
    """A file of the model was changed, truncated or replaced after it was opened."""


class FolderError(MappingError, InvalidProtobuf):
    """A path names a folder where a model file is expected."""


class EmptyFileError(MappingError, InvalidArgument):
    """A model file has no bytes."""


class EmptyPathError(NoSuchFile, TypeError):
    """The path of a model is the empty text, which onnxruntime takes for no path at all."""


class LibraryError(OrtError, ImportError):
    """ONNX Runtime's shared library is missing, too old, or not ONNX Runtime's."""


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

PARSING_FAILED = "Load model from {} failed:Protobuf parsing failed."

BY_ERRNO: dict[int, type[NoSuchFile] | type[MappingError]] = {
    errno.ENOENT: NoSuchFile,
    errno.ENOTDIR: NoSuchFile,
    errno.EACCES: MappingPermissionError,
    errno.EPERM: MappingPermissionError,
}


def from_status(code: int, message: str, path: str | None = None) -> OrtError:
    """Make the exception for an ONNX Runtime status, with the wording of onnxruntime."""
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
    """Make the exception for a file; its message names the file, its attributes are OSError's."""
    error = cls(f"{path}: {reason}")
    error.errno = number
    error.strerror = reason
    error.filename = error.path = path
    return error


def load_error(error: NoSuchFile | MappingError) -> NoSuchFile | MappingError:
    """Reword the error for a model file: first onnxruntime's text, then what `error` says."""
    path, number, cls = error.path, error.errno, type(error)
    if path == "":
        cls = EmptyPathError
        said = (
            "__init__(): incompatible constructor arguments. The following argument types are "
            "supported: a path or bytes"
        )
    elif cls is NoSuchFile:
        failed = f"Load model from {path} failed:Load model {path} failed. File doesn't exist"
        said = f"[ONNXRuntimeError] : 3 : NO_SUCHFILE : {failed}"
    elif number == errno.EISDIR:
        cls = FolderError
        said = f"[ONNXRuntimeError] : 7 : INVALID_PROTOBUF : {PARSING_FAILED.format(path)}"
    elif str(error.strerror).startswith("is empty"):
        cls = EmptyFileError
        said = (
            f"[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Load model from {path} failed:"
            "No graph was found in the protobuf."
        )
    else:
        return error
    made = cls(f"{said} ({error if path else 'the path is empty'})")
    made.errno, made.strerror = number, error.strerror
    made.filename = made.path = path
    return made


def system_error(reason: str, path: str, number: int) -> NoSuchFile | MappingError:
    """Make the exception for a file from the system's errno or Windows error code."""
    if os.name == "nt":
        translated = OSError(None, None, None, number)
        number, said = translated.errno or number, translated.strerror
    else:
        said = os.strerror(number)
    cls = BY_ERRNO.get(number, MappingError)
    return file_error(cls, f"{reason}: {said}", path, number)


def warn_caller(text: str, category: type[Warning] = UserWarning) -> None:
    """Warn with the file and line of the innermost function outside of this package."""
    level, frame = 1, sys._getframe()
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back  # type: ignore[assignment]
    warnings.warn(text, category, stacklevel=level)


_warned: set[str] = set()  # topics of `warn_once`


def warn_once(topic: str, text: str) -> None:
    """Warn as `warn_caller` does, unless this process has been warned of the topic."""
    if topic not in _warned:
        _warned.add(topic)
        warn_caller(text)


def warn_without_effect(name: str, value: object) -> None:
    """Warn, once in a process, of an option that onnxruntime's module can set, the C API not."""
    warn_once(name, f"{name} = {value!r} has no effect: ONNX Runtime's C API cannot set it")
