"""The command line. It needs the extra ``cli``: click and rich."""

import json
from collections.abc import Iterable

import click
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ortmmap.cli.cache import cache_group
from ortmmap.compat import run_script
from ortmmap.errors import OrtError
from ortmmap.model.inspect import Initializer, ModelInfo, Value, inspect

__all__ = ["main"]

UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
PLACES = (
    ("mapped in place", "mapped_bytes"),
    ("copied", "inline_bytes"),
    ("in other files", "external_bytes"),
    ("nodes, names, types", "structure_bytes"),
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ortmmap")
def main() -> None:
    """ONNX Runtime sessions that map the model file instead of reading it."""


main.add_command(cache_group)


@main.command(
    context_settings={
        "allow_interspersed_args": False,
        "help_option_names": [],
        "ignore_unknown_options": True,
    }
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(arguments: tuple[str, ...]) -> None:
    """Run a Python script or module with ortmmap's sessions instead of onnxruntime's."""
    run_script.main(list(arguments))


@main.command()
@click.argument("model", type=click.Path(dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--largest", default=10, show_default=True, type=click.IntRange(0), help="Initializers to list."
)
def info(model: str, as_json: bool, largest: int) -> None:
    """Say what MODEL holds, where its bytes are, and what a Session does with it."""
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


def _table(title: str, *columns: str) -> Table:
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        show_header=bool(columns),
        pad_edge=False,
    )
    for column in columns:
        right = column in ("bytes", "size", "share")
        table.add_column(column, justify="right" if right else "left", no_wrap=right)
    return table


def _summary(found: ModelInfo) -> Table:
    table = _table(escape(found.path))
    opsets = ", ".join(f"{domain} {version}" for domain, version in found.opsets.items())
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    table.add_row("format", f"{found.format}, IR version {found.ir_version}")
    table.add_row("opsets", escape(opsets))
    table.add_row("producer", escape(found.producer) or "not named")
    table.add_row(
        "holds", f"{_counted(found.nodes, 'node')}, {_counted(found.initializers, 'tensor')}"
    )
    table.add_row("Session", escape(found.session))
    if found.external_files:
        table.add_row("other files", escape(", ".join(found.external_files)))
    if found.alignment:
        table.add_row("alignment", _alignment(found.alignment))
    return table


def _bytes(found: ModelInfo) -> Table:
    table = _table("Where the bytes are", "", "bytes", "size", "share")
    sizes = {label: getattr(found, name) for label, name in PLACES}
    total = sum(sizes.values())
    for label, size in sizes.items():
        if size:
            table.add_row(label, f"{size:,}", _size(size), f"{100 * size / total:.1f} %")
    return table


def _values(found: ModelInfo) -> Table:
    table = _table("Inputs and outputs", "", "name", "type", "shape")
    for kind, values in (("in", found.inputs), ("out", found.outputs)):
        for value in values:
            table.add_row(kind, escape(value.name), escape(value.type), escape(_shape(value)))
    return table


def _largest(found: ModelInfo) -> Table:
    table = _table("Largest initializers", "name", "type", "dims", "size", "place")
    table.columns[0].overflow = "fold"
    for tensor in found.largest:
        table.add_row(
            escape(tensor.name),
            tensor.dtype,
            _joined(tensor.dims),
            _size(tensor.nbytes),
            escape(_place(tensor)),
        )
    return table


def _alignment(counts: dict[int, int]) -> str:
    """Say how many mapped tensors begin at multiples of how many bytes."""
    parts = [f"{bytes_}: {count}" for bytes_, count in counts.items()]
    return f"{', '.join(parts)} (bytes: tensors)"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _place(tensor: Initializer) -> str:
    place = {"mapped": "mapped", "inline": "copied"}.get(tensor.place)
    return place or tensor.location or "other file"


def _shape(value: Value) -> str:
    return "any" if value.shape is None else _joined(value.shape) or "scalar"


def _joined(dims: Iterable[int | str | None]) -> str:
    return " x ".join("?" if dim is None else str(dim) for dim in dims)


def _size(size: int) -> str:
    number, unit = float(size), UNITS[0]
    for unit in UNITS:
        if number < 1024 or unit == UNITS[-1]:
            break
        number /= 1024
    return f"{number:.0f} {unit}" if unit == UNITS[0] else f"{number:.1f} {unit}"
