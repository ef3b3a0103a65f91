"""convert: save a model in ORT format."""

import os
from collections.abc import Callable

from ortmmap.errors import OrtError
from ortmmap.options import SessionOptions
from ortmmap.session.arguments import providers_of
from ortmmap.session.opening import Opening

__all__ = ["convert"]

WRITE_BYTES = 1 << 26


def convert(
    source: str | os.PathLike,
    target: str | os.PathLike | None = None,
    sess_options: SessionOptions | None = None,
    *,
    progress: Callable[[int, int], object] | None = None,
) -> str:
    """Optimize an ONNX model, and save it in ORT format.

    The file appears under its name only when it is complete. From ORT_ENABLE_LAYOUT on, the
    optimized model may suit the kind of CPU only that it was made on.

    Parameters
    ----------
    source : str or os.PathLike
        The ONNX model.
    target : str or os.PathLike, optional
        The file to write; by default `source` with the suffix ``.ort``.
    sess_options : SessionOptions, optional
        Options of the session that optimizes the model, such as `graph_optimization_level`.
    progress : callable, optional
        ``progress(written, total)``, called after each write of the file with the number of bytes
        of this write and of the file. Optimizing comes before, and reports nothing.

    Returns
    -------
    str
        The path of the file written.

    Raises
    ------
    OrtError
        If the model cannot be loaded or saved; ORT format holds less than 2 GB.
    OSError
        If the folder of `target` does not exist or cannot be written to.
    ValueError
        If `target` is `source`.
    """
    from tempfile import TemporaryDirectory

    source = os.fsdecode(source)
    target = os.path.splitext(source)[0] + ".ort" if target is None else os.fsdecode(target)
    if os.path.exists(target) and os.path.samefile(source, target):
        raise ValueError(f"{source} cannot be converted onto itself")
    folder, name = os.path.split(os.path.abspath(target))
    try:
        scratch = TemporaryDirectory(prefix=f".{name}.", dir=folder)
    except OSError as error:  # names the user's file, not the temporary one
        reason = f"{error.strerror}: the folder {folder} must exist and be writable"
        raise OSError(error.errno, reason, target) from None
    with scratch as path:
        saved = os.path.join(path, "saved.ort")
        unfinished = os.path.join(path, "model.ort")
        _save(source, sess_options, saved, target)
        _write_large(saved, unfinished, progress)
        os.replace(unfinished, target)
    return target


def _save(source: str, sess_options: SessionOptions | None, saved: str, target: str) -> None:
    """Save the model in a temporary file; an error names `target` instead."""
    options = _saving(sess_options, saved)
    try:
        Opening(source, options, {}, providers_of(options), cache=False).open()
    except OrtError as error:
        error.args = (str(error).replace(saved, target),)
        raise


def _write_large(source: str, target: str, progress: Callable[[int, int], object] | None) -> None:
    """Copy a file in a few large writes, and sync it to the disk.

    Linux puts large writes into large folios of the page cache, which are faster to map and read.
    """
    total = os.path.getsize(source)
    with open(source, "rb", buffering=0) as reader, open(target, "wb", buffering=0) as writer:
        while piece := reader.read(WRITE_BYTES):
            rest = memoryview(piece)
            while rest:
                rest = rest[writer.write(rest) :]
            if progress is not None:
                progress(len(piece), total)
        os.fsync(writer.fileno())


def _saving(sess_options: SessionOptions | None, target: str) -> SessionOptions:
    """Copy `sess_options` with settings to save the model, without the cost of prepacking."""
    options = SessionOptions() if sess_options is None else sess_options.copy()
    options.optimized_model_filepath = target
    options.add_session_config_entry("session.save_model_format", "ORT")
    options.add_session_config_entry("session.disable_prepacking", "1")
    if options.log_severity_level < 0:
        options.log_severity_level = 3  # no warning that the file is for this kind of machine
    return options
