"""Which mapped file belongs to which model.

A model is known by its file's inode, size and time of modification. The device is left out:
overlayfs gives each container one of its own for the same file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import NamedTuple

from ortmmap.cache.entry import is_entry
from ortmmap.cache.folder import HEADER_NAME, READING
from ortmmap.cache.header import LARGEST_HEADER, Damaged, parse
from ortmmap.cache.identity import is_same_time
from ortmmap.monitor.memory_map import Region, Sizes, total
from ortmmap.monitor.process import Process

__all__ = ["EXTERNAL", "GRAPH", "MODEL", "PAGES", "MappedFile", "ModelKey", "model_files"]

MODEL, EXTERNAL, GRAPH, PAGES = "model", "external data", "optimized graph", "prepacked weights"
KIND_OF_ENTRY = {"model": GRAPH, "pages": PAGES}
SUFFIXES = (".onnx", ".ort")


class ModelKey(NamedTuple):
    """The identity of a model: its file's inode, or its path if that cannot be looked at.

    `size` is in bytes and `mtime_ns` in nanoseconds; both are 0 if they are not known.
    """

    file: int | str
    size: int
    mtime_ns: int

    @property
    def is_gone(self) -> bool:
        """Whether the file that an entry was made from was removed or replaced."""
        return isinstance(self.file, str) and self.size > 0


class MappedFile(NamedTuple):
    """A file of a model's that a process maps.

    Attributes
    ----------
    key : ModelKey
        The model's.
    model : str
        The path of the model's file.
    kind : str
        ``model``, ``external data``, ``optimized graph`` or ``prepacked weights``.
    path, device, inode, deleted
        As those of a `Region`.
    sizes : Sizes
    """

    key: ModelKey
    model: str
    kind: str
    path: str
    device: str
    inode: int
    deleted: bool
    sizes: Sizes


def model_files(process: Process) -> list[MappedFile]:
    """Return the files of models that a process maps."""
    groups = _by_file(process.regions)
    found = [_model_file(process.pid, group) for group in groups if _is_model(group[0])]
    for group in groups:
        if not _is_model(group[0]):
            other = _entry_file(process.pid, group, found) or _data_file(process.pid, group, found)
            found += [other] if other is not None else []
    return found


def _by_file(regions: Iterable[Region]) -> list[list[Region]]:
    """Return the regions of each file that may hold weights.

    Programs and libraries are executable; what several processes write to is no model.
    """
    groups: dict[tuple, list[Region]] = {}
    for region in regions:
        if region.inode and region.path.startswith("/"):
            groups.setdefault((region.device, region.inode, region.path), []).append(region)
    return [group for group in groups.values() if not any(map(_is_foreign, group))]


def _is_foreign(region: Region) -> bool:
    return (
        "x" in region.permissions
        or region.permissions[1::2] == "ws"
        or region.path.startswith(("/dev/", "/memfd:", "/SYSV"))
    )


def _is_model(region: Region) -> bool:
    return region.path.endswith(SUFFIXES) and not _is_in_entry(region)


def _is_in_entry(region: Region) -> bool:
    return is_entry(os.path.basename(os.path.dirname(region.path)))


def _made(key: ModelKey, model: str, kind: str, group: list[Region]) -> MappedFile:
    first = group[0]
    sizes = total(region.sizes for region in group)
    return MappedFile(key, model, kind, first.path, first.device, first.inode, first.deleted, sizes)


def _model_file(pid: int, group: list[Region]) -> MappedFile:
    region = group[0]
    key = _key_of(pid, region.path)
    if region.deleted or key.file != region.inode:
        key = ModelKey(region.inode, 0, 0)
    return _made(key, region.path, MODEL, group)


def _entry_file(pid: int, group: list[Region], models: list[MappedFile]) -> MappedFile | None:
    """Return a file of an entry of the cache, with the model that the entry's header names."""
    region = group[0]
    if not _is_in_entry(region):
        return None
    folder = os.path.dirname(region.path)
    name = os.path.basename(folder)
    kind = KIND_OF_ENTRY[name.partition("-")[0]]
    sources = [] if region.deleted else _sources(_inside(pid, folder), name)
    key = _key_of_source(pid, *sources[0]) if sources else ModelKey(folder, 0, 0)
    if not sources or key.is_gone:  # the entry was removed, or its model replaced
        only = _only(models)
        if only is not None:
            return _made(only.key, only.model, kind, group)
    return _made(key, sources[0][0] if sources else folder, kind, group)


def _only(models: list[MappedFile]) -> MappedFile | None:
    """Return the file of the only model; None if there is none, or if there are several."""
    return models[0] if len({model.key for model in models}) == 1 else None


def _key_of_source(pid: int, path: str, size: int, mtime_ns: int) -> ModelKey:
    try:
        found = os.stat(_inside(pid, path))
    except OSError:
        return ModelKey(path, size, mtime_ns)
    is_same = found.st_size == size and is_same_time(found.st_mtime_ns, mtime_ns)
    return _key_of(pid, path) if is_same else ModelKey(path, size, mtime_ns)


def _sources(folder: str, name: str) -> list[tuple[str, int, int]]:
    """Return path, size and time of the files that an entry was made from; none if unreadable.

    The entry may be another user's, which `Entry` refuses: a session must not trust it.
    """
    try:
        fd = os.open(os.path.join(folder, HEADER_NAME), READING)
        try:
            description = json.loads(parse(os.read(fd, LARGEST_HEADER), name).description)
        finally:
            os.close(fd)
        return [(str(path), int(size), int(mtime)) for path, size, mtime in description["sources"]]
    except (OSError, Damaged, ValueError, KeyError, TypeError):
        return []


def _data_file(pid: int, group: list[Region], models: list[MappedFile]) -> MappedFile | None:
    """Return external data: a file in the folder of a model, or in a folder of that one's."""
    path = group[0].path
    if ".so" in os.path.basename(path):
        return None
    mapped = {model.model: model.key for model in models if _is_near(path, model.model)}
    paths = list(mapped) or _models_near(pid, path)
    if not paths:
        return None
    # Most exporters name the data after the model.
    named = [model for model in paths if _stem(path).startswith(_stem(model))]
    if not named and len(paths) > 1:
        return _made(ModelKey(group[0].inode, 0, 0), path, EXTERNAL, group)
    model = max(named or paths, key=lambda path: len(_stem(path)))
    return _made(mapped.get(model) or _key_of(pid, model), model, EXTERNAL, group)


def _key_of(pid: int, path: str) -> ModelKey:
    try:
        found = os.stat(_inside(pid, path))
    except OSError:
        return ModelKey(path, 0, 0)
    return ModelKey(found.st_ino, found.st_size, found.st_mtime_ns)


def _is_near(path: str, model: str) -> bool:
    folder = os.path.dirname(path)
    return os.path.dirname(model) in (folder, os.path.dirname(folder))


def _models_near(pid: int, path: str) -> list[str]:
    """Return the models in the file's folder; if there is none, in the folder above it."""
    folder = os.path.dirname(path)
    for place in (folder, os.path.dirname(folder)):
        try:
            names = os.listdir(_inside(pid, place))
        except OSError:
            continue
        models = [os.path.join(place, name) for name in names if name.endswith(SUFFIXES)]
        if models:
            return models
    return []


def _stem(path: str) -> str:
    return os.path.basename(path).partition(".")[0]


def _inside(pid: int, path: str) -> str:
    """Return the path by which this process reaches a path of another one's mount namespace."""
    return f"/proc/{pid}/root{path}"
