"""``ortmmap ps``: the processes of the machine that hold models, and their memory."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

import click

from ortmmap.cli.formatting import Console, Table, counted, size, write
from ortmmap.monitor.metrics import text_format
from ortmmap.monitor.model_files import MappedFile
from ortmmap.monitor.process import Process
from ortmmap.monitor.snapshot import Model, Snapshot, snapshot

__all__ = ["ps"]

SECONDS = 2.0
LONGEST_COMMAND = 48  # characters in a table
# `mapped`, `shared` and `private` are of the model in the process, `anonymous` of all of it.
FIRST = ("PID", "user", "runtime")
HEADINGS = (*FIRST, "mapped", "shared", "private", "anonymous", "command")
OTHER_HEADINGS = (*FIRST, "resident", "anonymous", "command")


@click.command(
    short_help="Show which processes hold which models.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("model", required=False, type=click.Path(dir_okay=False, readable=False))
@click.option(
    "--watch",
    "seconds",
    is_flag=False,
    flag_value=SECONDS,
    type=click.FloatRange(0.1),
    metavar="[SECONDS]",
    help=f"Repeat until interrupted, every {SECONDS:.0f} s or at this interval.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON; one line each time if watched.")
@click.option("--prometheus", is_flag=True, help="Print metrics in Prometheus' text format.")
def ps(model: str | None, *, seconds: float | None, as_json: bool, prometheus: bool) -> None:
    """Show which processes of the machine hold which models, and the memory that they take.

    With MODEL, show that file's processes only. The processes need not cooperate: the sizes are
    the kernel's, from /proc. Those of other users can only be examined by root.
    """
    if as_json and prometheus:
        raise click.UsageError("--json and --prometheus exclude each other")
    while True:
        found = _snapshot(model)
        if prometheus:
            click.echo(text_format(found), nl=False)
        elif as_json:
            click.echo(json.dumps(_document(found), indent=2 if seconds is None else None))
        else:
            _show(found, model, clear=seconds is not None)
        if seconds is None:
            return
        sys.stdout.flush()
        time.sleep(seconds)


def _snapshot(path: str | None) -> Snapshot:
    """Return the snapshot, of one model only if it is named."""
    found = snapshot()
    if path is None:
        return found
    models = [model for model in found.models if _is(model, path)]
    holding = {each.process.pid for model in models for each in model.holdings}
    processes = [process for process in found.processes if process.pid in holding]
    return found._replace(models=models, processes=processes)


def _is(model: Model, path: str) -> bool:
    if os.path.realpath(path) == model.path:
        return True
    try:
        found = os.stat(path)
    except OSError:
        return False
    return any(_is_file(file, found) for file in model.files)


def _is_file(file: MappedFile, found: os.stat_result) -> bool:
    """Return whether it may be this file: another file system has the same inodes."""
    if file.inode != found.st_ino:
        return False
    key = file.key
    is_known = key.file == file.inode and key.size > 0
    return not is_known or (key.size, key.mtime_ns) == (found.st_size, found.st_mtime_ns)


def _show(found: Snapshot, path: str | None, *, clear: bool) -> None:
    console = Console()
    if clear:
        click.clear()  # only a terminal
    console.print(*map(_table, found.models), _others(found.without_model))
    for line in _summary(found, path):
        write(console, line)


def _table(model: Model) -> Table:
    each = counted(len(model.holdings), "process", "processes")
    title = (
        f"{_name(model)}: {size(model.physical)} in memory, "
        f"{size(model.unshared)} without sharing, {each}"
    )
    table = Table(title, HEADINGS, cut=HEADINGS[-1])
    for holding in model.holdings:
        mapped, shared, private = holding.sizes.mapped, holding.sizes.shared, holding.sizes.private
        table.add(*_row(holding.process, (mapped, shared, private)))
    return table


def _others(processes: list[Process]) -> Table:
    title = "Processes with ONNX Runtime that map no model"
    table = Table(title, OTHER_HEADINGS, cut=HEADINGS[-1])
    for process in processes:
        table.add(*_row(process, (process.sizes.resident,)))
    return table


def _row(process: Process, numbers: Sequence[int]) -> list[str]:
    pid = f"{process.pid}*" if process.is_elsewhere else str(process.pid)
    sizes = map(size, (*numbers, process.sizes.anonymous))
    command = _printable(_short(process.command))
    if len(command) > LONGEST_COMMAND:
        command = f"{command[: LONGEST_COMMAND - 1]}…"
    return [pid, process.user, ", ".join(process.runtimes), *sizes, command]


def _summary(found: Snapshot, path: str | None) -> list[str]:
    lines = []
    if found.models:
        physical = sum(model.physical for model in found.models)
        unshared = sum(model.unshared for model in found.models)
        lines.append(
            f"{counted(len(found.models), 'model')} in memory: {size(physical)}; "
            f"without sharing: {size(unshared)}"
        )
    elif path is None:
        lines.append("no process maps a model")
    else:
        missing = "" if os.path.exists(path) else " (there is no such file)"
        lines.append(f"no process maps {path}{missing}")
    if any(process.is_elsewhere for process in found.processes):
        lines.append("* in another mount namespace, such as a container's; the path is its own")
    if found.unreadable:
        lines.append(_unexamined(found.unreadable))
    return lines


def _unexamined(count: int) -> str:
    """Return the line on processes of other users, or with capabilities that the caller lacks."""
    remedy = "this takes CAP_SYS_PTRACE" if os.geteuid() == 0 else "run this as root to see all"
    return f"{counted(count, 'process', 'processes')} could not be examined; {remedy}"


def _name(model: Model) -> str:
    return _printable(f"{model.path} (deleted)" if model.deleted else model.path)


def _short(command: str) -> str:
    """Return a command line without the folder of its program."""
    program, space, rest = command.partition(" ")
    return f"{os.path.basename(program)}{space}{rest}"


def _printable(text: str) -> str:
    """Return the text of another process without control characters, which terminals obey."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _document(found: Snapshot) -> dict[str, Any]:
    return {
        "models": [_model(model) for model in found.models],
        "processes": [
            {
                "pid": process.pid,
                "uid": process.uid,
                "user": process.user,
                "command": process.command,
                "runtimes": list(process.runtimes),
                "other_mount_namespace": process.is_elsewhere,
                **process.sizes._asdict(),
            }
            for process in found.processes
        ],
        "unreadable_processes": found.unreadable,
    }


def _model(model: Model) -> dict[str, Any]:
    return {
        "path": model.path,
        "size": model.size,
        "deleted": model.deleted,
        "physical": model.physical,
        "unshared": model.unshared,
        "files": [_file(file) for file in model.files],
        "processes": [
            {
                "pid": holding.process.pid,
                **holding.sizes._asdict(),
                "files": [{**_file(file), **file.sizes._asdict()} for file in holding.files],
            }
            for holding in model.holdings
        ],
    }


def _file(file: MappedFile) -> dict[str, Any]:
    return {
        "path": file.path,
        "kind": file.kind,
        "device": file.device,
        "inode": file.inode,
        "deleted": file.deleted,
    }
