"""Write the figures in README.md and docs/*.md from docs/benchmarks.json; --check says if stale.

A table, or a text, stands between ``<!-- figures: NAME -->`` and ``<!-- end of figures -->``, where
NAME is one of `TABLES` or `TEXTS`.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
_MARKED = re.compile(
    r"(?<=<!-- figures: )([\w-]+)( -->\n).*?(?=<!-- end of figures -->)", re.DOTALL
)

TITLES = {
    "ort": "onnxruntime, as most programs call it",
    "ort-external": "onnxruntime, weights as external data",
    "ort-mmap": "onnxruntime, `.ort` file and its mmap options",
    "ort-prepacked": "onnxruntime, its saved prepacked weights",
    "ort-preload": "onnxruntime, opened before the fork (`gunicorn --preload`)",
    "ortmmap-preload": "**ortmmap**, opened before the fork",
    "ortmmap-nocache": "ortmmap, without its cache",
    "ortmmap-cold": "ortmmap, the first process (empty cache)",
    "ortmmap": "**ortmmap**",
}


class Column(NamedTuple):
    """One column: the section, model and amount of its figures, and how they are shown."""

    head: str
    section: str
    model: str
    figure: str
    at: int | None = None
    scale: float = 1
    ratio: bool = False  # only the ratio to the first row, instead of the figure and the ratio


_WORKERS = ("workers", "bert_base.onnx")
_SERVE = ("serve", "resnet50.onnx")
TABLES = {
    "first-screen": (
        Column("total memory, MiB", *_WORKERS, "total PSS", 8),
        Column("until all are ready, s", *_WORKERS, "all ready", 8, 1e-3),
        Column("time of a run", "open", "bert_base.onnx", "run", ratio=True),
        Column("one call of a one-node model, µs", "run", "one_node.ort", "run"),
    ),
    "four-workers": (
        Column("BERT-base: total memory, MiB", *_WORKERS, "total PSS", 4),
        Column("until all are ready, s", *_WORKERS, "all ready", 4, 1e-3),
        Column("ResNet-50: total memory, MiB", "workers", "resnet50.onnx", "total PSS", 4),
        Column("until all are ready, s", "workers", "resnet50.onnx", "all ready", 4, 1e-3),
    ),
    "serve": (
        Column("requests per s", *_SERVE, "requests"),
        Column("p50, ms", *_SERVE, "p50"),
        Column("p99, ms", *_SERVE, "p99"),
        Column("total memory, MiB", *_SERVE, "total PSS"),
        Column("until all have answered, s", *_SERVE, "until all serve", scale=1e-3),
    ),
    "fork": (
        Column("BERT-base: open in the parent, ms", "fork", "bert_base.onnx", "open"),
        Column("first run in a child, ms", "fork", "bert_base.onnx", "first run in a forked child"),
        Column("ResNet-50: open in the parent, ms", "fork", "resnet50.onnx", "open"),
        Column("first run in a child, ms", "fork", "resnet50.onnx", "first run in a forked child"),
    ),
    "awaited": (
        Column("4 numbers in, µs", "run", "one_node.ort", "awaited"),
        Column("256 KiB in, µs", "run", "inputs_1x65536.ort", "awaited"),
    ),
    "first-start": (
        Column("BERT-base: open, ms", "open", "bert_base.onnx", "open"),
        Column("peak, MiB", "open", "bert_base.onnx", "peak while opening"),
        Column("ResNet-50: open, ms", "open", "resnet50.onnx", "open"),
        Column("peak, MiB", "open", "resnet50.onnx", "peak while opening"),
    ),
}
_ROWS = {"first-start": ("ort", "ortmmap-nocache", "ortmmap-cold", "ortmmap")}
_USUAL = (
    "ort",
    "ort-mmap",
    "ort-prepacked",
    "ort-preload",
    "ortmmap-nocache",
    "ortmmap-preload",
    "ortmmap",
)


SAVINGS = """\
8 workers have {theirs[0]:,} MiB with onnxruntime and {ours[0]:,} MiB with ortmmap in all, Python and imports
included. Four have {theirs[1]:,} and {ours[1]:,} MiB. So

    each further process, onnxruntime:  ({theirs[0]} - {theirs[1]}) / 4 = {their_each} MiB
    each further process, ortmmap:      ({ours[0]:4} - {ours[1]:4}) / 4 = {our_each:3} MiB
    what a node has once, ortmmap:       {ours[0]} - 8 × {our_each}     = {once} MiB

    64 actors, onnxruntime:  64 × {their_each}       = {their_node:6,} MiB = {their_gib:4.1f} GiB a node
    64 actors, ortmmap:      64 × {our_each} + {once}  = {our_node:6,} MiB = {our_gib:4.1f} GiB a node
    saved on 100 nodes:      100 × {saved:4.1f} GiB = {saved_tib:4.1f} TiB of memory

