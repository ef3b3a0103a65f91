"""The ways to open a model that are compared, each by name."""

from __future__ import annotations

import atexit
import importlib
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_PROVIDERS = ["CPUExecutionProvider"]

_MAPPED = {
    "session.use_memory_mapped_ort_model": "1",
    "session.use_ort_model_bytes_for_initializers": "1",
}
_NO_PREPACKING = {"session.disable_prepacking": "1"}


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
    entries : dict of str to str
        The session's config entries.
    onnxruntime : tuple of int
        The least version of onnxruntime.
    ort_format_only : bool
        It opens ``.ort`` files only.
    arguments : dict
        More arguments of its ``InferenceSession``.
    empty_cache : bool
        Every session gets an empty folder for its cache.
    """

    name: str
    title: str
    module: str
    entries: dict[str, str] = field(default_factory=dict)
    onnxruntime: tuple[int, int] = (1, 23)
    ort_format_only: bool = False
    arguments: dict[str, Any] = field(default_factory=dict)
    empty_cache: bool = False

    def unavailable(self, model: Path) -> str | None:
        """Return why it can't open `model` here, or None if it can."""
        if self.ort_format_only and model.suffix != ".ort":
            return "opens .ort files only"
        try:
            version = importlib.import_module("onnxruntime").__version__
            importlib.import_module(self.module)
        except ImportError as error:
            return str(error)
        if tuple(map(int, version.split(".")[:2])) < self.onnxruntime:
            least = ".".join(map(str, self.onnxruntime))
            return f"needs onnxruntime {least}, this is {version}"
        return None

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


def _empty_folder() -> str:
    """Make a folder beside the other caches, removed when the process ends."""
    parent = os.environ["ORTMMAP_CACHE_DIR"]
    folder = tempfile.mkdtemp(prefix="empty-", dir=os.path.dirname(parent))  # noqa: PTH120
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


RIVALS: dict[str, Rival] = {
    rival.name: rival
    for rival in (
        Rival("ort", "onnxruntime", "onnxruntime"),
        Rival(
            "ort-mmap",
            "onnxruntime mmap",
            "onnxruntime",
            # https://github.com/microsoft/onnxruntime/pull/28164; older ones ignore the first entry
            entries=_MAPPED,
            onnxruntime=(1, 26),
            ort_format_only=True,
        ),
        # The cache is warm: every rival opens the model once before anything is measured.
        Rival("ortmmap", "ortmmap", "ortmmap", arguments={"cache": True}),
        Rival("ortmmap-cold", "ortmmap, empty cache", "ortmmap", empty_cache=True),
        Rival("ortmmap-nocache", "ortmmap, no cache", "ortmmap", arguments={"cache": False}),
        Rival(
            "ort-mmap-noprepack",
            "onnxruntime mmap, no prepacking",
            "onnxruntime",
            entries=_MAPPED | _NO_PREPACKING,
            onnxruntime=(1, 26),
            ort_format_only=True,
        ),
        Rival(
            "ortmmap-noprepack",
            "ortmmap, no cache, no prepacking",
            "ortmmap",
            entries=_NO_PREPACKING,
            arguments={"cache": False},
        ),
    )
}
