"""The figures that a report can show, each computed from the records of one rival."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.calls import THREADS
from benchmarks.harness import Group, Record
from benchmarks.memory import Memory
from benchmarks.spread import Spread

_MIB = 2**20


@dataclass(frozen=True)
class Column:
    """A figure: its name, its unit, and how it comes from records.

    Attributes
    ----------
    name, unit : str
        As tables show them.
    figure : callable
        Takes the records of a rival, and those of the same number of workers that import the same
        and open nothing. Returns None where it can't be had.
    more_is_better : bool
        As of calls a second.
    """

    name: str
    unit: str
    figure: Callable[[Sequence[Record], Sequence[Record]], Spread | None]
    more_is_better: bool = False


def _spread(values: Sequence[float | None], scale: float) -> Spread | None:
    known = [value / scale for value in values if value is not None]
    return Spread.of(known) if known and len(known) == len(values) else None


def _of_worker(
    name: str,
    unit: str,
    value: Callable[[Record], float | None],
    scale: float = 1,
    more_is_better: bool = False,
) -> Column:
    def figure(records: Sequence[Record], _bare: Sequence[Record]) -> Spread | None:
        return _spread([value(one) for one in records], scale)

    return Column(name, unit, figure, more_is_better)


def _figure(name: str, unit: str, key: str, scale: float = 1) -> Column:
    return _of_worker(name, unit, lambda one: one.figures.get(key), scale)


def _groups(records: Sequence[Record]) -> list[Group]:
    """Return each group once; its workers share it."""
    return list({id(one.group): one.group for one in records}.values())


def _of_group(name: str, unit: str, value: Callable[[Group], float | None], scale: float) -> Column:
    def figure(records: Sequence[Record], _bare: Sequence[Record]) -> Spread | None:
        return _spread([value(group) for group in _groups(records)], scale)

    return Column(name, unit, figure)


def _over_bare(records: Sequence[Record], bare: Sequence[Record]) -> Spread | None:
    own = _spread([group.pss for group in _groups(bare)], 1)
    if own is None:
        return None
    more = [None if one.pss is None else one.pss - own.median for one in _groups(records)]
    return _spread(more, _MIB)


def _stage(name: str, stage: str, key: str) -> Column:
    return _of_worker(name, "MiB", lambda one: one.figures[stage][key], _MIB)


def _shared(name: str, stage: str) -> Column:
    return _of_worker(name, "MiB", lambda one: Memory(**one.figures[stage]).shared, _MIB)


def _peak(one: Record) -> float | None:
    peak = one.figures.get("peak")
    return None if peak is None else peak - one.figures["library"]["private"]


def _threads(threads: int) -> Column:
    def per_second(one: Record) -> float | None:
        found = one.figures.get("calls_per_second", {}).get(str(threads))
        return None if found is None else float(found)

    name = f"{threads} thread{'s' if threads > 1 else ''}"
    return _of_worker(name, "calls/s", per_second, more_is_better=True)


IMPORT = _figure("import", "ms", "import_ms")
# Once the native library is open: importing onnxruntime opens its own, ortmmap does at need.
OPEN = _figure("open", "ms", "session_ms")
FIRST_RUN = _figure("first run", "ms", "first_ms")
RUN = _figure("run", "ms", "run_ms")
FORKED_RUN = _figure("first run in a forked child", "ms", "forked_ms")
START_TO_RESULT = _figure("start to result", "ms", "answer_ms")
FAULTS = _figure("page faults, open", "thousand", "faults", 1e3)

CALL = _figure("run", "µs", "run_ms", 1e-3)
BOUND = _figure("run_with_iobinding", "µs", "bound_ms", 1e-3)
AWAITED = _figure("awaited", "µs", "async_ms", 1e-3)
PER_SECOND = tuple(map(_threads, THREADS))

PRIVATE_OPEN = _of_worker(
    "private, open", "MiB", lambda one: one.private_growth("library", "opened"), _MIB
)
PRIVATE_RUN = _of_worker(
    "private, run", "MiB", lambda one: one.private_growth("library", "ran"), _MIB
)
PRIVATE_PROCESS = _stage("private, process", "ran", "private")
SHARED_OPEN = _shared("shared, opened", "opened")
SHARED_RUN = _shared("shared, ran", "ran")
RSS_OPEN = _stage("RSS, opened", "opened", "rss")
RSS_RUN = _stage("RSS, ran", "ran", "rss")
PSS_OPEN = _stage("PSS, opened", "opened", "pss")
PSS_RUN = _stage("PSS, ran", "ran", "pss")
PEAK = _of_worker("peak while opening", "MiB", _peak, _MIB)

PRIVATE = _of_worker("private", "MiB", lambda one: one.held.private, _MIB)
SHARED = _of_worker("shared", "MiB", lambda one: one.held.shared, _MIB)
RSS = _of_worker("RSS", "MiB", lambda one: one.held.rss, _MIB)

READY = _of_group("all ready", "ms", lambda group: group.ready_ms, 1)
TOTAL_PRIVATE = _of_group("total private", "MiB", lambda group: group.private, _MIB)
TOTAL_PEAK = _of_group("peak private", "MiB", lambda group: group.peak_private, _MIB)
TOTAL_PEAK_PSS = _of_group("peak PSS", "MiB", lambda group: group.peak_pss, _MIB)
OPENED_PSS = _of_group("PSS, opened", "MiB", lambda group: group.opened_pss, _MIB)
TOTAL_PSS = _of_group("total PSS", "MiB", lambda group: group.pss, _MIB)
OVER_BARE = Column("PSS over bare", "MiB", _over_bare)