The engine's own memory is the same for both and is not in it. Whether this saves money depends on what bounds
the nodes: with 64 GiB for 64 cores, onnxruntime leaves {their_rest:.0f} GiB for the object store, the engine and
the data, and ortmmap {our_rest:.0f} GiB; with 32 GiB, onnxruntime has room for {most} of the 64 actors and
nothing else."""  # noqa: E501, RUF001


def found(results: dict, column: Column, rival: str) -> float | None:
    """Return the median of a rival's figure, None if it was not measured."""
    for row in results[column.section]["rows"]:
        if (row["model"], row["rival"], row["at"]) == (column.model, rival, column.at):
            figure = row["figures"][column.figure]
            return figure and figure["median"]
    return None


def table(results: dict, name: str) -> Iterator[str]:
    """Yield the lines of a table."""
    columns = TABLES[name]
    yield f"| | {' | '.join(one.head for one in columns)} |"
    yield f"|---|{'---:|' * len(columns)}"
    firsts = [found(results, one, "ort") for one in columns]
    for rival in _ROWS.get(name, _USUAL):
        medians = [found(results, one, rival) for one in columns]
        if medians[0] is not None:
            cells = map(cell, columns, medians, firsts)
            yield f"| {TITLES[rival]} | {' | '.join(cells)} |"


def savings(results: dict) -> Iterator[str]:
    """Yield the lines on the memory of 64 actors on a node, by that of 8 and of 4 workers."""
    columns = [Column("", *_WORKERS, "total PSS", count) for count in (8, 4)]
    theirs, ours = (
        [round(found(results, column, rival) or 0) for column in columns]
        for rival in ("ort", "ortmmap")
    )
    their_each, our_each = (round((eight - four) / 4) for eight, four in (theirs, ours))
    once = ours[0] - 8 * our_each
    their_node, our_node = 64 * their_each, 64 * our_each + once
    their_gib, our_gib = their_node / 1024, our_node / 1024
    saved = their_gib - our_gib
    saved_tib, most = 100 * saved / 1024, 32 * 1024 // their_each
    their_rest, our_rest = 64 - their_gib, 64 - our_gib
    yield from SAVINGS.format(**locals()).splitlines()


TEXTS = {"savings": savings}


def cell(column: Column, median: float | None, first: float | None) -> str:
    """Return a figure, and its ratio to the first row's."""
    if median is None or not first:
        return "-"
    ratio = f"{median / first:.2f}x"
    if column.ratio:
        return ratio
    value = median * column.scale
    text = f"{value:.0f}" if value >= 100 else f"{value:.3g}"
    return text if median == first else f"{text} ({ratio})"


def main() -> int:
    """Write, or with --check compare; return how many pages were stale."""
    results = json.loads((ROOT / "docs" / "benchmarks.json").read_text())

    def made(match: re.Match) -> str:
        name = match[1]
        lines = "\n".join(TEXTS[name](results) if name in TEXTS else table(results, name))
        return f"{match[1]}{match[2]}{lines}\n"

    stale = 0
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        before = path.read_text()
        after = _MARKED.sub(made, before)
        if after != before:
            stale += 1
            print(f"{path.relative_to(ROOT)}: figures differ from docs/benchmarks.json")
            if "--check" not in sys.argv:
                path.write_text(after)
    return stale if "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
