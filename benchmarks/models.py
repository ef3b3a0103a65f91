"""The models that are measured: built once with random weights, kept in a folder, reused."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnxruntime

from benchmarks import architectures
from benchmarks.forms import data_of, form_of, sync, written_atomically
from benchmarks.inputs import Input, feeds

if TYPE_CHECKING:
    from onnx import ModelProto

_LARGEST_PROTOBUF = 2000  # MiB of weights; a larger model has them as external data


@dataclass(frozen=True)
class Model:
    """A model that can be generated.

    Attributes
    ----------
    build : callable
        Makes it.
    inputs : tuple of Input
        What it is fed.
    sizes : dict of str to int
        Sizes of symbolic dimensions that suit it, over `benchmarks.inputs.DEFAULT_SIZES`.
    quantize : bool
        Its weights are quantized after it is built: int8, and activations at run time.
    megabytes : int
        How many MiB of weights it has, where that is more than a protobuf may hold. Then `build`
        takes the file that they are written to.
    """

    build: Callable[..., ModelProto]
    inputs: tuple[Input, ...]
    sizes: dict[str, int] = field(default_factory=dict)
    quantize: bool = False
    megabytes: int = 0


MODELS: dict[str, Model] = {
    "one_node": Model(architectures.one_node, architectures.ONE_NODE_INPUTS),
    "chain": Model(architectures.chain, architectures.CHAIN_INPUTS),
    "resnet50": Model(architectures.resnet50, architectures.RESNET_INPUTS),
    "bert_base": Model(architectures.bert_base, architectures.BERT_INPUTS),
    "vit_b16": Model(architectures.vit_b16, architectures.VIT_INPUTS),
    "gpt2": Model(architectures.gpt2, architectures.GPT2_INPUTS, {"sequence": 1, "past": 127}),
    "bert_base_int8": Model(architectures.bert_base, architectures.BERT_INPUTS, quantize=True),
}

# Models of any size, named after it, such as weights_64, nodes_1000, inputs_4x1024.
FAMILIES = "weights_MEBIBYTES, nodes_COUNT, strings_COUNT, inputs_COUNT or inputs_COUNTxELEMENTS"
_FAMILY = re.compile(r"(weights|nodes|strings|inputs)_([1-9]\d*)(?:x([1-9]\d*))?")


def generated(name: str) -> Model | None:
    """Return the model that can be generated under this name, or None."""
    if name in MODELS:
        return MODELS[name]
    found = _FAMILY.fullmatch(name)
    if not found or (found[3] and found[1] != "inputs"):
        return None
    kind, size, elements = found[1], int(found[2]), int(found[3] or 4)
    if kind == "weights":
        large = size if size > _LARGEST_PROTOBUF else 0
        build = partial(architectures.weights, size)
        return Model(build, architectures.weights_inputs(size), megabytes=large)
    if kind == "nodes":
        return Model(partial(architectures.nodes, size), architectures.NODES_INPUTS)
    if kind == "strings":
        return Model(partial(architectures.strings, size), architectures.strings_inputs(size))
    build = partial(architectures.many_inputs, size, elements)
    return Model(build, architectures.many_inputs_inputs(size, elements))


@dataclass(frozen=True)
class Case:
    """A model file, the arrays that it is run with, and where what is made of it is kept."""

    name: str
    path: Path
    feeds: dict[str, Any]
    folder: Path

    @property
    def nbytes(self) -> int:
        """The size of the model, with external data where it was generated with some."""
        data = data_of(self.path)
        return self.path.stat().st_size + (data.stat().st_size if data.exists() else 0)

    @property
    def cache(self) -> Path:
        """The folder of ortmmap's cache, for this model alone."""
        return self.folder / "cache" / self.name

    @property
    def openvino_cache(self) -> Path:
        """The folder of OpenVINO's cache, for this model alone."""
        return self.folder / "openvino" / self.name


class Store:
    """A folder of generated model files.

    Parameters
    ----------
    folder : Path
        Created when the first file is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    def onnx(self, name: str) -> Path:
        """Return the ``.onnx`` file of a generated model, built if it is not there."""
        path = self._folder / f"{name}.onnx"
        model = generated(name)
        if model is None:
            raise LookupError(f"no model is called {name!r}; there are {', '.join(MODELS)}")
        if not path.exists():
            with written_atomically(path) as temporary:
                _write(model, temporary, data_of(path))
        return path

    def ort(self, name: str) -> Path:
        """Return the same model in ORT format, as the installed onnxruntime optimizes it."""
        return form_of("ort", self.onnx(name), self._folder)

    def case(self, model: str, sizes: Mapping[str, int]) -> Case:
        """Return what `model` names, and arrays to run it with.

        Parameters
        ----------
        model : str
            A name that can be generated, which means its ``.ort`` file; the name with ``.ort``
            or ``.onnx`` after it; or else the path of a file.
        sizes : mapping of str to int
            Sizes of symbolic dimensions, over those that suit the model.
        """
        name, _, suffix = model.partition(".")
        known = generated(name)
        if known and suffix in ("", "ort", "onnx"):
            path = self.onnx(name) if suffix == "onnx" else self.ort(name)
            arrays = feeds(known.inputs, known.sizes | dict(sizes))
            return Case(f"{name}.{suffix or 'ort'}", path, arrays, self._folder)
        path = Path(model)
        return Case(path.name, path, feeds(declared_inputs(path), sizes), self._folder)


def _write(model: Model, path: Path, data: Path) -> None:
    if model.megabytes:
        with data.open("wb") as file:
            built = model.build(file)
        sync(data)
        path.write_bytes(built.SerializeToString())
        return
    path.write_bytes(model.build().SerializeToString())
    if model.quantize:
        from onnxruntime.quantization import quantize_dynamic

        plain = path.with_suffix(".plain.onnx")
        path.replace(plain)
        try:
            quantize_dynamic(plain, path)
        finally:
            plain.unlink()


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
