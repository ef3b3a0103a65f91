"""What each copy of a job computes: a module that the copies can import."""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import arrays
from benchmarks.worker import Task

_READY_SECONDS = 600
_WAIT_SECONDS = 0.01

Batch = dict[str, Any]
Shapes = dict[str, tuple[int, ...]]  # of one row, by input


class Marks:
    """Makes the feeds of a batch, and says for each row which process has computed it and when."""

    def __init__(self, task: Task, shapes: Shapes) -> None:
        self._task, self._shapes = task, shapes
        self._rows: list[int] = []  # of the present batch
        self._waits = True

    def feeds(self, batch: Batch) -> Batch:
        """Return the model's inputs; columns of engines have an array for each row."""
        self._rows = list(batch["row"])
        return {x: np.stack(list(batch[x])).reshape(-1, *y) for x, y in self._shapes.items()}

    def done(self, outputs: Batch) -> Batch:
        """Return the columns of a batch that is computed; save the outputs of the first row.

        The first call returns once all copies have computed and their memory was sampled, so that
        each has a part of the rows.
        """
        at = {"copy": os.getpid(), "done": time.monotonic()}
        if 0 in self._rows:
            first = self._rows.index(0)
            found = {name: value[first : first + 1] for name, value in outputs.items()}
            arrays.save(Path(self._task.outputs), found)
        if self._waits:
            self._waits = False
            self._wait_for_all()
        return {name: np.full(len(self._rows), value) for name, value in at.items()}

    def _wait_for_all(self) -> None:
        Path(self._task.outputs).with_name(f"{os.getpid()}.computed").touch()
        deadline = time.monotonic() + _READY_SECONDS
        while not sampled_mark(self._task).exists():
            if time.monotonic() > deadline:
                raise TimeoutError("a copy has no rows, or hangs")
            time.sleep(_WAIT_SECONDS)


class Scorer:
    """A session of another rival than ortmmap, or none, as a callable class of an engine."""

    def __init__(self, task: Task, shapes: Shapes) -> None:
        self._marks = Marks(task, shapes)
        rival = task.chosen()
        rival.load()
        rival.open_library()
        self._session = task.open() if rival.opens else None

    def __call__(self, batch: Batch) -> Batch:
        """Compute a batch of columns."""
        feeds = self._marks.feeds(batch)
        if self._session is None:
            return self._marks.done({})
        names = [output.name for output in self._session.get_outputs()]
        return self._marks.done(dict(zip(names, self._session.run(None, feeds), strict=True)))


def our_settings(task: Task, shapes: Shapes) -> dict[str, Any]:
    """Return the arguments of ortmmap's functions for engines, beside the model."""
    from ortmmap import SessionOptions

    marks, options = Marks(task, shapes), SessionOptions()
    for key, value in task.chosen().entries.items():
        options.add_session_config_entry(key, value)
    hooks = {"inputs": list(shapes), "preprocess": marks.feeds, "postprocess": marks.done}
    return hooks | {"options": options, "threads": task.threads} | task.chosen().arguments


def computed(task: Task) -> list[int]:
    """Return the processes that have computed a batch."""
    return [int(path.stem) for path in Path(task.outputs).parent.glob("*.computed")]


def sampled_mark(task: Task) -> Path:
    """Return the file that is there once the memory of all copies was sampled."""
    return Path(task.outputs).with_name("sampled")
