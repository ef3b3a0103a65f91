"""The figures that a report can show, each computed from the records of one rival."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.harness import Record
from benchmarks.spread import Spread

_MIB = 2**20


@dataclass(frozen=True)
class Column:
    """A figure: its name, its unit, and how it comes from records."""

    name: str
    unit: str
    figure: Callable[[Sequence[Record]], Spread | None]


def _each(name: str, unit: str, value: Callable[[Record], float]) -> Column:
    return Column(name, unit, lambda records: Spread.of(map(value, records)))


def _total_pss(records: Sequence[Record]) -> Spread | None:
    sizes = [one.total_pss / _MIB for one in records if one.total_pss is not None]
    return Spread.of(sizes) if sizes else None


# Once the native library is open: importing onnxruntime opens its own, ortmmap does at need.
OPEN = _each("open", "ms", lambda one: one.figures["session_ms"])
FIRST_RUN = _each("first run", "ms", lambda one: one.figures["first_ms"])
RUN = _each("run", "ms", lambda one: one.figures["run_ms"])
CALL = _each("call", "µs", lambda one: one.figures["run_ms"] * 1e3)
START_TO_RESULT = _each("start to result", "ms", lambda one: one.figures["answer_ms"])
PRIVATE_OPEN = _each(
    "private, open", "MiB", lambda one: one.private_growth("library", "opened") / _MIB
)
PRIVATE_PROCESS = _each("private, process", "MiB", lambda one: one.figures["ran"]["private"] / _MIB)
PEAK = _each(
    "peak while opening",
    "MiB",
    lambda one: (one.figures["peak"] - one.figures["library"]["private"]) / _MIB,
)
RSS = _each("RSS", "MiB", lambda one: one.held.rss / _MIB)
TOTAL_PSS = Column("total PSS", "MiB", _total_pss)
