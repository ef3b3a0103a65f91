"""convert: save a model in ORT format, to be mapped."""

import os

from ortmmap._core import Session
from ortmmap.options import SessionOptions

__all__ = ["convert"]


def convert(
    source: str | os.PathLike,
    target: str | os.PathLike | None = None,
    sess_options: SessionOptions | None = None,
) -> str:
    """Save an ONNX model, optimized, in ORT format.

    The file appears under its name only when it is whole. What the optimizer makes of a model
    may suit the CPU that it runs on (`graph_optimization_level` in `sess_options` decides).

    Parameters
    ----------
    source : str or os.PathLike
        The ONNX model.
    target : str or os.PathLike, optional
        The file to write; by default beside `source`, with the suffix ``.ort``.
    sess_options : SessionOptions, optional
        What to create the session with that optimizes the model.

    Returns
    -------
    str
        The file written.

    Raises
    ------
    OrtError
        Where the model cannot be loaded or saved; ORT format holds less than 2 GB.
    ValueError
        Where `target` is `source`.
    """
    from tempfile import TemporaryDirectory

    source = os.fsdecode(source)
    target = os.path.splitext(source)[0] + ".ort" if target is None else os.fsdecode(target)
    if os.path.exists(target) and os.path.samefile(source, target):
        raise ValueError(f"{source} cannot be converted onto itself")
    folder, name = os.path.split(os.path.abspath(target))
    with TemporaryDirectory(prefix=f".{name}.", dir=folder) as scratch:
        unfinished = os.path.join(scratch, "model.ort")
        Session(source, _saving(sess_options, unfinished)).close()
        os.replace(unfinished, target)
    return target


def _saving(sess_options: SessionOptions | None, target: str) -> SessionOptions:
    """Copy `sess_options`, to save to `target` without the memory that prepacking takes."""
    options = SessionOptions() if sess_options is None else sess_options.copy()
    options.optimized_model_filepath = target
    options.add_session_config_entry("session.save_model_format", "ORT")
    options.add_session_config_entry("session.disable_prepacking", "1")
    return options
