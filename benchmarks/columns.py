"""The figures that a report can show, each computed from the records of one rival."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.calls import THREADS
from benchmarks.harness import Record
from benchmarks.report import Spread

_SCALES = {"MiB": 2**20, "s": 1e3, "µs": 1e-3, "thousand": 1e3}  # by unit: bytes, milliseconds, one


@dataclass(frozen=True)
class Column:
    """A figure: where a record has it, and how tables show it."""

    name: str
    unit: str
    path: str  # keys of nested figures with dots; those of "group" are shared by its workers
    meaning: str = ""  # in words, if the name does not say all
    less: str = ""  # the path of a figure that is subtracted
    more_is_better: bool = False

    def figure(self, records: Sequence[Record]) -> Spread | None:
        """Return the spread of the records' values, None if one can't be had."""
        if self.path.startswith("group."):
            records = list({id(one.group): one for one in records}.values())
        values = [self._value(one) for one in records]
        known = [value for value in values if value is not None]
        return Spread.of(known) if known and len(known) == len(values) else None

    def _value(self, record: Record) -> float | None:
        value, less = _found(record, self.path), _found(record, self.less) if self.less else 0
        return None if value is None or less is None else (value - less) / _SCALES.get(self.unit, 1)


def _found(record: Record, path: str) -> float | None:
    found = record.figures | {"group": record.group}
    for key in path.split("."):
        found = found.get(key) if found else None
    return found


IMPORT = Column("import", "ms", "import_ms", "of the module and its class of sessions")
OPEN = Column("open", "ms", "session_ms", "a session, once the native library is open")
FIRST_RUN = Column("first run", "ms", "first_ms")
RUN = Column("run", "ms", "run_ms", "median of steady runs")
FORKED_RUN = Column("first run in a forked child", "ms", "forked_ms")
START_TO_RESULT = Column("start to result", "ms", "answer_ms", "from the start of the process")
COMPLETE = Column("complete", "ms", "complete_ms", "the same, until the cache is filled too")
FAULTS = Column("page faults, open", "thousand", "faults")

CALL = Column("run", "µs", "run_ms", "median of blocks of calls")
BOUND = Column("run_with_iobinding", "µs", "bound_ms", "inputs bound once, outputs allocated anew")
_ASYNC = "ortmmap's run_awaitable, onnxruntime in asyncio's thread pool"
AWAITED = Column("awaited", "µs", "async_ms", _ASYNC)
PER_SECOND = tuple(
    Column(f"{n} thread{'s'[: n - 1]}", "calls/s", f"calls_per_second.{n}", more_is_better=True)
    for n in THREADS
)

_BEFORE = "library.private"
_OPENING = "anonymous memory that opening added"
PEAK = Column("peak while opening", "MiB", "peak.private", "the most that was added", _BEFORE)
PRIVATE_OPEN = Column("private, open", "MiB", "opened.private", _OPENING, _BEFORE)
PRIVATE_RUN = Column("private, run", "MiB", "ran.private", "the same after runs", _BEFORE)
PRIVATE = Column("private", "MiB", "ran.private", "anonymous memory of one process, having run")
RSS = Column("RSS", "MiB", "ran.rss", "of one process, Python included, having run")
PSS = Column("PSS", "MiB", "ran.pss", "the same, a page of n processes counted 1/n")

_ONCE = "of all, having run; pages they share count once"
_NO_SESSION = "less that of as many processes which import the same and open no session"
READY = Column("all ready", "ms", "group.ready_ms", "from the leave to open until all have")
TOTAL_PEAK = Column("peak private", "MiB", "group.peak_private", "of all while they open")
TOTAL_PSS = Column("total PSS", "MiB", "group.pss", _ONCE)
OVER_BARE = Column("PSS over bare", "MiB", "group.pss", _NO_SESSION, "group.bare_pss")

REQUESTS = Column("requests", "per s", "per_second", more_is_better=True)
MEDIAN_LATENCY = Column("p50", "ms", "p50_ms", "median latency")
HIGH_LATENCY = Column("p99", "ms", "p99_ms", "99th percentile of latency")
ALL_SERVE = Column("until all serve", "ms", "ready_ms", "from the start until each has opened")

ROWS = Column("rows", "per s", "group.per_second", "once all compute", more_is_better=True)
FIRST_BATCH = Column("first batch", "s", "group.first_ms", "of all, from when the rows are read")
FIRST_OVER_BARE = Column("over bare", "s", "group.first_ms", _NO_SESSION, "group.bare_first_ms")
