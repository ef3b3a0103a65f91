"""``python -m ortmmap info``: the contents of a model file."""

import json
from collections.abc import Iterable

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ortmmap.cli import formatting
from ortmmap.cli.formatting import counted, size
from ortmmap.errors import OrtError
from ortmmap.model.inspect import Initializer, ModelInfo, Value, inspect

__all__ = ["info"]

PLACES = (
    ("mapped in place", "mapped_bytes"),
    ("copied", "inline_bytes"),
    ("in other files", "external_bytes"),
    ("nodes, names, types", "structure_bytes"),
)


@click.command()
@click.argument("model", type=click.Path(dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--largest", default=10, show_default=True, type=click.IntRange(0), help="Initializers to list."
)
def info(model: str, as_json: bool, largest: int) -> None:
    """Show the contents of MODEL, where its bytes are, and how a Session opens it."""
    try:
        found = inspect(model, largest=largest)
    except (OrtError, OSError) as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=2))
        return
    console = Console()
    for table in (_summary(found), _bytes(found), _values(found), _largest(found)):
        if table.row_count:
            console.print(table)


def _summary(found: ModelInfo) -> Table:
    table = formatting.table(escape(found.path))
    opsets = ", ".join(f"{domain} {version}" for domain, version in found.opsets.items())
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    table.add_row("format", f"{found.format}, IR version {found.ir_version}")
    table.add_row("opsets", escape(opsets))
    table.add_row("producer", escape(found.producer) or "not named")
    table.add_row(
        "holds", f"{counted(found.nodes, 'node')}, {counted(found.initializers, 'tensor')}"
    )
    table.add_row("Session", escape(found.session))
    if found.external_files:
        table.add_row("other files", escape(", ".join(found.external_files)))
    if found.alignment:
        table.add_row("alignment", _alignment(found.alignment))
    for note in found.notes:
        table.add_row("note", escape(note))
    return table


def _bytes(found: ModelInfo) -> Table:
    table = formatting.table("Where the bytes are", "", "bytes", "size", "share")
    sizes = {label: getattr(found, name) for label, name in PLACES}
    total = sum(sizes.values())
    for label, nbytes in sizes.items():
        if nbytes:
            table.add_row(label, f"{nbytes:,}", size(nbytes), f"{100 * nbytes / total:.1f} %")
    return table


def _values(found: ModelInfo) -> Table:
    table = formatting.table("Inputs and outputs", "", "name", "type", "shape")
    for kind, values in (("in", found.inputs), ("out", found.outputs)):
        for value in values:
            table.add_row(kind, escape(value.name), escape(value.type), escape(_shape(value)))
    return table


def _largest(found: ModelInfo) -> Table:
    table = formatting.table("Largest initializers", "name", "type", "dims", "size", "place")
    table.columns[0].overflow = "fold"
    for tensor in found.largest:
        table.add_row(
            escape(tensor.name),
            tensor.dtype,
            _joined(tensor.dims),
            size(tensor.nbytes),
            escape(_place(tensor)),
        )
    return table


def _alignment(counts: dict[int, int]) -> str:
    """Return how many mapped tensors are aligned to how many bytes."""
    parts = [f"{bytes_}: {count}" for bytes_, count in counts.items()]
    return f"{', '.join(parts)} (bytes: tensors)"


def _place(tensor: Initializer) -> str:
    place = {"mapped": "mapped", "inline": "copied"}.get(tensor.place)
    return place or tensor.location or "other file"


def _shape(value: Value) -> str:
    return "any" if value.shape is None else _joined(value.shape) or "scalar"


def _joined(dims: Iterable[int | str | None]) -> str:
    return " x ".join("?" if dim is None else str(dim) for dim in dims)
