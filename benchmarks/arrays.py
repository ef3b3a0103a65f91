"""Named arrays in an ``.npz`` file; strings are objects outside of it, as those of pandas."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np


def save(file: Path | BinaryIO, named: Mapping[str, np.ndarray]) -> None:
    """Write the arrays; strings with a fixed width, for objects would have to be pickled."""
    plain = {name: one.astype(str) if one.dtype == object else one for name, one in named.items()}
    np.savez(file, **plain)


def load(file: Path | BinaryIO) -> dict[str, np.ndarray]:
    """Return the arrays that `save` was given."""
    with np.load(file) as saved:
        plain = dict(saved)
    return {
        name: one.astype(object) if one.dtype.kind == "U" else one for name, one in plain.items()
    }


def dump(named: Mapping[str, np.ndarray]) -> bytes:
    """Return the arrays as the body of a request or an answer."""
    file = io.BytesIO()
    save(file, named)
    return file.getvalue()


def parse(body: bytes) -> dict[str, np.ndarray]:
    """Return the arrays that `dump` was given."""
    return load(io.BytesIO(body))
