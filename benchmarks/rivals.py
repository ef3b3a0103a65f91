"""The ways to open a model that are compared, each by name."""

import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, Self


@dataclass(frozen=True)
class Rival:
    """One way to open a model."""

    name: str  # on the command line
    title: str  # in tables and plots
    module: str  # has ``InferenceSession`` and ``SessionOptions``
    form: str = "given"  # of the model that is opened; see `benchmarks.forms`
    entries: Mapping[str, str] = field(default_factory=dict)  # config entries of the session
    since: tuple[int, int] = (1, 23)  # the oldest version of onnxruntime
    arguments: Mapping[str, Any] = field(default_factory=dict)  # others of ``InferenceSession``
    empty_cache: bool = False  # every process gets an empty folder for its cache
    opens: bool = True  # False: only imports the module and opens the native library
    preload: bool = False  # workers are forked from a process that has opened the session
    opener: ClassVar[str] = "InferenceSession"

    @property
    def bare(self) -> str:
        """The name of the rival that imports the same and opens nothing."""
        return f"bare-{self.module}"

    def unavailable(self, model: Path) -> str | None:
        """Return the reason why it can't open `model` here, or None if it can."""
        if model.suffix == ".ort" and self.form not in ("given", "mapped"):
            return "needs the .onnx file"
        if self.preload and not hasattr(os, "fork"):
            return "needs fork(2)"
        try:
            version = importlib.import_module("onnxruntime").__version__
            importlib.import_module(self.module)
        except ImportError as error:
            return str(error)
        if tuple(map(int, version.split(".")[:2])) < self.since:
            return f"needs onnxruntime {self.since[0]}.{self.since[1]}, this is {version}"
        return None

    def with_entries(self, entries: Mapping[str, str]) -> Self:
        """Return the same with more config entries; other runtimes ignore them."""
        return replace(self, entries={**self.entries, **entries})

    def load(self) -> None:
        """Import its module and the class that opens a model: ortmmap imports that at first use."""
        getattr(importlib.import_module(self.module), self.opener)

    def open_library(self) -> None:
        """Open the native library: importing onnxruntime does so, ortmmap opens it at need."""
        importlib.import_module(self.module).get_version_string()

    def libraries(self) -> list[Path]:
        """Return the native libraries of its package, and of onnxruntime's, which ortmmap uses."""
        found = map(importlib.util.find_spec, {self.module, "onnxruntime"})
        folders = [spec.submodule_search_locations[0] for spec in found]
        return [path for folder in folders for path in Path(folder).rglob("*.so*")]

    def open(self, model: Path, threads: int, cache: Path) -> Any:  # noqa: ARG002
        """Return a session; ortmmap finds the folder of its cache in ``ORTMMAP_CACHE_DIR``."""
        module = importlib.import_module(self.module)
        options = module.SessionOptions()
        options.intra_op_num_threads = threads
        for key, value in self.entries.items():
            options.add_session_config_entry(key, value)
        more = {"providers": ["CPUExecutionProvider"], **self.arguments}
        return module.InferenceSession(str(model), options, **more)


class OpenVinoRival(Rival):
    """OpenVINO, computing in float32 as the others do, with or without its cache of models."""

    opener: ClassVar[str] = "Core"

    def open_library(self) -> None:
        """Look for the devices."""
        importlib.import_module(self.module).Core()

    def open(self, model: Path, threads: int, cache: Path) -> Any:
        """Return a compiled model with the methods of a session that are measured."""
        settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
        if self.arguments.get("cache"):
            settings["CACHE_DIR"] = os.fspath(cache)
        core = importlib.import_module(self.module).Core()
        compiled = core.compile_model(str(model), "CPU", settings | {"NUM_STREAMS": 1})
        request = compiled.create_infer_request()

        def run(_names: None, feeds: dict[str, Any]) -> list[Any]:
            results = request.infer(feeds)
            return [results[output] for output in compiled.outputs]

        names = [SimpleNamespace(name=output.any_name) for output in compiled.outputs]
        return SimpleNamespace(run=run, get_outputs=lambda: names)


_ort = partial(Rival, module="onnxruntime")
_ours = partial(Rival, module="ortmmap")
_openvino = partial(OpenVinoRival, module="openvino", form="onnx")

# Older versions ignore the first entry. https://github.com/microsoft/onnxruntime/pull/28164
_COPIED = {"session.use_memory_mapped_ort_model": "1"}
_IN_PLACE = _COPIED | {"session.use_ort_model_bytes_for_initializers": "1"}
_PLAIN = {"session.disable_prepacking": "1"}
_MAPPED = {"form": "mapped", "since": (1, 26), "entries": _IN_PLACE}
_MAPPED_PLAIN = _MAPPED | {"entries": _IN_PLACE | _PLAIN}
_MAPPED_COPIED = _MAPPED | {"entries": _COPIED}
_UNCACHED = {"arguments": {"cache": False}}
_UNCACHED_PLAIN = _UNCACHED | {"entries": _PLAIN}
_ORT = {"form": "ort"}
_ORT_PLAIN = _ORT | _UNCACHED_PLAIN

_ALL = (
    _ort("ort", "onnxruntime"),
    _ort("ort-preload", "onnxruntime, preloaded", preload=True),
    _ort("ort-ort", "onnxruntime, .ort", **_ORT),
    _ort("ort-mmap-copied", "onnxruntime mmap, .ort, initializers copied", **_MAPPED_COPIED),
    _ort("ort-mmap", "onnxruntime mmap, .ort", **_MAPPED),
    _ort("ort-mmap-noprepack", "onnxruntime mmap, .ort, no prepacking", **_MAPPED_PLAIN),
    _ort("ort-external", "onnxruntime, external data", form="external"),
    _ort("ort-prepacked", "onnxruntime, saved prepacked", form="prepacked"),
    _openvino("openvino", "OpenVINO"),
    _openvino("openvino-cached", "OpenVINO, cached", arguments={"cache": True}),
    # With its defaults: it caches models of 16 MiB and more. The cache is warm, since every rival
    # opens the model once before anything is measured.
    _ours("ortmmap", "ortmmap"),
    _ours("ortmmap-preload", "ortmmap, preloaded", preload=True),
    _ours("ortmmap-cold", "ortmmap, empty cache", empty_cache=True),
    _ours("ortmmap-nocache", "ortmmap, no cache", **_UNCACHED),
    _ours("ortmmap-noprepack", "ortmmap, no cache, no prepacking", **_UNCACHED_PLAIN),
    _ours("ortmmap-ort", "ortmmap, .ort", **_ORT),
    _ours("ortmmap-ort-nocache", "ortmmap, .ort, no cache", **_ORT, **_UNCACHED),
    _ours("ortmmap-ort-noprepack", "ortmmap, .ort, no cache, no prepacking", **_ORT_PLAIN),
    _ort("bare-onnxruntime", "no session, onnxruntime", opens=False),
    _ours("bare-ortmmap", "no session, ortmmap", opens=False),
    _openvino("bare-openvino", "no session, OpenVINO", opens=False),
)
RIVALS: dict[str, Rival] = {rival.name: rival for rival in _ALL}

# What `open` and `memory` compare by default.
SESSIONS = tuple(one.name for one in _ALL if one.opens and not one.preload)
