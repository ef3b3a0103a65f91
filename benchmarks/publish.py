"""``python -m benchmarks report``: runs what is not measured yet, and writes the document."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

import click

from benchmarks.bounds import bounds
from benchmarks.document import Part, document, narrowed, relative
from benchmarks.machine import machine
from benchmarks.options import BUILD, FILE, plain_errors
from benchmarks.plan import PLANS, Section
from benchmarks.plot import plot
from benchmarks.report import Report, from_json

_DPI = 80
_DOCUMENT = BUILD.parent / "docs" / "benchmarks.md"


@click.command("report")
@click.option(
    "--plan",
    type=click.Choice(list(PLANS)),
    default="full",
    show_default=True,
    help="full: every rival on two models, and many on four more; an hour. short: two models, "
    "fifteen minutes. quick: tiny models whose figures say little, and the document goes to "
    "build/quick.",
)
@click.option(
    "--results",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of every section's JSON, which is used again unless commands, machine or "
    "versions differ.  [default: a folder of the plan's name in build]",
)
@click.option(
    "--again",
    multiple=True,
    type=click.Choice(list(dict.fromkeys(one.name for plan in PLANS.values() for one in plan))),
    help="Measure this section again.",
)
@click.option(
    "--document",
    "path",
    type=FILE,
    help="[default: docs/benchmarks.md]",
)
@click.option("--note", default="", help="What else the document shall say of the machine.")
@click.pass_context
def publish(
    context: click.Context,
    *,
    plan: str,
    results: Path | None,
    again: Sequence[str],
    path: Path | None,
    note: str,
) -> None:
    """Measure all sections that are not measured yet, and write the document with pictures."""
    results = results or BUILD / plan
    path = path or (results / "benchmarks.md" if plan == "quick" else _DOCUMENT)
    command = "python -m benchmarks report" + ("" if plan == "full" else f" --plan={plan}")
    group = context.find_root().command
    assert isinstance(group, click.Group)
    with plain_errors():
        measured = _bounds(results)
        parts = []
        for section in PLANS[plan]:
            report = _measured(section, group, results, section.name in again)
            picture = path.with_name(f"{path.stem}-{section.name}.png")
            plot(narrowed(report, section), picture, dpi=_DPI, notes=False)
            parts.append(Part(section, report, relative(picture, path)))
        path.write_text(document(parts, measured, command, note))
    click.echo(f"Written: {path}")


def _measured(section: Section, group: click.Group, results: Path, again: bool) -> Report:
    """Return a section's report, measured now unless it is there."""
    path = results / f"{section.name}.json"
    done = path.with_suffix(".command")  # beside it: the command that was finished
    command = " ".join(section.command)
    if not again and done.exists() and done.read_text() == command:
        report = from_json(json.loads(path.read_text()))
        if report.machine == machine():
            return report
    done.unlink(missing_ok=True)
    start = time.monotonic()
    click.echo(f"$ python -m benchmarks {command}")
    group.main([*section.command, "--json", str(path)], standalone_mode=False)
    click.echo(f"{section.name}: {time.monotonic() - start:.0f} s")
    done.write_text(command)
    return from_json(json.loads(path.read_text()))


def _bounds(results: Path) -> dict[str, float]:
    """Return what the machine needs, measured now unless it is there."""
    path = results / "bounds.json"
    if path.exists():
        known: dict[str, float] = json.loads(path.read_text())
        return known
    found = bounds()
    results.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=2) + "\n")
    return found
