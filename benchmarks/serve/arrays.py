"""Named arrays as the body of a request or an answer: an ``.npz`` file."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np


def dump(named: Mapping[str, np.ndarray]) -> bytes:
    """Return the arrays as bytes."""
    file = io.BytesIO()
    np.savez(file, **named)
    return file.getvalue()


def load(body: bytes) -> dict[str, np.ndarray]:
    """Return the arrays that `dump` was given."""
    with np.load(io.BytesIO(body)) as saved:
        return dict(saved)
