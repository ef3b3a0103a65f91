"""What a rival opens: the model file that is given, or another form of it, made once and kept.

=========== ===========================================================================
given       the file itself
onnx        the file itself, which must be ``.onnx``
ort         ORT format, saved by `ortmmap.convert`
mapped      ORT format: the file itself, or else as ``ort``
external    ONNX whose weights are a file of external data, saved by the onnx package
prepacked   ONNX, optimized, with prepacked weights in external data, saved by onnxruntime
=========== ===========================================================================
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import onnxruntime

import ortmmap

_LEAST_EXTERNAL = 1024  # bytes; smaller weights stay in the model


def form_of(form: str, model: Path, folder: Path) -> Path:
    """Return the file of a form of `model`, made in `folder` if it is not there.

    The name carries onnxruntime's version: the graph is what that version's optimizer made of it.

    Raises
    ------
    ValueError
        The form can't be made of this model; the message is what the one who tried it said.
    """
    if form in ("given", "onnx") or (form == "mapped" and model.suffix == ".ort"):
        return model
    kind = "ort" if form == "mapped" else form
    suffix = "ort" if kind == "ort" else f"{kind}.onnx"
    path = folder / f"{_stem(model, folder)}.{onnxruntime.__version__}.{suffix}"
    if path.exists() and path.stat().st_mtime >= model.stat().st_mtime:
        return path
    try:
        with written_atomically(path) as temporary:
            _MAKERS[kind](model, temporary, data_of(path))
    except Exception as error:  # onnxruntime's and protobuf's own have no common base
        raise ValueError(f"{model.name} can't be saved as {kind}: {error}") from error
    return path


def data_of(path: Path) -> Path:
    """Return the file of external data beside a generated model."""
    return path.with_name(f"{path.name}.data")


def _stem(model: Path, folder: Path) -> str:
    """Return a name for what is made of `model`: of two models elsewhere, two names."""
    if model.resolve().parent == folder.resolve():
        return model.stem
    digest = hashlib.blake2b(os.fsencode(model.resolve()), digest_size=4).hexdigest()
    return f"{model.stem}-{digest}"


def _save_ort(model: Path, path: Path, _data: Path) -> None:
    ortmmap.convert(model, path)


def _save_external(model: Path, path: Path, data: Path) -> None:
    import onnx

    data.unlink(missing_ok=True)  # onnx appends
    onnx.save_model(
        onnx.load(model),
        path,
        save_as_external_data=True,
        location=data.name,
        size_threshold=_LEAST_EXTERNAL,
    )
    sync(data)


def _save_prepacked(model: Path, path: Path, data: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = os.fspath(path)
    saving = "session.optimized_model_external_initializers"
    for key, value in {
        f"{saving}_file_name": data.name,
        f"{saving}_min_size_in_bytes": str(_LEAST_EXTERNAL),
        "session.save_external_prepacked_constant_initializers": "1",
    }.items():
        options.add_session_config_entry(key, value)
    onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    sync(data)


_MAKERS: dict[str, Callable[[Path, Path, Path], None]] = {
    "ort": _save_ort,
    "external": _save_external,
    "prepacked": _save_prepacked,
}


@contextmanager
def written_atomically(path: Path) -> Iterator[Path]:
    """Give a temporary path that becomes `path`, synced to disk, when the block ends well.

    Synced because pages that await writing would count as the private memory of whoever maps them.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        sync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Write a file's pages to disk, if there is such a file."""
    if not path.exists():
        return
    with path.open("rb+") as file:
        os.fsync(file.fileno())
