"""A model as the driver of a job has seen it, for workers that may find another one at its path."""

from __future__ import annotations

import os
from dataclasses import dataclass

__all__ = ["Pinned", "Stamps", "beside", "stamps"]

Stamps = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class Pinned(os.PathLike[str]):
    """A path or URL of a model, and the version that one process has found there.

    Parameters
    ----------
    model : str
    digest : str
    stamps : tuple of (str, int, int)
        Name relative to the model's folder, size in bytes, and time of modification in ns of each
        file. The model file's name is empty. Empty for a URL.
    """

    model: str
    digest: str
    stamps: Stamps

    def __fspath__(self) -> str:
        """Return the path or URL."""
        return self.model

    def expected(self) -> str | None:
        """Return the digest that a worker compares with its file's, as it opens the model.

        None, and the file need not be read, if sizes and times are those that were seen.
        """
        try:
            found = stamps(self.model, [name for name, _, _ in self.stamps])
        except OSError:  # opening the model says so
            return self.digest
        return None if self.stamps and found == self.stamps else self.digest


def stamps(path: str, names: list[str]) -> Stamps:
    """Return name, size and time of modification of a model's files."""
    found = [(name, os.stat(beside(path, name))) for name in names]
    return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in found)


def beside(path: str, name: str) -> str:
    """Return the path of one of a model's files; the model file's own name is empty."""
    return os.path.join(os.path.dirname(path), name) if name else path
