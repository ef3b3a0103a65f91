"""Scorer: what ``map_batches`` constructs in each actor. A module that actors can import."""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.worker import Task

_READY_SECONDS = 600
_WAIT_SECONDS = 0.01

Batch = dict[str, Any]


class Scorer:
    """The class that ``map_batches`` constructs in each actor."""

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
        from ortmmap.ray import Predictor  # whose conversions are measured too

        options = SessionOptions()
        for key, value in self._rival.entries.items():
            options.add_session_config_entry(key, value)
        more = {"options": options, "threads": self._task.threads, **self._rival.arguments}
        return Predictor(self._task.model, keep=False, **more)

    def __call__(self, batch: Batch) -> Batch:
        """Return the outputs of a batch, with the process and the time when they were done.

        The first call returns once all actors have computed, so that each has a part of the rows.
        """
        rows = batch["row"]
        feeds = {
            name: np.stack(list(batch[name])).reshape(-1, *shape)
            for name, shape in self._shapes.items()
        }
        made = self._outputs(feeds)
        at = {"actor": os.getpid(), "done": time.monotonic()}
        if self._waits:
            self._wait_for_all()
        return {"row": rows, **{name: np.full(len(rows), x) for name, x in at.items()}, **made}

    def _wait_for_all(self) -> None:
        self._waits = False
        folder = Path(self._task.outputs).parent
        (folder / f"{os.getpid()}.computed").touch()
        deadline = time.monotonic() + _READY_SECONDS
        while len(list(folder.glob("*.computed"))) < self._task.copies:
            if time.monotonic() > deadline:
                raise TimeoutError("an actor has no rows, or hangs")
            time.sleep(_WAIT_SECONDS)

    def _outputs(self, feeds: Batch) -> Batch:
        if self._session is None:
            return {}
        if self._rival.module == "ortmmap":
            return self._session(feeds)
        names = [output.name for output in self._session.get_outputs()]
        return dict(zip(names, self._session.run(None, feeds), strict=True))
