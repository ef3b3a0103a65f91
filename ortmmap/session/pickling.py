"""Pickling: what a session becomes on its way to another process.

A path, or the bytes of a buffer, and the options travel. What the file was travels too, so that
another one is never taken for it.
"""

import pickle
import sys
from typing import Any

from ortmmap._core import Session
from ortmmap.model.mapping import Mapping

__all__ = ["reduce_session", "restore_session"]


def reduce_session(session: Session, source: Any, settings: dict, protocol: int) -> tuple:
    """Return what ``__reduce_ex__`` of a session returns.

    Parameters
    ----------
    session : Session
    source : str, buffer or None
        What it was opened from; None where it does not keep that.
    settings : dict
        What ``_restore`` of its class takes beside the source.
    protocol : int
        Pickle's; from 5 on a buffer may travel out of band.

    Raises
    ------
    TypeError
        Where the session was made from a buffer in ONNX format that is no bytes object.
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
    attributes = getattr(session, "__dict__", None)
    return restore_session, (_named(type(session)), source, settings, attributes)


def restore_session(cls: Any, source: object, settings: dict, attributes: dict | None) -> Session:
    """Open a session as another one was opened; `cls` is None for onnxruntime's patched class."""
    cls = _session_class() if cls is None else cls
    session = cls.__new__(cls)
    session._restore(source, settings)
    if attributes and hasattr(session, "__dict__"):
        vars(session).update(attributes)
    return session


def _named(cls: type) -> type | None:
    return None if cls.__module__ == "onnxruntime" else cls


def _session_class() -> type:
    """Return onnxruntime's class where it is patched in this process too, else ours."""
    found = getattr(sys.modules.get("onnxruntime"), "InferenceSession", None)
    return found if isinstance(found, type) and Session in found.__mro__ else Session
