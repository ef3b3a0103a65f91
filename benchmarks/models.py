"""The models that are measured: generated once, kept in a folder, and reused."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ortmmap
from benchmarks.architectures import MODELS, generated
from benchmarks.forms import form_of, written_atomically
from benchmarks.inputs import Input, feeds


@dataclass(frozen=True)
class Case:
    """A model file, the arrays that it is run with, and the folder of its forms and caches."""

    name: str
    path: Path
    feeds: dict[str, Any]
    folder: Path

    def cache(self, module: str) -> Path:
        """Return the folder of a module's cache, for this model alone; its parent exists."""
        folder = self.folder / "cache" / module / self.name
        folder.parent.mkdir(parents=True, exist_ok=True)
        return folder


class Store:
    """A folder of generated model files, created when the first is written."""

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
                temporary.write_bytes(model.build().SerializeToString())
                if model.quantize:
                    from onnxruntime.quantization import quantize_dynamic

                    quantize_dynamic(temporary, temporary)
        return path

    def case(self, model: str, sizes: Mapping[str, Any]) -> Case:
        """Return a model and the arrays to run it with, symbolic dimensions of the given sizes.

        `model` is the name of one that can be generated, with ``.onnx`` or ``.ort`` (the default)
        after it, or else the path of a file.
        """
        name, _, suffix = model.partition(".")
        known = generated(name)
        if known and suffix in ("", "ort", "onnx"):
            path = form_of("given" if suffix == "onnx" else "ort", self.onnx(name), self._folder)
            arrays = feeds(known.inputs, known.sizes | dict(sizes))
            return Case(f"{name}.{suffix or 'ort'}", path, arrays, self._folder)
        path = Path(model)
        return Case(path.name, path, feeds(declared_inputs(path), sizes), self._folder)


def declared_inputs(path: Path) -> list[Input]:
    """Return the inputs that a model file declares."""
    return [Input.of(value) for value in ortmmap.inspect(path).inputs]
