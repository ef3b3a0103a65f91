"""Faults for the tests of batch engines: callables that the engines' processes import."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import numpy as np

Batch = dict[str, np.ndarray]


def once(marker: str) -> bool:
    """Return whether this call is the first one, in any process."""
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


@dataclass
class Killed:
    """A preprocess that kills its process once, at a batch that has row `at`."""

    marker: str
    at: float = 60

    def __call__(self, batch: Batch) -> Batch:
        if (batch["id"] == self.at).any() and once(self.marker):
            os.kill(os.getpid(), signal.SIGKILL)
        return batch


@dataclass
class Replaced:
    """A preprocess that replaces the model once, and may then kill its process."""

    marker: str
    model: str
    other: str
    kill: bool = False

    def __call__(self, batch: Batch) -> Batch:
        if (batch["id"] >= 60).any() and once(self.marker):
            Path(self.other).replace(self.model)
            if self.kill:
                os.kill(os.getpid(), signal.SIGKILL)
        return batch


def with_place(made: Batch) -> Batch:
    """Add columns with the process and the node that a row was computed in."""
    count = len(next(iter(made.values())))
    place = {"process": os.getpid(), "node": os.environ.get("NODE", "")}
    return {**made, **{name: np.array([value] * count) for name, value in place.items()}}
