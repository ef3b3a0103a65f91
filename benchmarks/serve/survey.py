"""Serves models by each rival in turn, with progress shown, and makes the report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rich.console import Console
from rich.progress import Progress

from benchmarks import arrays
from benchmarks.difference import difference
from benchmarks.machine import machine
from benchmarks.models import Case
from benchmarks.report import Report, Row
from benchmarks.rivals import Rival
from benchmarks.serve.running import loaded, served
from benchmarks.spread import Spread
from benchmarks.survey import Request, available

_MIB = 2**20
_UNITS = {
    "requests": "per s",
    "p50": "ms",
    "p99": "ms",
    "total PSS": "MiB",
    "until all answer": "ms",
}


@dataclass(frozen=True)
class Measured:
    """What one server did under load; its figures have the names of the columns."""

    figures: dict[str, float | None]
    outputs: dict[str, np.ndarray]


@dataclass(frozen=True)
class Serving:
    """How models are served and loaded.

    Attributes
    ----------
    workers, clients : int
        Of the server; that ask at once.
    requests : int
        Of all clients together, at most; `Request.seconds` bounds them too.
    repeat : int
        Servers of each rival on each model, which alternate.
    """

    workers: int
    clients: int
    requests: int
    repeat: int

    def run(self, request: Request) -> Report:
        """Measure all that is asked for.

        Raises
        ------
        WorkerError
            A server or its load failed.
        LookupError
            No rival is available for a model.
        """
        rows: list[Row] = []
        left_out: list[str] = []
        with Progress(console=Console(stderr=True), transient=True) as progress:
            for model in request.models:
                task = progress.add_task(f"{model}: preparing", total=None)
                case = request.store.case(model, request.sizes)
                rivals, reasons = available(case, request.rivals, request.entries)
                progress.update(task, total=(self.repeat + 1) * len(rivals))

                def starting(rival: Rival, task=task, case=case) -> None:
                    progress.update(task, description=f"{case.name}: {rival.title}", advance=1)

                rows += _rows(case, rivals, self._alternate(case, rivals, request, starting))
                left_out += reasons
        caption = self._caption(request)
        more = ["requests"]
        return Report("Serving a model", caption, _UNITS, rows, left_out, machine(), more)

    def _alternate(
        self,
        case: Case,
        rivals: Sequence[Rival],
        request: Request,
        starting: Callable[[Rival], None],
    ) -> dict[str, list[Measured]]:
        measured: dict[str, list[Measured]] = {rival.name: [] for rival in rivals}
        for turn in range(self.repeat + 1):
            for rival in rivals:
                starting(rival)
                found = self._serve(case, rival, request)
                if turn:  # the first fills the caches, of the system and of ortmmap
                    measured[rival.name].append(found)
        return measured

    def _serve(self, case: Case, rival: Rival, request: Request) -> Measured:
        """Serve, load, and look at the server's memory once all is answered."""
        bounds = (
            f"--clients={self.clients}",
            f"--requests={self.requests}",
            f"--seconds={request.seconds}",
        )
        with (
            TemporaryDirectory() as folder,
            served(case, rival, self.workers, request.threads) as server,
        ):
            body, answer = Path(folder, "body"), Path(folder, "answer")
            body.write_bytes(arrays.dump(case.feeds))
            figures = loaded(f"{server.url}/run", body, answer, bounds)
            pss = server.total_pss()
            outputs = arrays.parse(answer.read_bytes())
        shown = {
            "requests": figures["per_second"],
            "p50": figures["p50_ms"],
            "p99": figures["p99_ms"],
            "total PSS": None if pss is None else pss / _MIB,
            "until all answer": server.start_ms,
        }
        return Measured(shown, outputs)

    def _caption(self, request: Request) -> str:
        return (
            f"uvicorn with {self.workers} workers on 127.0.0.1, a FastAPI app; {self.clients} "
            f"clients in another process that each ask again once answered, on a new connection: "
            f"{self.requests} requests or {request.seconds:g} s. total PSS: of the server's "
            "processes, having answered, pages they share counted once. until all answer: from "
            "the server's start until each worker had answered a request. Medians and quartiles of "
            f"servers that alternate. {request.sessions}"
        )


def _rows(case: Case, rivals: Sequence[Rival], measured: dict[str, list[Measured]]) -> list[Row]:
    expected = measured[rivals[0].name][0].outputs
    return [
        Row(
            case.name,
            rival.name,
            rival.title,
            {name: _spread(measured[rival.name], name) for name in _UNITS},
            difference((one.outputs for one in measured[rival.name]), expected),
        )
        for rival in rivals
    ]


def _spread(measured: Sequence[Measured], name: str) -> Spread | None:
    values = [one.figures[name] for one in measured]
    return None if None in values else Spread.of(value for value in values if value is not None)
