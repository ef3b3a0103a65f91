"""``ortmmap doctor``: the checks of `ortmmap.doctor`, and their exit status."""

from __future__ import annotations

import json

import click

from ortmmap.cli.formatting import Console, Table, counted, write
from ortmmap.doctor import examine, exit_status
from ortmmap.doctor.finding import FAILURE, NOTE, WARNING, Finding

__all__ = ["doctor"]


@click.command(
    short_help="Check the installation, the system and a model.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("model", required=False, type=click.Path(readable=False))
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.pass_context
def doctor(context: click.Context, model: str | None, *, as_json: bool) -> None:
    """Check whether ortmmap works here, shares models and opens them quickly.

    With MODEL, check that file too. Each finding is ok, a note, a warning (sessions open more
    slowly, or share less) or a failure (they cannot be opened), with what to do about it. The exit
    code is 0 if there is neither warning nor failure, 1 if there are warnings, 2 if there are
    failures.
    """
    findings = list(examine(model))
    status = exit_status([found.status for _, _, found in findings])
    if as_json:
        click.echo(json.dumps(_document(findings, status), indent=2))
    else:
        _show(findings)
    context.exit(status)


def _show(findings: list[tuple[str, str, Finding]]) -> None:
    console = Console()
    tables: dict[str, Table] = {}
    for group, name, found in findings:
        table = tables.setdefault(group, Table(group))
        table.add(found.status, name, found.text)
        if found.remedy is not None:
            table.add("", "", f"-> {found.remedy}")
    console.print(*tables.values())
    statuses = [found.status for _, _, found in findings]
    counts = [
        counted(statuses.count(status), status)
        for status in (FAILURE, WARNING, NOTE)
        if status in statuses
    ]
    write(console, f"\n{', '.join(counts) or 'no complaints'}")


def _document(findings: list[tuple[str, str, Finding]], status: int) -> dict[str, object]:
    return {
        "exit_status": status,
        "findings": [
            {
                "group": group,
                "check": name,
                "status": found.status,
                "text": found.text,
                "remedy": found.remedy,
            }
            for group, name, found in findings
        ],
    }
