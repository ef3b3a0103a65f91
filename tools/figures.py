"""Write the figures in README.md and docs/*.md from docs/benchmarks.json; --check says if stale.

A table stands between ``<!-- figures: NAME -->`` and ``<!-- end of figures -->``, where NAME is one
of `TABLES`.
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
        lines = "\n".join(table(results, match[1]))
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
