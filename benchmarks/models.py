"""The models that are measured: built once with random weights, kept in a folder, reused."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnxruntime

import ortmmap
from benchmarks import architectures
from benchmarks.inputs import Input, feeds

if TYPE_CHECKING:
    from onnx import ModelProto


@dataclass(frozen=True)
class Model:
    """A model that can be generated."""

    build: Callable[[], ModelProto]
    inputs: tuple[Input, ...]


MODELS: dict[str, Model] = {
    "one_node": Model(architectures.one_node, architectures.ONE_NODE_INPUTS),
    "chain": Model(architectures.chain, architectures.CHAIN_INPUTS),
    "resnet50": Model(architectures.resnet50, architectures.RESNET_INPUTS),
    "bert_base": Model(architectures.bert_base, architectures.BERT_INPUTS),
}


@dataclass(frozen=True)
class Case:
    """A model file, the arrays that it is run with, and the folder of ortmmap's cache."""

    name: str
    path: Path
    feeds: dict[str, Any]
    cache: Path


class Store:
    """A folder of generated model files.

    Parameters
    ----------
    folder : Path
        Created when the first file is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def onnx(self, name: str) -> Path:
        """Return the ``.onnx`` file of a generated model, built if it is not there."""
        path = self._folder / f"{name}.onnx"
        if not path.exists():
            with _written_atomically(path) as temporary:
                temporary.write_bytes(MODELS[name].build().SerializeToString())
        return path

    def ort(self, name: str) -> Path:
        """Return the same model in ORT format, as the installed onnxruntime optimizes it.

        The name carries onnxruntime's version, since the saved graph is what that version's
        optimizer made of it.
        """
        source = self.onnx(name)
        path = self._folder / f"{name}.{onnxruntime.__version__}.ort"
        if not path.exists() or path.stat().st_mtime < source.stat().st_mtime:
            with _written_atomically(path) as temporary:
                ortmmap.convert(source, temporary)
        return path

    def case(self, model: str, sizes: Mapping[str, int]) -> Case:
        """Return what `model` names, and arrays to run it with.

        Parameters
        ----------
        model : str
            A name in `MODELS`, which means its ``.ort`` file; the name with ``.ort`` or
            ``.onnx`` after it; or else the path of a file.
        sizes : mapping of str to int
            Sizes of symbolic dimensions.
        """
        name, _, suffix = model.partition(".")
        if name in MODELS and suffix in ("", "ort", "onnx"):
            path = self.onnx(name) if suffix == "onnx" else self.ort(name)
            inputs = MODELS[name].inputs
            return Case(f"{name}.{suffix or 'ort'}", path, feeds(inputs, sizes), self._cache())
        path = Path(model)
        return Case(path.name, path, feeds(declared_inputs(path), sizes), self._cache())

    def _cache(self) -> Path:
        return self._folder.resolve() / "cache"


def declared_inputs(path: Path) -> list[Input]:
    """Return the inputs that a model file declares.

    Raises
    ------
    ValueError
        onnxruntime can't open the file, or no values can be made up for an input.
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.disable_prepacking", "1")
    try:
        session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own have no common base
        raise ValueError(f"{path}: {error}") from error
    return [Input.of(arg) for arg in session.get_inputs()]


@contextmanager
def _written_atomically(path: Path) -> Iterator[Path]:
    """Give a temporary path that becomes `path`, synced to disk, when the block ends well.

    Synced because pages that await writing would count as the private memory of whoever maps them.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
