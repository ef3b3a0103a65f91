"""The demonstration: two real architectures, four workers each way, a table and a picture."""

from __future__ import annotations

from pathlib import Path

from benchmarks import columns
from benchmarks.models import Store
from benchmarks.survey import Request, Survey, show

_SHOWN = [
    "ort",
    "ort-mmap",
    "ort-mmap-noprepack",
    "ortmmap-noprepack",
    "ortmmap-nocache",
    "ortmmap",
]
_WORKERS, _REPEAT, _SECONDS = 4, 2, 0.5

_DEMO = Survey(
    title=f"{_WORKERS} worker processes, one model file",
    caption=(
        "Workers open one after another, while those before hold; medians of the workers. "
        "start to result: from the start of a process, with all imports and libraries. "
        "open: a session, once onnxruntime's library is open. "
        "private: anonymous memory that opening added to one worker. total PSS: memory of all "
        f"{_WORKERS} while all hold, having run; pages they share count once."
    ),
    columns=(
        columns.OPEN,
        columns.FIRST_RUN,
        columns.RUN,
        columns.START_TO_RESULT,
        columns.PRIVATE_OPEN,
        columns.TOTAL_PSS,
    ),
    repeat=_REPEAT,
    workers=(_WORKERS,),
)


def demo(store: Store, picture: Path) -> None:
    """Build the models if they are not there, measure, print the table, write the picture."""
    models = ("resnet50", "bert_base")
    request = Request(store, models, _SHOWN, seconds=_SECONDS, plot=picture)
    show(_DEMO.run(request), request)
