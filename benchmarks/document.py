"""The report as a document: what was measured, who is ahead and behind, and what bounds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import described
from benchmarks.plan import Section
from benchmarks.report import (
    Report,
    Row,
    amount,
    markdown_growth,
    markdown_line,
    markdown_tables,
)
from benchmarks.verdicts import AHEAD, BEHIND, EVEN, Verdict, against_best, against_first

_PAGE = 4096

_HOW = """\
Every figure comes from cold processes that alternate between the rivals within one run; medians,
quartiles in brackets, and in parentheses the ratio to the first row. Models are generated with
random weights. *ahead* and *behind* mean that the quartiles do not overlap and the medians differ
by more than 2 %; everything else is *even*. "The best of the others" is, for each figure, another
row: what opens fastest may run slower or keep more memory, as the tables show.
A section that was measured but once has no spread, and says less."""

_PULL_REQUEST = """\
## Beside onnxruntime's own benchmark
The script of [microsoft/onnxruntime #28164](https://github.com/microsoft/onnxruntime/pull/28164)
drives `onnxruntime_perf_test` with three configurations of one `.ort` file (read, mapped, mapped
with initializers in place), one process after another or several that hold, and prints means of
the creation time, private bytes and the working set, sampled every 5 ms. `open` and `workers` have
these three and the same figures. Beyond it: rivals alternate instead of following one another,
and medians come with quartiles; ONNX files, external data, onnxruntime's saved prepacking,
OpenVINO and ortmmap; prepacking on and off; import, first run and time to the first result; the
speed of running and the equality of outputs, which opening is traded for; PSS, which counts pages
that processes share once, where sums of working sets count them in each; the peak of all workers
while they open at once; files dropped from memory; calls, threads, IOBinding and asyncio; growth
with weights, nodes, inputs and workers. It measures the C++ API without an interpreter, which this
does not."""


@dataclass(frozen=True)
class Part:
    """A section with its report, and where its picture is, seen from the document."""

    section: Section
    report: Report
    picture: str


def document(
    parts: Sequence[Part], bounds: Mapping[str, float], command: str, note: str = ""
) -> str:
    """Return the document, as Markdown."""
    pieces = [
        "# Benchmarks",
        f"Made by `{command}`, which runs the commands below. {_machine(parts)}",
        note,
        _HOW,
        _summary(parts),
        _bounds(parts, bounds),
        *(_section(part) for part in parts),
        _PULL_REQUEST,
    ]
    return "\n\n".join(piece for piece in pieces if piece) + "\n"


def _machine(parts: Sequence[Part]) -> str:
    machines = [part.report.machine for part in parts]
    lines = dict.fromkeys(described(machine) for machine in machines)
    least = min(int(machine["cores"]) for machine in machines)
    told = " / ".join(f"{line}." for line in lines)
    more = "Figures of more threads or processes than cores include their waiting for one"
    return f"{told} {more}; there are {least}."


def _summary(parts: Sequence[Part]) -> str:
    """Return how often ortmmap is ahead, even and behind, and every case where it is behind."""
    lines = [
        "## In short",
        "How many figures of ortmmap are ahead of another's, even with it, or behind it.",
        "",
        *_head("section", "ortmmap's row", "compared with", AHEAD, EVEN, BEHIND),
    ]
    losses: list[tuple[str, Verdict]] = []
    for part in parts:
        for rival in part.section.ours:
            for name, compare in _COMPARED.items():
                found = _judged(part, compare(part.report, rival))
                if found:
                    lines.append(_counts(part.section.heading, name, found))
            judged = _judged(part, against_best(part.report, rival))
            heading = part.section.heading
            losses += [(heading, one) for one in judged if one.word == BEHIND]
    if not losses:
        return "\n".join([*lines, "", "Nowhere was another measured ahead of ortmmap."])
    return "\n".join([*lines, "", "Where another is ahead of ortmmap:", "", *_cases(losses)])


_COMPARED: dict[str, Callable[[Report, str], list[Verdict]]] = {
    "the first row": against_first,
    "the best of the others": against_best,
}


def _judged(part: Part, verdicts: Sequence[Verdict]) -> list[Verdict]:
    return [one for one in verdicts if one.figure in part.section.judged]


def _counts(heading: str, name: str, verdicts: Sequence[Verdict]) -> str:
    words = [one.word for one in verdicts]
    counts = (str(words.count(word)) for word in (AHEAD, EVEN, BEHIND))
    return markdown_line([heading, verdicts[0].ours, name, *counts])


def _cases(losses: Sequence[tuple[str, Verdict]]) -> list[str]:
    lines = _head(
        *("section", "model", "figure", "ortmmap's row", "its"),
        *("best of the others", "its", "ratio"),
    )
    for heading, one in losses:
        times = "" if one.times is None else f"{amount(one.times)}x"
        lines.append(
            markdown_line(
                [
                    heading,
                    one.model,
                    f"{one.figure}, {one.unit}",
                    one.ours,
                    amount(one.our_median),
                    one.other,
                    amount(one.other_median),
                    times,
                ]
            )
        )
    return lines


def _head(*names: str) -> list[str]:
    return [markdown_line(list(names)), markdown_line(["---"] * len(names))]


def _bounds(parts: Sequence[Part], bounds: Mapping[str, float]) -> str:
    """Return what the machine needs for a page and for a byte, and the opening's share of it."""
    part = next((part for part in parts if part.section.name == "open"), None)
    if part is None:
        return ""
    page = f"{amount(bounds['zero_page_ns'])} ns"
    mapped = f"{amount(bounds['file_page_ns'])} ns"
    at_once = bounds.get("pages_per_file_fault")
    faulted = f", {amount(at_once)} pages at a fault" if at_once else ""
    lines = [
        "## What bounds the figures",
        f"This machine needs {page} for a page of 4 KiB of private memory that is touched first, "
        f"{mapped} for a page of a file that is in the page cache and mapped{faulted}, and one "
        f"thread reads {amount(bounds['read_gb_per_s'])} GB/s from memory. So, for the medians of "
        f"*{part.section.heading}*:",
        "",
        "- *page faults*: the faults while opening, each at the price of a private page, as a "
        "share of the opening (faults of mapped files are cheaper, so it is at most this);",
        "- *prepacking*: opening without a cache, with and without prepacking, the difference;",
        "- *reading once*: how long one thread takes to read the file's bytes from memory, and as "
        "a share of onnxruntime's run. Weights that stay in the CPU's caches are read faster, and "
        "embeddings hardly at all; where the share is large, memory bounds the run.",
        "",
        *_head(
            *("model", "MB", "onnxruntime: open, ms", "page faults", "ortmmap: open, ms"),
            *("page faults", "prepacking, ms", "prepacking, MiB", "reading once, ms"),
            "of the run",
        ),
        *(
            markdown_line(_bound(part.report, model, rows, bounds))
            for model, rows in part.report.by_model()
        ),
    ]
    return "\n".join(lines)


def _bound(
    report: Report, model: str, rows: Sequence[Row], bounds: Mapping[str, float]
) -> list[str]:
    by_rival = {row.rival: row for row in rows}
    nbytes = report.nbytes.get(model, 0)
    reading = nbytes / bounds["read_gb_per_s"] / 1e6
    run = _median(by_rival, "ort", "run")
    pair = ("ortmmap-nocache", "ortmmap-noprepack")
    return [
        model,
        amount(nbytes / 1e6),
        _shown(_median(by_rival, "ort", "open")),
        _faults(by_rival, "ort", bounds),
        _shown(_median(by_rival, "ortmmap", "open")),
        _faults(by_rival, "ortmmap", bounds),
        _shown(_less(*(_median(by_rival, one, "open") for one in pair))),
        _shown(_less(*(_median(by_rival, one, "private, open") for one in pair))),
        amount(reading),
        f"{reading / run:.0%}" if run else "",
    ]


def _faults(by_rival: Mapping[str, Row], rival: str, bounds: Mapping[str, float]) -> str:
    faults = _median(by_rival, rival, "page faults, open")
    opening = _median(by_rival, rival, "open")
    if faults is None or not opening:
        return ""
    taken = faults * 1e3 * bounds["zero_page_ns"] / 1e6
    return f"{min(1.0, taken / opening):.0%}"


def _median(by_rival: Mapping[str, Row], rival: str, figure: str) -> float | None:
    found = by_rival[rival].figures.get(figure) if rival in by_rival else None
    return found.median if found else None


def _less(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def _shown(value: float | None) -> str:
    return "" if value is None else amount(value)


def _section(part: Part) -> str:
    section, report = part.section, part.report
    command = " ".join(("python -m benchmarks", *section.command))
    pieces = [
        f"## {section.heading}",
        f"```console\n$ {command}\n```",
        f"{report.caption}",
        f"![{section.heading}]({part.picture})",
        *(f"{line}" for line in report.left_out),
        *markdown_tables(report),
    ]
    if grown := markdown_growth(report, section.judged):
        pieces.append(f"### How it grows, as a straight line\n\n{grown}")
    for rival in section.ours:
        if verdicts := _judged(part, against_best(report, rival)):
            pieces.append(_verdict_lines(verdicts))
    return "\n\n".join(pieces)


def _verdict_lines(verdicts: Sequence[Verdict]) -> str:
    """Return each figure of one of ortmmap's rows against the best of the others, by verdict."""
    lines = [f"{verdicts[0].ours}, against the best of the others:", ""]
    for word in (BEHIND, EVEN, AHEAD):
        found = [one for one in verdicts if one.word == word]
        if found:
            told = "; ".join(map(_told, found))
            lines.append(f"- {word}: {told}.")
    return "\n".join(lines)


def _told(one: Verdict) -> str:
    times = "" if one.times is None else f", {amount(one.times)}x of {one.other}"
    return f"{one.model} {one.figure} ({amount(one.our_median)} {one.unit}{times})"


def narrowed(report: Report, section: Section) -> Report:
    """Return what of a report is drawn."""
    figures = section.figures or tuple(report.units)
    rows = [
        row
        for row in report.rows
        if not row.bare
        and (not section.rivals or row.rival in section.rivals)
        and (not section.models or row.model in section.models)
    ]
    units = {name: unit for name, unit in report.units.items() if name in figures}
    values = {name: getattr(report, name) for name in Report.__dataclass_fields__}
    return Report(**values | {"units": units, "rows": rows})


def relative(picture: Path, document_path: Path) -> str:
    """Return a picture's path as the document links it."""
    return picture.resolve().relative_to(document_path.resolve().parent).as_posix()
