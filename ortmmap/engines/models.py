"""Models on a node: a path is used where it is, anything else is fetched once and shared."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress

from ortmmap.cache.folder import FOLDER_VARIABLE, default_folder, make_folder, refusal
from ortmmap.engines.fetched import Fetched, fetched_digest
from ortmmap.engines.pinned import Pinned, beside, stamps
from ortmmap.engines.record import PATH_RECORD, Record, hashed, read_record, write_record
from ortmmap.engines.source import Remote, Source, failing_as, is_url
from ortmmap.errors import MappingError, ModelChangedError, OrtError, file_error

__all__ = [
    "ModelPath",
    "digest",
    "fetch",
    "is_plain_path",
    "local_model",
    "model_files",
    "pinned",
    "pinned_if_read",
]

FOLDER = "models"  # within the cache's folder
PIECE_BYTES = 1 << 22
SETTLED_NS = 1_000_000_000  # the clock of files is coarse: a later write may have the same time
LOCAL = "file://"

ModelPath = str | os.PathLike[str]


def local_model(
    model: ModelPath, *, cache: bool | ModelPath | None = None, digest: str | None = None
) -> str:
    """Return the path of a model on this node; fetch it if it is a URL.

    Parameters
    ----------
    model : str or os.PathLike
        A path, or a URL that fsspec opens, such as ``s3://bucket/model.onnx``. The files of its
        external data are fetched too. One process of the node fetches, and the others wait.
    cache : bool, str, os.PathLike or None, default None
        As for `ortmmap.Session`: if it is a folder, fetched models are kept in that.
    digest : str, optional
        The digest that the model must have, as `digest` returns it. By default that of a model
        which is `pinned`.

    Returns
    -------
    str
        The path. A fetched model stays at least until this process ends.

    Raises
    ------
    NoSuchFile
        If the model does not exist.
    ModelChangedError
        If it has another digest.
    MappingError
        If it cannot be fetched or stored: no permission, a full disk, a failing network.
    ImportError
        If fsspec, or its package for this kind of URL, is not installed.
    """
    if digest is None and isinstance(model, Pinned):
        digest = model.expected()
    text = os.fspath(model).removeprefix(LOCAL)
    if is_url(text):
        return fetch(Remote(text), cache=cache, digest=digest)
    path = os.path.abspath(text)
    if digest is not None:
        _check_digest(path, _digest_once(path, _readable_files(path), cache), digest)
    return path


def pinned(model: ModelPath, *, cache: bool | ModelPath | None = None) -> Pinned:
    """Return a model for the workers of a job, which open this version of it or fail.

    Call it in the driver, and use the result instead of the path: with `Predictor`, `local_model`,
    `warm_node` and the functions for engines. A worker whose file has the size and time that were
    seen here does not read it for that; another one compares the digest.

    Parameters
    ----------
    model, cache
        As for `local_model`, whose errors it raises. A URL is fetched to this node too.
    """
    text = os.fspath(model).removeprefix(LOCAL)
    if is_url(text):
        return Pinned(text, digest(text, cache=cache), ())
    path = os.path.abspath(text)
    names = _readable_files(path)
    with failing_as(path, "cannot be read"):
        seen = stamps(path, names)  # before the bytes are read
    return Pinned(text, _digest_once(path, names, cache), seen)


def pinned_if_read(model: ModelPath, *, cache: bool | ModelPath | None = None) -> ModelPath:
    """Return a model that is `pinned`, or as it is: a URL, or one that this process cannot read."""
    if not is_plain_path(model):
        return model
    try:
        return pinned(model, cache=cache)
    except (OrtError, OSError):
        return model


def is_plain_path(model: ModelPath) -> bool:
    """Return whether a model is a path, neither a URL nor pinned."""
    return not isinstance(model, Pinned) and not is_url(os.fspath(model).removeprefix(LOCAL))


def digest(model: ModelPath, *, cache: bool | ModelPath | None = None) -> str:
    """Return the digest of a model's files, 32 hexadecimal characters; a URL is fetched first.

    Give it to every worker of a job, and none of them computes with another version of the model.
    It is XXH3-128, which recognizes another version, but not a forged one.

    Parameters
    ----------
    model, cache
        As for `local_model`, whose errors it raises.
    """
    path = local_model(model, cache=cache)
    return _digest_once(path, _readable_files(path), cache)


def fetch(
    source: Source, *, cache: bool | ModelPath | None = None, digest: str | None = None
) -> str:
    """Return the path of the node's copy of a model, made if need be; see `local_model`."""
    folder = _folder(cache)
    with failing_as(source.url, f"cannot be fetched to {folder}"):
        path, found = Fetched(folder, source, model_files, _digest_of).model()
    if digest is not None:
        _check_digest(source.url, found, digest)
    return path


