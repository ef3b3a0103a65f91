"""Records of model versions: small files in the folder of fetched models, replaced as a whole."""

from __future__ import annotations

import json
import os
from typing import NamedTuple

from ortmmap.cache.folder import delete, temporary_name, write_file

__all__ = ["PATH_RECORD", "Record", "discard", "hashed", "read_record", "write_record"]

PATH_RECORD = "path-"  # the name's beginning, if the model is used where it is, and not fetched


class Record(NamedTuple):
    """The digest of the version that was last found at a path or URL."""

    url: str
    version: str
    digest: str


def hashed(url: str) -> str:
    """Return the part of a record's name that stands for a path or URL."""
    from xxhash import xxh3_128

    return xxh3_128(url.encode()).hexdigest()


def read_record(path: str) -> Record | None:
    """Return a record; None if there is none that can be read."""
    try:
        with open(path, "rb") as file:
            return Record(*json.load(file))
    except (OSError, ValueError, TypeError):
        return None


def write_record(path: str, record: Record) -> None:
    """Write a record, or replace the one that is there."""
    temporary = os.path.join(os.path.dirname(path), temporary_name())
    try:
        write_file(temporary, json.dumps(record).encode())
        os.replace(temporary, path)
    finally:
        discard(temporary)


def discard(path: str) -> None:
    """Remove a file or folder, if it is there."""
    if os.path.lexists(path):
        delete(path)
