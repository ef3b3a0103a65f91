"""The file that a rival opens: the model itself, or another form of it, made once and kept.

given, onnx: the file itself; ``onnx`` must be ``.onnx``.
ort, mapped: ORT format, saved by `ortmmap.convert`; ``mapped`` may be the file itself.
external: ONNX with its weights in a file of external data, saved by the onnx package.
prepacked: ONNX, optimized, with prepacked weights in external data, saved by onnxruntime.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import onnxruntime

import ortmmap

_LEAST_EXTERNAL = 1024  # bytes; smaller weights stay in the model


def form_of(form: str, model: Path, folder: Path) -> Path:
    """Return the file of a form of `model`, made in `folder` once; raise ValueError if it can't."""
    if form in ("given", "onnx") or (form == "mapped" and model.suffix == ".ort"):
        return model
    kind = "ort" if form == "mapped" else form
    suffix = "ort" if kind == "ort" else f"{kind}.onnx"
    # Its name has a digest of the model's path, since models of one name may lie in several
    # folders, and onnxruntime's version, whose optimizer makes the graph.
    digest = hashlib.blake2b(os.fsencode(model.resolve()), digest_size=4).hexdigest()
    path = folder / f"{model.stem}-{digest}.{onnxruntime.__version__}.{suffix}"
    if path.exists() and path.stat().st_mtime >= model.stat().st_mtime:
        return path
    try:
        with written_atomically(path) as temporary:
            _MAKERS[kind](model, temporary, data_of(path))
    except Exception as error:  # onnxruntime's and protobuf's exceptions have no common base
        raise ValueError(f"{model.name} can't be saved as {kind}: {error}") from error
    return path


def data_of(path: Path) -> Path:
    """Return the file of external data beside a form."""
    return path.with_name(f"{path.name}.data")


def _save_external(model: Path, path: Path, data: Path) -> None:
    import onnx

    data.unlink(missing_ok=True)  # onnx appends
    where = {"location": data.name, "size_threshold": _LEAST_EXTERNAL}
    onnx.save_model(onnx.load(model), path, save_as_external_data=True, **where)
    _sync(data)


def _save_prepacked(model: Path, path: Path, data: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = os.fspath(path)
    saving = "session.optimized_model_external_initializers"
    options.add_session_config_entry(f"{saving}_file_name", data.name)
    options.add_session_config_entry(f"{saving}_min_size_in_bytes", str(_LEAST_EXTERNAL))
    prepacked = "session.save_external_prepacked_constant_initializers"
    options.add_session_config_entry(prepacked, "1")
    onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    _sync(data)


_MAKERS: dict[str, Callable[[Path, Path, Path], None]] = {
    "ort": lambda model, path, _data: ortmmap.convert(model, path),
    "external": _save_external,
    "prepacked": _save_prepacked,
}


@contextmanager
def written_atomically(path: Path) -> Iterator[Path]:
    """Yield a temporary path that becomes `path` when the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        _sync(temporary)  # pages that await writing would count as private memory of their mappers
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    if path.exists():  # without large weights there is no external data
        with path.open("rb+") as file:
            os.fsync(file)