def _check_digest(model: str, found: str, wanted: str) -> None:
    if found != wanted:
        reason = f"its digest is {found}, but the job was started with {wanted}"
        raise file_error(ModelChangedError, reason, model)


def model_files(path: str) -> list[str]:
    """Return the names of a model's files, relative to its folder.

    The first is the model file's, which is empty; those of external data follow in order.
    """
    from ortmmap.model.inspect import inspect

    # It refuses external data outside the folder.
    return ["", *sorted(inspect(path, largest=0).external_files)]


def _readable_files(path: str) -> list[str]:
    """As `model_files`, but an error of the file system is one that names the model."""
    with failing_as(path, "cannot be read"):
        return model_files(path)


def _digest_once(path: str, names: list[str], cache: bool | ModelPath | None) -> str:
    """Return the digest of a model's files, which are read once a node as long as they stay.

    With `cache` False, and for files that were written a moment ago, they are read each time.
    """
    if cache is False:
        return _digest_of(path, names)
    try:
        folder = _folder(cache)
    except OrtError:  # no folder that can be used
        return _digest_of(path, names)
    if (found := fetched_digest(folder, path)) is not None:
        return found
    with failing_as(path, "cannot be read"):
        stats = [os.stat(beside(path, name)) for name in names]
    if time.time_ns() - max(file.st_ctime_ns for file in stats) < SETTLED_NS:
        return _digest_of(path, names)
    version = repr([(x.st_ino, x.st_size, x.st_mtime_ns, x.st_ctime_ns) for x in stats])
    return _recorded_digest(os.path.join(folder, PATH_RECORD + hashed(path)), path, version, names)


def _recorded_digest(prefix: str, path: str, version: str, names: list[str]) -> str:
    """Return the digest in the record of a version; one process of the node makes the record."""
    from filelock import FileLock

    def recorded() -> str | None:
        record = read_record(f"{prefix}.json")
        if record is None or (record.url, record.version) != (path, version):
            return None
        return record.digest

    found = recorded()
    if found is not None:
        return found
    lock = FileLock(f"{prefix}.lock", mode=0o600)
    with suppress(OSError, NotImplementedError):  # a full disk, a file system without locks
        lock.acquire()
    try:
        found = recorded()
        if found is None:
            found = _digest_of(path, names)
            with suppress(OSError):
                write_record(f"{prefix}.json", Record(path, version, found))
        return found
    finally:
        lock.release()


def _digest_of(path: str, names: list[str]) -> str:
    """Return the digest of a model's files: their names, sizes and bytes."""
    from xxhash import xxh3_128

    total = xxh3_128()
    with failing_as(path, "cannot be read"):
        for name in names:
            whole = beside(path, name)
            total.update(f"{name}\0{os.stat(whole).st_size}\0".encode())
            for piece in _pieces(whole):
                total.update(piece)
    return total.hexdigest()


def _pieces(path: str) -> Iterator[bytes]:
    with open(path, "rb", buffering=0) as file:
        while piece := file.read(PIECE_BYTES):
            yield piece


def _folder(cache: bool | ModelPath | None) -> str:
    """Return the folder of fetched models, and create it if need be."""
    if cache is None or isinstance(cache, bool):
        folder, named = default_folder(), bool(os.environ.get(FOLDER_VARIABLE))
    else:
        folder, named = os.path.abspath(os.fspath(cache)), True
    reason = refusal(folder, named=named)
    if folder is None or reason is not None:
        raise file_error(MappingError, f"no folder to fetch models to: {reason}", str(folder))
    models = os.path.join(folder, FOLDER)
    with failing_as(models, "cannot be made"):
        make_folder(models)
    return models
