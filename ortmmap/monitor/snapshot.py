"""The models that the machine's processes hold, and the memory that each takes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ortmmap.monitor.memory_map import Sizes, total
from ortmmap.monitor.model_files import MODEL, MappedFile, ModelKey, model_files
from ortmmap.monitor.process import Process, find_processes

__all__ = ["Holding", "Model", "Snapshot", "snapshot"]


class Holding(NamedTuple):
    """A process that maps a model, the files that it maps, and their sizes."""

    process: Process
    files: list[MappedFile]
    sizes: Sizes


class Model(NamedTuple):
    """A model that processes map.

    Attributes
    ----------
    path : str
        As the first process sees it.
    size : int or None
        Bytes of the model's file, without external data; None if it is not known.
    deleted : bool
        Whether the model's file was removed or replaced after a process had mapped it.
    holdings : list of Holding
        One for each process.
    """

    path: str
    size: int | None
    deleted: bool
    holdings: list[Holding]

    @property
    def sizes(self) -> Sizes:
        """The sums over all processes."""
        return total(holding.sizes for holding in self.holdings)

    @property
    def physical(self) -> int:
        """Bytes of memory that the model takes: each page once."""
        return self.sizes.proportional

    @property
    def unshared(self) -> int:
        """Bytes that the processes would take if each had its own copy of the same pages."""
        return self.sizes.resident

    @property
    def files(self) -> list[MappedFile]:
        """The mapped files, each once, with the sizes in the first process that maps it."""
        found: dict[tuple[str, int], MappedFile] = {}
        for holding in self.holdings:
            for file in holding.files:
                found.setdefault((file.device, file.inode), file)
        return list(found.values())


class Snapshot(NamedTuple):
    """The processes with ONNX Runtime at one moment, and the models that they map.

    Attributes
    ----------
    models : list of Model
        The one that takes the most memory first.
    processes : list of Process
        All that have ONNX Runtime, those that map no model included.
    unreadable : int
        Number of processes that this user may not examine.
    """

    models: list[Model]
    processes: list[Process]
    unreadable: int

    @property
    def without_model(self) -> list[Process]:
        """The processes that map no model: onnxruntime copies models into anonymous memory."""
        holding = {each.process.pid for model in self.models for each in model.holdings}
        return [process for process in self.processes if process.pid not in holding]


def snapshot() -> Snapshot:
    """Examine the processes of the machine.

    Raises
    ------
    OSError
        If there is no /proc.
    """
    processes, unreadable = find_processes()
    holdings: dict[ModelKey, list[Holding]] = {}
    for process in processes:
        for key, files in _by_model(model_files(process)).items():
            sizes = total(file.sizes for file in files)
            holdings.setdefault(key, []).append(Holding(process, files, sizes))
    models = [_model(key, each) for key, each in holdings.items()]
    models.sort(key=lambda model: (-model.physical, model.path))
    return Snapshot(models, processes, unreadable)


def _by_model(files: Iterable[MappedFile]) -> dict[ModelKey, list[MappedFile]]:
    groups: dict[ModelKey, list[MappedFile]] = {}
    for file in files:
        groups.setdefault(file.key, []).append(file)
    return groups


def _model(key: ModelKey, holdings: list[Holding]) -> Model:
    files = [file for holding in holdings for file in holding.files]
    deleted = key.is_gone or any(file.deleted for file in files if file.kind == MODEL)
    return Model(files[0].model, key.size or None, deleted, holdings)
