"""Where a model comes from, if not from a path of the node: an fsspec URL, or an engine's file."""

from __future__ import annotations

import errno
import os
import posixpath
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from ortmmap.engines.pinned import beside
from ortmmap.errors import BY_ERRNO, MappingError, OrtError, file_error

__all__ = ["Copied", "Remote", "Source", "failing_as", "is_url", "mapping_failure"]

# The fields of fsspec's `info` that differ between two versions of a file, by file system.
VERSION_FIELDS = frozenset(
    {
        *("size", "etag", "mtime", "lastmodified", "last_modified", "last-modified", "updated"),
        *("created", "md5", "md5hash", "content-md5", "content_md5", "crc32c", "generation"),
        *("digest", "checksum", "version_id", "versionid"),
    }
)


class Source(ABC):
    """A model file, and files of external data beside it, that a node needs a copy of.

    Attributes
    ----------
    url : str
        Its name, the same for all processes of the node that use it.
    """

    url: str

    @abstractmethod
    def version(self) -> str:
        """Return a text that is another one if the model file is replaced."""

    @abstractmethod
    def size(self, name: str) -> int:
        """Return the size of a file in bytes; 0 if unknown. `name` is as for `open`."""

    @abstractmethod
    def open(self, name: str) -> Any:
        """Open the model file (empty `name`), or one relative to its folder, for reading."""


class Remote(Source):
    """A model that fsspec opens.

    Parameters
    ----------
    url : str
        Such as ``s3://bucket/model.onnx``.

    Raises
    ------
    ImportError
        If fsspec, or its package for this kind of URL, is not installed.
    """

    def __init__(self, url: str) -> None:
        try:
            from fsspec.core import url_to_fs
        except ImportError as error:
            raise ImportError(f"{url}: a URL needs fsspec: pip install fsspec") from error
        self.url = url
        with failing_as(url, "cannot be fetched"):
            self._system, self._path = url_to_fs(url)

    def version(self) -> str:  # noqa: D102 - as the base class
        self._system.invalidate_cache()
        found = self._system.info(self._path)
        fields = {name: found[name] for name in found if name.lower() in VERSION_FIELDS}
        return repr(sorted((name, str(value)) for name, value in fields.items()))

    def size(self, name: str) -> int:  # noqa: D102
        return self._system.info(self._beside(name)).get("size") or 0

    def open(self, name: str) -> Any:  # noqa: D102
        return self._system.open(self._beside(name), "rb")

    def _beside(self, name: str) -> str:
        if not name:
            return self._path
        return posixpath.join(posixpath.dirname(self._path), name)


class Copied(Source):
    """A local file that an engine has given to one of its processes, and may remove.

    Parameters
    ----------
    path : str
    """

    def __init__(self, path: str) -> None:
        self.url = os.path.abspath(path)

    def version(self) -> str:  # noqa: D102
        found = os.stat(self.url)
        return repr((found.st_ino, found.st_size, found.st_mtime_ns))

    def size(self, name: str) -> int:  # noqa: D102
        return os.stat(beside(self.url, name)).st_size

    def open(self, name: str) -> BinaryIO:  # noqa: D102
        return open(beside(self.url, name), "rb")


def is_url(model: str) -> bool:
    """Return whether a model is a URL, or a chain of them, and no path."""
    return "://" in model or "::" in model


@contextmanager
def failing_as(path: str, what: str) -> Iterator[None]:
    """Raise what goes wrong in the block as an exception of ortmmap that names the model."""
    try:
        yield
    except (ImportError, OrtError):
        raise
    except Exception as error:  # file systems of fsspec raise errors of their own
        raise mapping_failure(path, what, error) from error


def mapping_failure(path: str, what: str, error: BaseException) -> OSError:
    """Return the exception for a model that cannot be brought to this node."""
    number = getattr(error, "errno", None)
    if isinstance(error, FileNotFoundError):
        number = errno.ENOENT
    elif isinstance(error, PermissionError):
        number = errno.EACCES
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    if number == errno.ENOENT:
        said = "there is no such file"
    return file_error(BY_ERRNO.get(number or 0, MappingError), f"{what}: {said}", path, number)
