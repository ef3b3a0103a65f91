"""``docs/benchmarks.md``, from stored results: a question, a picture and a table in each section.

Beside it, ``benchmarks-appendix.md`` has the full tables, and ``benchmarks.json`` every figure.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from benchmarks import report as r
from benchmarks.machine import machine
from benchmarks.plot import plot
from benchmarks.report import Report, Row, Spread
from benchmarks.rivals import RIVALS

_BOTH = "--model bert_base.onnx --model resnet50.onnx"
_MORE = "--model gpt2.onnx --model bert_base_int8.onnx --model one_node.onnx"
_TWO_THREADS = "--model bert_base.onnx --threads 2"
_OFTEN = "--rival ort --rival ort-mmap --rival ort-mmap-noprepack --rival ort-prepacked"
_OFTEN += " --rival openvino-cached --rival ortmmap --rival ortmmap-cold --rival ortmmap-nocache"
_COUNTS = "--count 1 --count 2 --count 4 --count 8"


class Section(NamedTuple):
    """One question, the command whose report answers it, and a note for readers."""

    name: str
    question: str
    command: str
    note: str = ""


SECTIONS = (
    Section(
        "open",
        "How long until a model answers?",
        f"open {_BOTH} --repeat 4 --seconds 0.5",
        "The first process on a machine fills the cache, and is the one with an empty cache.",
    ),
    Section("models", "And other models?", f"open {_MORE} {_OFTEN} --repeat 3 --seconds 0.3"),
    Section(
        "parallel",
        "And with two threads?",
        f"open {_TWO_THREADS} {_OFTEN} --repeat 5 --seconds 0.3",
        "With the defaults of each. ortmmap's threads prepack in parallel; onnxruntime's do so if "
        "`session.prepack.enable_parallel` is set.",
    ),
    Section(
        "cold",
        "And when the files are not in memory?",
        f"open --cold-cache {_BOTH} {_OFTEN} --repeat 4 --seconds 0",
    ),
    Section(
        "workers",
        "How much memory do worker processes take?",
        f"workers {_BOTH} {_COUNTS} --repeat 2",
        "Preloaded workers are forked from a process that has opened the session.",
    ),
    Section("run", "What does a call cost?", "run --repeat 5 --seconds 0.2"),
    Section(
        "fork",
        "How long does a forked child wait?",
        "fork --repeat 5",
        "With one thread, the child uses its parent's session.",
    ),
    Section("scale", "How does opening grow?", "scale --repeat 2"),
    Section("serve", "And behind a web server?", "serve --seconds 10 --repeat 3"),
)

# By command: the rivals in pictures and tables (onnxruntime as people call it, the best
# alternative, ours), and the figures.
_SHOWN = {
    "open": ("ort ort-prepacked ortmmap ortmmap-cold", "open, run, start to result"),
    "workers": ("ort ort-prepacked ort-preload ortmmap", "all ready, peak private, total PSS"),
    "run": ("ort ortmmap", "run, run_with_iobinding, awaited, 8 threads"),
    "fork": ("ort ortmmap-nocache ortmmap", "open, first run in a forked child"),
    "scale": ("ort ort-mmap ortmmap", "open, peak while opening"),
    "serve": ("ort ortmmap", "requests, p50, p99, total PSS, until all serve"),
}
# Options for a quick trial, which replace those of a section.
_QUICK = {
    "open": "--model weights_1.onnx --repeat 1 --seconds 0",
    "workers": "--model weights_1.onnx --count 1 --count 2 --count 3",
    "run": "--model one_node --repeat 1 --seconds 0.01",
    "fork": "--model one_node --repeat 1",
    "scale": "--largest 100 --repeat 1",
    "serve": "--model one_node.onnx --workers 1 --requests 5 --repeat 1",
}
# Why a rival can be ahead of ortmmap.
_WHY = {
    "ort": "it looks nothing up in a cache, and its forked child uses the parent's session",
    "ort-mmap": "somebody has converted the model to an optimized .ort file before",
    "ort-mmap-noprepack": "it does not prepack, so each run takes longer",
    "ort-prepacked": "somebody has made its files for this model, version and CPU before",
    "ort-preload": "its workers open nothing",
    "openvino-cached": "it has kernels of its own",
}
_HOW = """\
Each figure is the median of cold processes that alternate between the rivals within one run; in
parentheses is the ratio to plain onnxruntime, as most programs call it. Models have random weights.
Before each process the native libraries are read, and free memory is touched, which a virtual
machine may have to get back from its host. Peaks of memory are of processes that are not timed.
Where a model grows, or the number of workers, the table has the largest. The
[appendix](benchmarks-appendix.md) has every rival, the quartiles and the meaning of each figure,
and [benchmarks.json](benchmarks.json) all of it for programs."""
_AHEAD = """\
The best rival of each figure, if its quartiles lie beyond ortmmap's and the medians differ by more
than 2 %; of each section and figure the case with the largest lead."""


def write(folder: Path, results: Path, quick: bool, run: Callable[..., object]) -> Path:
    """Write the page, its pictures and its appendix; `run` runs a command of the benchmarks."""
    results.mkdir(parents=True, exist_ok=True)
    reports = {one: measured(one, results, quick, run) for one in SECTIONS}
    parts = ["# Benchmarks", _HOW, *_machines(reports)]
    for section, report in reports.items():
        shown = _shown(section, report)
        plot(shown, folder / f"benchmarks-{section.name}.png", 80, notes=False)
        if section.name == "workers":  # the README's picture
            large = [row for row in shown.rows if row.model == "bert_base.onnx"]
            plot(replace(shown, rows=large), folder / "front.png", 80, notes=False)
        parts.append(_text(section, report))
    parts += ["## Where others are ahead", _AHEAD, "\n".join(losses(reports))]
    tables = [r.markdown(replace(report, title=one.question)) for one, report in reports.items()]
    appendix = ["# Benchmarks: full tables", *tables]
    every = {section.name: r.as_json(report) for section, report in reports.items()}
    (folder / "benchmarks.md").write_text("\n\n".join(parts) + "\n")
    (folder / "benchmarks-appendix.md").write_text("\n\n".join(appendix) + "\n")
    (folder / "benchmarks.json").write_text(json.dumps(every, ensure_ascii=False) + "\n")
    return folder / "benchmarks.md"


def measured(section: Section, results: Path, quick: bool, run: Callable[..., object]) -> Report:
    """Return a section's stored report; measure it if there is none of this command and machine."""
    path, done = results / f"{section.name}.json", results / f"{section.name}.command"
    name = section.command.split()[0]
    command = f"{name} {_QUICK[name]}" if quick else section.command
    if done.exists() and done.read_text() == command:
        report = r.from_json(json.loads(path.read_text()))
        if report.machine == machine():
            return report
    done.unlink(missing_ok=True)
    print(f"$ python -m benchmarks {command}", flush=True)
    run([*command.split(), "--json", str(path)], standalone_mode=False)
    done.write_text(command)
    return r.from_json(json.loads(path.read_text()))


