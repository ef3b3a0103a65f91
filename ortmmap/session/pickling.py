"""Pickling: how sessions travel to another process.

A pickle holds a path (or the bytes of a buffer), the options, and the size and modification time
of every file, so that another file under the same path is never taken for the model. The class of
a session travels by reference.
"""

import pickle
import sys
from typing import Any

from ortmmap.model.mapping import Mapping

__all__ = ["reduce_session", "restore_session"]


def reduce_session(session: object, source: Any, settings: dict, protocol: int) -> tuple:
    """Implement ``__reduce_ex__`` of a session.

    Parameters
    ----------
    session : Session
    source : str, buffer or None
        The path or buffer that the session was opened from; None if it is no longer held.
    settings : dict
        The second argument of the class's ``_restore``.
    protocol : int
        The pickle protocol; with 5 and later, a buffer may travel out of band.

    Returns
    -------
    tuple
        `restore_session` and its arguments.

    Raises
    ------
    TypeError
        If the session was made from a buffer in ONNX format other than a bytes object.
    """
    if source is None:
        raise TypeError(
            "cannot pickle a session that was made from a buffer in ONNX format, which it does "
            "not keep: make it from a path, or from bytes"
        )
    if isinstance(source, str):
        source = settings["sources"][0][0]  # the absolute path
    elif not isinstance(source, (bytes, Mapping)):
        source = pickle.PickleBuffer(source) if protocol >= 5 else bytes(source)
    cls = getattr(type(session), "_named_class", type(session))  # not a twin that the patch made
    stands_in = cls.__module__ == "onnxruntime"
    if stands_in:  # made by patch_onnxruntime: the receiving process may not be patched
        cls = next(base for base in cls.__mro__ if base.__module__.partition(".")[0] == "ortmmap")
    attributes = getattr(session, "__dict__", None)
    return restore_session, (cls, stands_in, source, settings, attributes)


def restore_session(
    cls: Any, stands_in: bool, source: object, settings: dict, attributes: dict | None
) -> Any:
    """Open a session with the settings of the pickled one.

    Parameters
    ----------
    cls : type
        A class derived from `Session`.
    stands_in : bool
        Whether to use onnxruntime's ``InferenceSession`` instead, if it is patched in this process.
    source, settings
        As for `reduce_session`.
    attributes : dict or None
        Attributes that users have set on the session.
    """
    cls = _patched(cls) if stands_in else getattr(cls, "_mapped_class", cls)
    session = cls.__new__(cls)
    session._restore(source, settings)
    if attributes and hasattr(session, "__dict__"):
        vars(session).update(attributes)
    return session


def _patched(cls: type) -> type:
    """Return onnxruntime's class if it derives from `cls`, else `cls`."""
    found = getattr(sys.modules.get("onnxruntime"), "InferenceSession", None)
    found = getattr(found, "_mapped_class", found)
    return found if isinstance(found, type) and cls in found.__mro__ else cls
