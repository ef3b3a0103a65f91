"""A model as the driver of a job sees it, for workers that may find another one at its path."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Self

from ortmmap.engines.models import LOCAL, ModelPath, digest, external_files
from ortmmap.engines.source import is_url
from ortmmap.errors import OrtError

__all__ = ["Seen"]

Stamps = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class Seen:
    """A model file and its external data, as one process has seen them.

    Parameters
    ----------
    digest : str
    stamps : tuple of (str, int, int)
        Name relative to the model's folder, size in bytes, and time of modification in ns of each
        file. The model file's name is empty.
    """

    digest: str
    stamps: Stamps

    @classmethod
    def of(cls, model: ModelPath) -> Self | None:
        """Return a model as this process sees it; None for a URL, or if it cannot be read here."""
        path = os.fspath(model).removeprefix(LOCAL)
        if is_url(path):
            return None
        try:
            stamps = _stamps(path, ["", *external_files(path)])  # before the bytes are read
            return cls(digest(path), stamps)
        except (OrtError, OSError):
            return None

    def expected(self, model: ModelPath) -> str | None:
        """Return the digest that a worker compares with its file's, as it opens the model.

        None, and the file need not be read, if sizes and times are those that were seen.
        """
        path = os.fspath(model).removeprefix(LOCAL)
        try:
            unchanged = _stamps(path, [name for name, _, _ in self.stamps]) == self.stamps
        except OSError:  # opening the model says so
            return self.digest
        return None if unchanged else self.digest


def _stamps(path: str, names: list[str]) -> Stamps:
    folder = os.path.dirname(path)
    found = [(name, os.stat(os.path.join(folder, name) if name else path)) for name in names]
    return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in found)
