"""convert: save a model in ORT format, to be mapped."""

import os

from ortmmap._core import Session
from ortmmap.options import SessionOptions

__all__ = ["convert"]

WRITE_BYTES = 1 << 26


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
        saved = os.path.join(scratch, "saved.ort")
        unfinished = os.path.join(scratch, "model.ort")
        Session(source, _saving(sess_options, saved), cache=False).close()
        _write_large(saved, unfinished)
        os.replace(unfinished, target)
    return target


def _write_large(source: str, target: str) -> None:
    """Copy a file in few large writes, and have it on the disk.

    Linux gives each write large folios of the page cache, which are quicker to map and to read.
    """
    with open(source, "rb", buffering=0) as reader, open(target, "wb", buffering=0) as writer:
        while piece := reader.read(WRITE_BYTES):
            rest = memoryview(piece)
            while rest:
                rest = rest[writer.write(rest) :]
        os.fsync(writer.fileno())


def _saving(sess_options: SessionOptions | None, target: str) -> SessionOptions:
    """Copy `sess_options`, to save to `target` without the memory that prepacking takes."""
    options = SessionOptions() if sess_options is None else sess_options.copy()
    options.optimized_model_filepath = target
    options.add_session_config_entry("session.save_model_format", "ORT")
    options.add_session_config_entry("session.disable_prepacking", "1")
    if options.log_severity_level < 0:
        options.log_severity_level = 3  # it warns that the file suits this kind of machine only
    return options
