"""A model file: whether it can be opened, and how a session with default options opens it."""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from ortmmap.doctor.cache import MEMORY_TYPES, user_folder_refusal
from ortmmap.doctor.finding import (
    FAILURE,
    NOTE,
    OK,
    WARNING,
    Check,
    Finding,
    mebibytes,
    of_reason,
)

if TYPE_CHECKING:
    from ortmmap.cache.store import Place

__all__ = ["checks"]

ORT_IDENTIFIER = b"ORTM"  # of the flatbuffer
REMOVED = "an entry of the cache was removed"  # as `CacheFolder.discard` says
PRIVATE = "each process has a copy of the weights that kernels prepack"


class _Scanned(NamedTuple):
    nbytes: int  # external data included
    nodes: int
    convolutions: int
    external: tuple[str, ...]


def checks(path: str) -> Sequence[tuple[str, Check]]:
    """Return the checks of a model."""
    model = _Model(path)
    return (
        ("file", model.file),
        ("format", model.format),
        ("external data", model.external_data),
        ("file system", model.file_system),
        ("permissions", model.permissions),
        ("cache", model.cache),
        ("entries", model.entries),
        ("opening", model.opening),
    )


class _Model:
    """The checks of one model. Those that need a model find nothing if it is none."""

    def __init__(self, path: str) -> None:
        self.path = path

    def file(self) -> Finding:
        """Check that the file can be read."""
        reason = _why_unreadable(self.path)
        if reason is not None:
            return reason
        return Finding(
            OK, f"{os.path.realpath(self.path)}, {mebibytes(os.path.getsize(self.path))}"
        )

    def format(self) -> Finding | None:
        """Check that the file is a model."""
        from ortmmap.errors import OrtError
        from ortmmap.model.inspect import inspect

        if _why_unreadable(self.path) is not None:
            return None
        try:
            found = inspect(self.path, largest=0)
        except (OrtError, OSError) as error:
            return Finding(FAILURE, str(error))
        weights = found.mapped_bytes + found.inline_bytes + found.external_bytes
        return Finding(OK, f"{found.format}, nodes: {found.nodes}, {mebibytes(weights)} of weights")

    def external_data(self) -> Finding | None:
        """Check that the files of external data can be read."""
        if self._scanned is None or not self._scanned.external:
            return None
        paths = self._scanned.external
        for reason in map(_why_unreadable, paths):
            if reason is not None:
                return reason
        total = sum(map(os.path.getsize, paths))
        return Finding(OK, f"files: {len(paths)}, {mebibytes(total)}")

    def file_system(self) -> Finding | None:
        """Check that the file system under the model is neither remote nor in memory."""
        from ortmmap.cache.folder import file_system_of, is_network

        if _why_unreadable(self.path) is not None:
            return None
        kind = file_system_of(self.path)
        if is_network(self.path):
            text = f"{kind}, a network file system: weights are read over the network"
            return Finding(WARNING, text, "copy the model to a local disk")
        if kind in MEMORY_TYPES:
            text = f"{kind}, which lies in memory: the file is charged to the container"
            return Finding(WARNING, text, "copy the model to a disk")
        return Finding(OK, kind or "unknown")

    def permissions(self) -> Finding | None:
        """Check whether others may change the file while it is mapped."""
        if _why_unreadable(self.path) is not None or os.name != "posix":
            return None
        mode = stat.S_IMODE(os.stat(self.path).st_mode)
        if not mode & (stat.S_IWGRP | stat.S_IWOTH):
            return Finding(OK, f"mode {mode:o}")
        text = f"mode {mode:o}: others may write to the file while processes map it"
        return Finding(NOTE, text, f"chmod go-w {self.path}")

    def cache(self) -> Finding | None:
        """Check whether a session with default options uses the cache."""
        from ortmmap.cache import SWITCH_VARIABLE, is_used

        if self._scanned is None:
            return None
        if self._uses_cache:
            return Finding(OK, "its size qualifies for the cache")
        if not is_used(None, model_bytes=1 << 62):
            return Finding(WARNING, f"not used, since {SWITCH_VARIABLE} is off")
        text = "not used for a model of this size, which opens quickly without"
        return Finding(NOTE, text, 'to share it all the same: Session(path, cache="a/folder")')

    def entries(self) -> Finding | None:
        """Check whether the cache has the entries of such a session."""
        if not self._uses_cache:
            return None
        places, removed = self._search
        if removed is not None:
            return Finding(WARNING, removed, f"python -m ortmmap cache warm {self.path}")
        for place in places:
            if place.kinds:
                return Finding(OK, f"{' and '.join(place.kinds)} in {place.folder}")
        refused = self._refused_place
        if refused is not None:
            return of_reason(f"those in {refused.folder} are not used", refused.refusal)
        if user_folder_refusal() is not None:
            return None
        text = "none for default options: the first session writes them"
        return Finding(NOTE, text, f"beforehand: python -m ortmmap cache warm {self.path}")

    def opening(self) -> Finding | None:
        """Describe how such a session is opened, and whether processes share its weights."""
        scanned = self._scanned
        if scanned is None:
            return None
        if not self._uses_cache:
            return Finding(OK, f"in place; {PRIVATE}")
        kinds = {kind for place in self._places for kind in place.kinds}
        if "pages" in kinds:
            return Finding(OK, "from the cache; processes share the prepacked weights")
        if user_folder_refusal() is not None:
            where = "entries" if self._refused_place is not None else "cache's folder"
            return Finding(WARNING, f"in place; {PRIVATE}", f"see the {where} above")
        if kinds:
            return Finding(OK, f"from the cache's graph; {PRIVATE}, until a session writes them")
        return Finding(OK, "in place, and written to the cache by a thread afterwards")

    @cached_property
    def _scanned(self) -> _Scanned | None:
        """The sizes and counts that decide about the cache; None if it is no model."""
        from ortmmap.errors import OrtError
        from ortmmap.model.mapping import Mapping
        from ortmmap.model.skeleton import scan

        if _why_unreadable(self.path) is not None:
            return None
        try:
            with Mapping(self.path) as mapping, memoryview(mapping) as data:
                if data[4:8] == ORT_IDENTIFIER:
                    return _Scanned(len(data), 0, 0, ())
                name = os.fsencode(os.path.basename(os.path.realpath(self.path)))
                found = scan(data, name, self.path)
                folder = os.path.dirname(os.path.abspath(self.path))
                external = (
                    os.path.join(folder, os.fsdecode(each))
                    for each in sorted(found.external_locations)
                )
                nbytes = len(data) + found.external_bytes
                return _Scanned(nbytes, found.nodes, found.convolutions, tuple(external))
        except (OrtError, OSError):
            return None

    @property
    def _refused_place(self) -> Place | None:
        """A system cache whose entries of the model are not used, though it may be searched."""
        from ortmmap.cache.system import folders

        usable = {folder for folder, reason in folders() if reason is None}
        refused = (each for each in self._places if each.refusal and each.folder in usable)
        return next(refused, None)

    @property
    def _uses_cache(self) -> bool:
        from ortmmap.cache import is_used

        found = self._scanned
        return found is not None and is_used(
            None,
            model_bytes=found.nbytes,
            nodes=found.nodes,
            convolutions=found.convolutions,
        )

    @cached_property
    def _places(self) -> list[Place]:
        """The folders in which a session looks for its entries, and what it finds there."""
        return self._search[0]

    @cached_property
    def _search(self) -> tuple[list[Place], str | None]:
        """The folders, and the warning of a damaged entry that looking for it has removed."""
        from ortmmap.session.lookup import look_up

        if self._scanned is None:
            return [], None
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            places = look_up(self.path).places
        texts = [str(warning.message) for warning in caught]
        return places, next((text for text in texts if text.startswith(REMOVED)), None)


def _why_unreadable(path: str) -> Finding | None:
    """Return the failure to read a file, or None."""
    try:
        found = os.stat(path)
        if stat.S_ISDIR(found.st_mode):
            return Finding(FAILURE, f"{path} is a folder", "name the model's file")
        if not stat.S_ISREG(found.st_mode):
            return Finding(FAILURE, f"{path} is no regular file, and cannot be mapped")
        with open(path, "rb") as file:
            if file.read(1) == b"":
                return Finding(FAILURE, f"{path} is empty", "copy it again")
    except PermissionError:
        return Finding(FAILURE, f"{path} may not be read", _permit(path))
    except OSError as error:
        return Finding(FAILURE, f"{path}: {error.strerror}")
    return None


def _permit(path: str) -> str:
    user = f"user {os.geteuid()}" if hasattr(os, "geteuid") else "this user"
    return f"let {user} read it: chmod a+r {path}, and chmod a+x its folders"
