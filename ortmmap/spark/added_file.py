"""A model that ``SparkContext.addFile`` sends to the executors."""

from __future__ import annotations

import os
from dataclasses import dataclass

from ortmmap.engines.models import ModelPath, fetch
from ortmmap.engines.models import digest as digest_of
from ortmmap.engines.source import Copied

__all__ = ["AddedFile"]


@dataclass(frozen=True)
class AddedFile:
    """A file that was added with ``SparkContext.addFile``.

    Each executor has its own, and removes it at its end; the executors of a node share a copy in
    the cache's folder. A model with external data has no such form: use a path or a URL for it.

    Parameters
    ----------
    name : str
        The file's name, without folders.
    """

    name: str

    def local(self, *, cache: bool | ModelPath | None = None, digest: str | None = None) -> str:
        """Return the path of the node's copy; for executors. See `ortmmap.engines.local_model`."""
        from pyspark import SparkFiles

        return fetch(Copied(SparkFiles.get(self.name)), cache=cache, digest=digest)

    def driver_digest(self) -> str | None:
        """Return the digest of the driver's copy; None if there is none, or no SparkContext."""
        from pyspark import SparkFiles

        try:
            path = SparkFiles.get(self.name)
        except AssertionError:  # pyspark's error for a process without a SparkContext
            return None
        return digest_of(path) if os.path.isfile(path) else None
