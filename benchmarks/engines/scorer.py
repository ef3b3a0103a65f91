"""Scorer: the callable that each copy of a job has. A module that the copies can import."""

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


class Scorer:
    """A model that computes batches of columns, and says when."""

    def __init__(self, task: Task, shapes: dict[str, tuple[int, ...]]) -> None:
        self._task, self._shapes = task, shapes
        self._rival = task.chosen()
        self._rival.load()
        self._rival.open_library()
        self._session = self._open() if self._rival.opens else None
        self._waits = True

    def _open(self) -> Any:
        if self._rival.module != "ortmmap":
            return self._task.open()
        from ortmmap import SessionOptions
        from ortmmap.engines import Predictor  # whose conversions are measured too

        options = SessionOptions()
        for key, value in self._rival.entries.items():
            options.add_session_config_entry(key, value)
        more = {"options": options, "threads": self._task.threads, **self._rival.arguments}
        return Predictor(self._task.model, keep=False, **more)

    def __call__(self, batch: Batch) -> Batch:
        """Compute a batch, and return the process and the time when it was done, for each row.

        The first call returns once all copies have computed and their memory was sampled, so that
        each has a part of the rows.
        """
        made = self._outputs(batch)
        rows, at = batch["row"], {"copy": os.getpid(), "done": time.monotonic()}
        if 0 in rows:
            first = rows.tolist().index(0)
            found = {name: value[first : first + 1] for name, value in made.items()}
            arrays.save(Path(self._task.outputs), found)
        if self._waits:
            self._waits = False
            self._wait_for_all()
        return {name: np.full(len(rows), value) for name, value in at.items()}

    def _outputs(self, batch: Batch) -> Batch:
        feeds = {
            name: np.stack(list(batch[name])).reshape(-1, *shape)
            for name, shape in self._shapes.items()
        }
        if self._session is None:
            return {}
        if self._rival.module == "ortmmap":
            return self._session(feeds)
        names = [output.name for output in self._session.get_outputs()]
        return dict(zip(names, self._session.run(None, feeds), strict=True))

    def _wait_for_all(self) -> None:
        Path(self._task.outputs).with_name(f"{os.getpid()}.computed").touch()
        deadline = time.monotonic() + _READY_SECONDS
        while not sampled_mark(self._task).exists():
            if time.monotonic() > deadline:
                raise TimeoutError("a copy has no rows, or hangs")
            time.sleep(_WAIT_SECONDS)


def computed(task: Task) -> list[int]:
    """Return the processes that have computed a batch."""
    return [int(path.stem) for path in Path(task.outputs).parent.glob("*.computed")]


def sampled_mark(task: Task) -> Path:
    """Return the file that is there once the memory of all copies was sampled."""
    return Path(task.outputs).with_name("sampled")
