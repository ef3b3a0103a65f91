"""The options that benchmarks have in common, and how a survey is run with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import click

from benchmarks.counts.tracing import ChildError
from benchmarks.harness import WorkerError
from benchmarks.models import FAMILIES, MODELS, Store
from benchmarks.report import Report
from benchmarks.rivals import RIVALS
from benchmarks.survey import Request, show

BUILD = Path(__file__).resolve().parents[1] / "build"
FILE = click.Path(dir_okay=False, path_type=Path)

Command = Callable[..., None]


class Measures(Protocol):
    """A kind of benchmark."""

    def run(self, request: Request) -> Report:
        """Measure all that is asked for."""
        ...


class _Pair(click.ParamType):
    """Two words with an equals sign between them; `make` takes a second one that `fits`."""

    def __init__(
        self, name: str, make: Callable[[str], Any], fits: Callable[[str], bool] = lambda _: True
    ) -> None:
        self.name = name
        self._make, self._fits = make, fits

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Any]:
        key, equals, text = value.partition("=")
        if not (key and equals and self._fits(text)):
            self.fail(f"{value!r} is not {self.name}", param, ctx)
        return key, self._make(text)


STORE = click.option(
    "--models",
    "store",
    type=click.Path(file_okay=False, path_type=Path),
    callback=lambda _context, _option, folder: Store(folder),
    default=BUILD / "models",
    envvar="ORTMMAP_BENCH_MODELS",
    help="Folder of generated models; also ORTMMAP_BENCH_MODELS.  [default: build/models]",
)


def _model(default: Sequence[str]) -> Callable[[Command], Command]:
    return click.option(
        "--model",
        multiple=True,
        default=default,
        show_default=True,
        help=f"{', '.join(MODELS)}, {FAMILIES} (.ort, or with .onnx after it), or a file's path.",
    )


def common(
    models: Sequence[str], rivals: Sequence[str], seconds: float
) -> Callable[[Command], Command]:
    """Return a decorator that adds the options of every benchmark, with these defaults.

    Without models there is no ``--model``: the benchmark says itself what it measures.
    """
    options = [
        STORE,
        *([_model(models)] if models else []),
        click.option(
            "--rival",
            multiple=True,
            type=click.Choice(list(RIVALS)),
            default=rivals,
            show_default=True,
            help="The others are compared with the first.",
        ),
        click.option(
            "--dim",
            multiple=True,
            type=_Pair("NAME=SIZE", int, str.isdecimal),
            help="Size of a symbolic dimension.  "
            "[default: batch=1, sequence=128 (GPT-2: sequence=1, past=127), others 1]",
        ),
        click.option("--threads", type=click.IntRange(1), default=1, show_default=True),
        click.option(
            "--config",
            multiple=True,
            type=_Pair("KEY=VALUE", str),
            help="Config entry of every session of ONNX Runtime, over the rival's own.",
        ),
        click.option(
            "--seconds", default=seconds, show_default=True, help="Of steady runs, each worker."
        ),
        click.option("--json", type=FILE, help="Also write every figure here."),
        click.option("--markdown", is_flag=True, help="Print Markdown."),
        click.option("--plot", type=FILE, help="Also write a picture here."),
    ]

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def repeat(meaning: str, default: int) -> Callable[[Command], Command]:
    """Return a decorator that adds ``--repeat``."""
    return click.option(
        "--repeat", type=click.IntRange(1), default=default, show_default=True, help=meaning
    )


def run(survey: Measures, options: dict[str, Any]) -> None:
    """Measure and show what the options say."""
    request = Request(
        models=options.pop("model", ()),
        rivals=options.pop("rival"),
        sizes=dict(options.pop("dim")),
        entries=dict(options.pop("config")),
        **options,
    )
    with plain_errors():
        show(survey.run(request), request)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn what may go wrong with a model or a rival into a message without traceback."""
    try:
        yield
    except (ChildError, WorkerError, LookupError, OSError, RuntimeError, ValueError) as error:
        raise click.ClickException(str(error)) from error
