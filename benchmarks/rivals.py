"""The ways to open a model that are compared, each by name."""

from __future__ import annotations

import atexit
import importlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

_PROVIDERS = ["CPUExecutionProvider"]

# Older ones ignore the first entry. https://github.com/microsoft/onnxruntime/pull/28164
_MAPPED = {"session.use_memory_mapped_ort_model": "1"}
_IN_PLACE = {"session.use_ort_model_bytes_for_initializers": "1"}
_NO_PREPACKING = {"session.disable_prepacking": "1"}
_MAPPED_SINCE = (1, 26)

OPENVINO_CACHE = "ORTMMAP_BENCH_OPENVINO_CACHE"


@dataclass(frozen=True)
class Rival:
    """One way to open a model.

    Attributes
    ----------
    name : str
        What it is called on the command line.
    title : str
        What it is called in tables and plots.
    module : str
        The module it needs; has ``InferenceSession`` and ``SessionOptions``.
    bare : str
        The rival that imports the same and opens nothing.
    form : str
        What it opens, made of the model that is given; see `benchmarks.forms`.
    entries : dict of str to str
        The session's config entries.
    onnxruntime : tuple of int
        The least version of onnxruntime.
    arguments : dict
        More arguments of its ``InferenceSession``.
    empty_cache : bool
        Every session gets an empty folder for its cache.
    opens : bool
        Whether it opens a session at all, or imports and opens the library only.
    """

    name: str
    title: str
    module: str
    bare: str
    form: str = "given"
    entries: dict[str, str] = field(default_factory=dict)
    onnxruntime: tuple[int, int] = (1, 23)
    arguments: dict[str, Any] = field(default_factory=dict)
    empty_cache: bool = False
    opens: bool = True

    @property
    def ours(self) -> bool:
        """Whether it is ortmmap."""
        return self.module == "ortmmap"

    def unavailable(self, model: Path) -> str | None:
        """Return why it can't open `model` here, or None if it can."""
        if model.suffix == ".ort" and self.form not in ("given", "mapped"):
            return "needs the .onnx file"
        try:
            version = importlib.import_module("onnxruntime").__version__
            importlib.import_module(self.module)
        except ImportError as error:
            return str(error)
        if tuple(map(int, version.split(".")[:2])) < self.onnxruntime:
            least = ".".join(map(str, self.onnxruntime))
            return f"needs onnxruntime {least}, this is {version}"
        return None

    def with_entries(self, entries: Mapping[str, str]) -> Self:
        """Return the same with more config entries; what does not know them ignores them."""
        return replace(self, entries=self.entries | entries)

    def load(self) -> None:
        """Import what it needs."""
        importlib.import_module(self.module)

    def open_library(self) -> None:
        """Have the native library opened: onnxruntime does so when imported, ortmmap at need."""
        importlib.import_module(self.module).get_version_string()

    def open(self, model: Path, threads: int) -> Any:
        """Return a session.

        Parameters
        ----------
        model : Path
            The file.
        threads : int
            Threads that compute one operator, the caller's included.
        """
        module = importlib.import_module(self.module)
        options = module.SessionOptions()
        options.intra_op_num_threads = threads
        for key, value in self.entries.items():
            options.add_session_config_entry(key, value)
        arguments = dict(self.arguments)
        if self.empty_cache:
            arguments["cache"] = _empty_folder()
        return module.InferenceSession(str(model), options, providers=_PROVIDERS, **arguments)


class OpenVinoRival(Rival):
    """OpenVINO, computing in float32 as the others do, with or without its cache of models."""

    def open_library(self) -> None:
        """Make what finds the devices."""
        importlib.import_module(self.module).Core()

    def open(self, model: Path, threads: int) -> OpenVinoSession:
        """Return a compiled model that is run as a session is."""
        settings = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "INFERENCE_PRECISION_HINT": "f32",
        }
        if self.arguments.get("cache"):
            settings["CACHE_DIR"] = os.environ[OPENVINO_CACHE]
        core = importlib.import_module(self.module).Core()
        return OpenVinoSession(core.compile_model(str(model), "CPU", settings))


