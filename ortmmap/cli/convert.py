"""``ortmmap convert``: an ONNX model saved in ORT format."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack

import click

from ortmmap.cli.formatting import Console, progress_of, size, write

__all__ = ["LEVELS", "convert"]

LEVELS = {"disable": 0, "basic": 1, "extended": 2, "layout": 3, "all": 99}


@click.command(
    short_help="Save an ONNX model in ORT format.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("model", type=click.Path(exists=True, dir_okay=False))
@click.argument("target", required=False, type=click.Path(dir_okay=False))
@click.option(
    "--opt-level",
    type=click.Choice(list(LEVELS)),
    default="all",
    show_default=True,
    help="How far the graph is optimized. From `layout` on, the result may suit this kind of CPU "
    "only.",
)
def convert(model: str, target: str | None, opt_level: str) -> None:
    """Optimize the ONNX model in the file MODEL, and save it in ORT format in the file TARGET.

    Without TARGET, the file is named as MODEL, with the suffix `.ort`.
    """
    from ortmmap.options import GraphOptimizationLevel, SessionOptions
    from ortmmap.session.convert import convert as save

    options = SessionOptions()
    options.graph_optimization_level = GraphOptimizationLevel(LEVELS[opt_level])
    console, started = Console(), time.perf_counter()
    try:
        with _Bars(console, model) as bars:
            target = save(model, target, options, progress=bars.written)
    except ValueError as error:  # onto itself, or an OrtError
        raise click.ClickException(str(error)) from None
    seconds = time.perf_counter() - started
    write(console, f"{target}: {size(os.path.getsize(target))} in {seconds:.1f} s")


class _Bars:
    """A spinner while the model is optimized, then a bar while it is written."""

    def __init__(self, console: Console, model: str) -> None:
        self._console, self._model = console, model
        self._shown = ExitStack()
        self._advance: Callable[[int], object] | None = None

    def __enter__(self) -> _Bars:
        self._shown.enter_context(progress_of(self._console, f"Optimizing {self._model}", None))
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._shown.close()

    def written(self, count: int, total: int) -> None:
        """Advance by bytes written."""
        if self._advance is None:
            self._shown.close()
            self._advance = self._shown.enter_context(
                progress_of(self._console, f"Writing {self._model}", total)
            )
        self._advance(count)
