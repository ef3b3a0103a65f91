"""``ortmmap info``: the contents of a model file."""

import json
from collections.abc import Iterable

import click

from ortmmap.cli.formatting import Console, Table, counted, size
from ortmmap.errors import OrtError
from ortmmap.model.inspect import Initializer, ModelInfo, Value, inspect

__all__ = ["info"]

PLACES = (
    ("mapped in place", "mapped_bytes"),
    ("copied", "inline_bytes"),
    ("in other files", "external_bytes"),
    ("nodes, names, types", "structure_bytes"),
)


@click.command(
    short_help="Show the contents of a model file.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("model", type=click.Path(dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.option(
    "--largest",
    default=10,
    show_default=True,
    type=click.IntRange(0),
    help="List this many of the largest initializers.",
)
def info(model: str, as_json: bool, largest: int) -> None:
    """Show the contents of the file MODEL, where its bytes are, and how a session opens it."""
    try:
        found = inspect(model, largest=largest)
    except (OrtError, OSError) as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=2))
        return
    Console().print(_summary(found), _bytes(found), _values(found), _largest(found))


def _summary(found: ModelInfo) -> Table:
    table = Table(found.path)
    opsets = ", ".join(f"{domain} {version}" for domain, version in found.opsets.items())
    table.add("format", f"{found.format}, IR version {found.ir_version}")
    table.add("opsets", opsets)
    table.add("producer", found.producer or "not named")
    table.add("holds", f"{counted(found.nodes, 'node')}, {counted(found.initializers, 'tensor')}")
    table.add("Session", found.session)
    if found.external_files:
        table.add("other files", ", ".join(found.external_files))
    if found.alignment:
        table.add("alignment", _alignment(found.alignment))
    for note in found.notes:
        table.add("note", note)
    return table


def _bytes(found: ModelInfo) -> Table:
    table = Table("Where the bytes are", ("", "bytes", "size", "share"))
    sizes = {label: getattr(found, name) for label, name in PLACES}
    total = sum(sizes.values())
    for label, nbytes in sizes.items():
        if nbytes:
            table.add(label, f"{nbytes:,}", size(nbytes), f"{100 * nbytes / total:.1f} %")
    return table


def _values(found: ModelInfo) -> Table:
    table = Table("Inputs and outputs", ("", "name", "type", "shape"))
    for kind, values in (("in", found.inputs), ("out", found.outputs)):
        for value in values:
            table.add(kind, value.name, value.type, _shape(value))
    return table


def _largest(found: ModelInfo) -> Table:
    table = Table("Largest initializers", ("name", "type", "dims", "size", "place"))
    for tensor in found.largest:
        table.add(
            tensor.name,
            tensor.dtype,
            _joined(tensor.dims),
            size(tensor.nbytes),
            _place(tensor),
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