class OpenVinoSession:
    """A compiled model of OpenVINO with the methods of a session that are measured."""

    def __init__(self, compiled: Any) -> None:
        self._request = compiled.create_infer_request()
        self._outputs = compiled.outputs

    def get_outputs(self) -> list[Named]:
        """Return the outputs' names."""
        return [Named(output.any_name) for output in self._outputs]

    def run(self, _names: None, feeds: dict[str, Any]) -> list[Any]:
        """Return all outputs, as arrays of their own."""
        results = self._request.infer(feeds)
        return [results[output] for output in self._outputs]


@dataclass(frozen=True)
class Named:
    """What has a name."""

    name: str


def _empty_folder() -> str:
    """Make a folder beside the other caches, removed when the process ends."""
    parent = os.environ["ORTMMAP_CACHE_DIR"]
    folder = tempfile.mkdtemp(prefix="empty-", dir=os.path.dirname(parent))  # noqa: PTH120
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _ort(name: str, title: str, **more: Any) -> Rival:
    return Rival(name, title, "onnxruntime", "bare-onnxruntime", **more)


def _mapped(name: str, title: str, entries: dict[str, str]) -> Rival:
    entries = _MAPPED | entries
    return _ort(name, title, form="mapped", entries=entries, onnxruntime=_MAPPED_SINCE)


def _ours(name: str, title: str, **more: Any) -> Rival:
    return Rival(name, title, "ortmmap", "bare-ortmmap", **more)


def _openvino(name: str, title: str, **more: Any) -> Rival:
    return OpenVinoRival(name, title, "openvino", "bare-openvino", form="onnx", **more)


_NO_CACHE: dict[str, Any] = {"arguments": {"cache": False}}

RIVALS: dict[str, Rival] = {
    rival.name: rival
    for rival in (
        _ort("ort", "onnxruntime"),
        _ort("ort-ort", "onnxruntime, .ort", form="ort"),
        _mapped("ort-mmap", "onnxruntime mmap, .ort", _IN_PLACE),
        _mapped("ort-mmap-copy", "onnxruntime mmap, .ort, initializers copied", {}),
        _mapped(
            "ort-mmap-noprepack",
            "onnxruntime mmap, .ort, no prepacking",
            _IN_PLACE | _NO_PREPACKING,
        ),
        _mapped(
            "ort-mmap-copy-noprepack",
            "onnxruntime mmap, .ort, initializers copied, no prepacking",
            _NO_PREPACKING,
        ),
        _ort("ort-external", "onnxruntime, external data", form="external"),
        _ort("ort-prepacked", "onnxruntime, saved prepacked", form="prepacked"),
        _openvino("openvino", "OpenVINO"),
        _openvino("openvino-cached", "OpenVINO, cached", arguments={"cache": True}),
        # As it comes, which is with the cache where that pays, for models of 16 MiB and more. The
        # caches are warm: every rival opens the model once before anything is measured.
        _ours("ortmmap", "ortmmap"),
        _ours("ortmmap-cold", "ortmmap, empty cache", empty_cache=True),
        _ours("ortmmap-nocache", "ortmmap, no cache", **_NO_CACHE),
        _ours(
            "ortmmap-noprepack",
            "ortmmap, no cache, no prepacking",
            entries=_NO_PREPACKING,
            **_NO_CACHE,
        ),
        _ours("ortmmap-ort", "ortmmap, .ort", form="ort"),
        _ours("ortmmap-ort-nocache", "ortmmap, .ort, no cache", form="ort", **_NO_CACHE),
        _ours(
            "ortmmap-ort-noprepack",
            "ortmmap, .ort, no cache, no prepacking",
            form="ort",
            entries=_NO_PREPACKING,
            **_NO_CACHE,
        ),
        _ort("bare-onnxruntime", "no session, onnxruntime", opens=False),
        _ours("bare-ortmmap", "no session, ortmmap", opens=False),
        _openvino("bare-openvino", "no session, OpenVINO", opens=False),
    )
}

SESSIONS = tuple(name for name, rival in RIVALS.items() if rival.opens)
