"""Who is ahead: each figure of ortmmap against the best of the others, by medians and spread."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.report import Report, Row, with_first
from benchmarks.spread import Spread

AHEAD, EVEN, BEHIND = "ahead", "even", "behind"
_MARGIN = 0.02  # medians closer than this are even, whatever their spread


@dataclass(frozen=True)
class Verdict:
    """One figure of one of ortmmap's rows, and another's on the same model.

    Attributes
    ----------
    model, figure, unit : str
        What was measured; the model's name says at which amount, where figures grow.
    ours, other : str
        The rows' titles.
    our_median, other_median : float
        Medians.
    word : str
        `AHEAD`, `BEHIND`, or `EVEN` where quartiles overlap or medians are within 2 %.
    """

    model: str
    figure: str
    unit: str
    ours: str
    other: str
    our_median: float
    other_median: float
    word: str

    @property
    def times(self) -> float | None:
        """Our median over the other's."""
        return self.our_median / self.other_median if self.other_median > 0 else None


def against_best(report: Report, ours: str) -> list[Verdict]:
    """Compare one of ortmmap's rivals with the best of those that are not ortmmap."""
    return [
        verdict
        for group in _groups(report)
        for name in report.units
        if (verdict := _against_best(report, group, ours, name))
    ]


def against_first(report: Report, ours: str) -> list[Verdict]:
    """Compare one of ortmmap's rivals with the first row of each model: onnxruntime as it comes."""
    return [
        verdict
        for group in _groups(report)
        for name in report.units
        if (verdict := _compare(report, _row(group, ours), group[0], name))
    ]


def _against_best(report: Report, group: list[Row], ours: str, name: str) -> Verdict | None:
    others = [row for row in group if not row.ours and not row.bare and row.figures.get(name)]
    if not others:
        return None
    better = max if name in report.more_is_better else min
    best = better(others, key=lambda row: _median(row.figures[name]))
    return _compare(report, _row(group, ours), best, name)


def _compare(report: Report, ours: Row | None, other: Row, name: str) -> Verdict | None:
    if ours is None or ours is other:
        return None
    one, another = ours.figures.get(name), other.figures.get(name)
    if one is None or another is None:
        return None
    word = judged(one, another, name in report.more_is_better)
    model = ours.model if ours.at is None else f"{ours.model}, {ours.at:g} {ours.axis}"
    medians = (one.median, another.median)
    return Verdict(model, name, report.units[name], ours.title, other.title, *medians, word)


def judged(one: Spread, another: Spread, more_is_better: bool) -> str:
    """Return how one figure stands to another."""
    if abs(one.median - another.median) <= _MARGIN * abs(another.median) or _overlap(one, another):
        return EVEN
    return AHEAD if (one.median > another.median) == more_is_better else BEHIND


def _overlap(one: Spread, another: Spread) -> bool:
    return one.low_quartile <= another.high_quartile and another.low_quartile <= one.high_quartile


def _groups(report: Report) -> Iterator[list[Row]]:
    """Give the rows that were measured on the same model and amount."""
    for _, rows in report.by_model():
        groups: dict[int, list[Row]] = {}
        for row, first in with_first(rows):
            groups.setdefault(id(first), []).append(row)
        yield from groups.values()


def _row(group: list[Row], rival: str) -> Row | None:
    return next((row for row in group if row.rival == rival), None)


def _median(figure: Spread | None) -> float:
    assert figure
    return figure.median
