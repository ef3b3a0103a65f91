"""Scorer: what ``map_batches`` constructs in each actor. A module that actors can import."""

import os
import time
from typing import Any

import numpy as np

from benchmarks.worker import Task

Batch = dict[str, Any]


class Scorer:
    """The class that ``map_batches`` constructs in each actor."""

    def __init__(self, task: Task, shapes: dict[str, tuple[int, ...]]) -> None:
        self._task, self._shapes = task, shapes
        self._rival = task.chosen()
        self._rival.load()
        self._rival.open_library()
        self._session = self._open() if self._rival.opens else None

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
        """Return the outputs of a batch, with the process and the time when they were done."""
        rows = batch["row"]
        feeds = {
            name: np.stack(list(batch[name])).reshape(-1, *shape)
            for name, shape in self._shapes.items()
        }
        made = self._outputs(feeds)
        at = {"actor": os.getpid(), "done": time.monotonic()}
        return {"row": rows, **{name: np.full(len(rows), x) for name, x in at.items()}, **made}

    def _outputs(self, feeds: Batch) -> Batch:
        if self._session is None:
            return {}
        if self._rival.module == "ortmmap":
            return self._session(feeds)
        names = [output.name for output in self._session.get_outputs()]
        return dict(zip(names, self._session.run(None, feeds), strict=True))