def _machines(reports: Mapping[Section, Report]) -> list[str]:
    """Return the machine and versions of all sections, or the sections of each."""
    found: dict[str, list[str]] = {}
    for section, report in reports.items():
        found.setdefault("; ".join(report.machine.values()), []).append(section.name)
    if len(found) == 1:
        return [f"{one}." for one in found]
    return [f"{one}: {', '.join(names)}." for one, names in found.items()]


def _shown(section: Section, report: Report) -> Report:
    """Return the part of a report that its section shows."""
    rivals, figures = _SHOWN[section.command.split()[0]]
    rows = [row for row in report.rows if row.rival in rivals.split()]
    units = {name: report.units[name] for name in figures.split(", ")}
    return replace(report, title=section.question, units=units, rows=rows)


def _text(section: Section, report: Report) -> str:
    shown = _shown(section, report)
    largest = {row.model: row.at for row in shown.rows}
    lines = []
    for rows in shown.groups():
        for row in rows if rows[0].at == largest[rows[0].model] else ():
            cells = [r.cell(row.figures[x], rows[0].figures[x], False) for x in shown.units]
            lines.append([_place(row), f"**{row.title}**" if row.ours else row.title, *cells])
    head = ["", "", *(f"{name}, {unit}" for name, unit in shown.units.items())]
    picture = f"![{section.question}](benchmarks-{section.name}.png)"
    command = f"`python -m benchmarks {section.command}`"
    parts = [f"## {section.question}", picture, r.markdown_table(head, lines), section.note]
    return "\n\n".join(part for part in (*parts, command) if part)


def _place(row: Row) -> str:
    return row.model if row.at is None else f"{row.model}, {row.at:g} {row.axis}"


def losses(reports: Mapping[Section, Report]) -> list[str]:
    """Return a line for each rival ahead of ortmmap: its largest lead in each figure, and why."""
    cases: dict[str, dict[tuple[str, str], list[tuple[float, str]]]] = {}
    for section, report in reports.items():
        shown = _shown(section, report)
        for rows in report.groups():
            ours = next((row for row in rows if row.rival == "ortmmap"), None)
            others = [row for row in rows if not row.ours and row.difference]
            for name, unit in shown.units.items() if ours else ():
                more = name in report.more_is_better
                best = _best(others, name, more)
                if best and is_ahead(best.figures[name], ours.figures[name], more):
                    pair = [row.figures[name].median for row in (best, ours)]
                    text = f"{_place(ours)}, {name} {' against '.join(map(r.amount, pair))} {unit}"
                    case = max(pair) / max(min(pair), 1e-9), f"{section.name}: {text}"
                    of_rival = cases.setdefault(best.rival, {})
                    of_rival.setdefault((section.name, name), []).append(case)
    return [
        f"- **{RIVALS[rival].title}** ({_WHY.get(rival, 'not known')}): "
        + "; ".join(max(x)[1] + (f" (and {len(x) - 1} more)" if x[1:] else "") for x in leads)
        + "."
        for rival, leads in ((rival, found.values()) for rival, found in cases.items())
    ] or ["Nowhere was another measured ahead of ortmmap."]


def _best(rows: list[Row], name: str, more_is_better: bool) -> Row | None:
    known = [row for row in rows if row.figures[name]]
    better = max if more_is_better else min
    return better(known, key=lambda row: row.figures[name].median, default=None)


def is_ahead(one: Spread | None, other: Spread | None, more_is_better: bool) -> bool:
    """Return whether one is better by more than 2 %, and the quartiles do not overlap."""
    if not one or not other:
        return False
    low, high = (other, one) if more_is_better else (one, other)
    return low.high_quartile < high.low_quartile and low.median < 0.98 * high.median
