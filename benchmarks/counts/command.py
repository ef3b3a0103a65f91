"""Counts with progress shown, compares with the bounds, and prints the result."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import onnxruntime
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.counts.bounds import FILE, Bounds, Comparison, Counts, as_toml
from benchmarks.counts.scenarios import STEPS, count
from benchmarks.counts.tracing import missing_tools

_WIDTH = 100  # where no terminal says how wide it is
_STYLES = {"over": "bold red", "below": "yellow", "new": "yellow", "ok": "dim"}


def check(json_file: Path | None = None) -> bool:
    """Count, print how that compares with the bounds, and tell whether all of them are kept.

    Parameters
    ----------
    json_file : Path, optional
        Where to write the comparisons.

    Raises
    ------
    ChildError
        The process that is counted failed.
    LookupError
        There are no figures to compare with.
    OSError
        Something that counts is not installed.
    """
    bounds = Bounds.read()
    version = bounds.version(onnxruntime.__version__)
    compared = bounds.compare(_counted(), version)
    Console(width=None if sys.stdout.isatty() else _WIDTH).print(_table(compared, version))
    if json_file:
        json_file.write_text(json.dumps([asdict(one) for one in compared], indent=2) + "\n")
    return all(one.verdict != "over" for one in compared)


def new_figures() -> str:
    """Count, and return the figures of this version of onnxruntime as the file has them."""
    return as_toml(onnxruntime.__version__, _counted())


def _counted() -> Counts:
    if missing := missing_tools():
        raise OSError(
            f"expected {' and '.join(missing)} to be installed, as Debian's packages of that name"
        )
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("counting", total=STEPS)
        return count(lambda: progress.advance(task))


def _table(compared: Sequence[Comparison], version: str) -> Table:
    title = (
        f"Counts of onnxruntime {onnxruntime.__version__}, and those of {version} in {FILE.name}"
    )
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    for name in ("way", "stage", "of"):
        table.add_column(name)
    for name in ("count", "figure", "at most"):
        table.add_column(name, justify="right")
    table.add_column("")
    for one in compared:
        numbers = ("" if n is None else f"{n:,}" for n in (one.count, one.figure, one.bound))
        way, stage, kind = one.key
        style = _STYLES[one.verdict]
        kind = kind.replace("_", " ")
        table.add_row(way, stage, kind, *numbers, f"[{style}]{one.verdict}[/]")
    return table
