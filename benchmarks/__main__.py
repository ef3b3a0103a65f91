"""``python -m benchmarks``: every figure comes from cold processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from benchmarks import columns
from benchmarks.counts import command as counts
from benchmarks.counts.tracing import ChildError
from benchmarks.demo import demo
from benchmarks.harness import WorkerError
from benchmarks.models import MODELS, Store
from benchmarks.rivals import RIVALS
from benchmarks.serve import PACKAGES
from benchmarks.serve.survey import Serving
from benchmarks.survey import Request, Survey, show

_BUILD = Path(__file__).resolve().parents[1] / "build"


class _Sizes(click.ParamType):
    """``NAME=SIZE``."""

    name = "NAME=SIZE"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        name, _, size = value.partition("=")
        if not (name and size.isdecimal()):
            self.fail(f"{value!r} is not NAME=SIZE", param, ctx)
        return name, int(size)


_STORE = click.option(
    "--models",
    "store",
    type=click.Path(file_okay=False, path_type=Path),
    callback=lambda _context, _option, folder: Store(folder),
    default=_BUILD / "models",
    envvar="ORTMMAP_BENCH_MODELS",
    help="Folder of generated models; also ORTMMAP_BENCH_MODELS.  [default: build/models]",
)
_FILE = click.Path(dir_okay=False, path_type=Path)


def _options(
    models: tuple[str, ...], rivals: tuple[str, ...], seconds: float
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that adds the options of every benchmark, with these defaults."""
    options = (
        _STORE,
        click.option(
            "--model",
            multiple=True,
            default=models,
            show_default=True,
            help=f"{', '.join(MODELS)} (.ort, or with .onnx after it), or the path of a file.",
        ),
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
            type=_Sizes(),
            help="Size of a symbolic dimension.  [default: batch=1, sequence=128, others 1]",
        ),
        click.option("--threads", type=click.IntRange(1), default=1, show_default=True),
        click.option(
            "--seconds", default=seconds, show_default=True, help="Of steady runs, each worker."
        ),
        click.option("--json", type=_FILE, help="Also write every figure here."),
        click.option("--markdown", is_flag=True, help="Print Markdown."),
        click.option("--plot", type=_FILE, help="Also write a picture here."),
    )

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def _repeat(meaning: str, default: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return click.option(
        "--repeat", type=click.IntRange(1), default=default, show_default=True, help=meaning
    )


def _run(survey: Survey | Serving, options: dict[str, Any]) -> None:
    request = Request(
        models=options.pop("model"),
        rivals=options.pop("rival"),
        sizes=dict(options.pop("dim")),
        **options,
    )
    with _plain_errors():
        show(survey.run(request), request)


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Turn what may go wrong with a model or a rival into a message without traceback."""
    try:
        yield
    except (ChildError, WorkerError, LookupError, OSError, ValueError) as error:
        raise click.ClickException(str(error)) from error


_HELP = {"help_option_names": ["-h", "--help"]}


@click.group(context_settings=_HELP)
def cli() -> None:
    """Compare ways to open a model: onnxruntime's own and ortmmap's."""


@cli.command("open")
@_options(("resnet50.onnx", "bert_base.onnx", "resnet50", "bert_base"), tuple(RIVALS), seconds=1.0)
@_repeat("Cold processes of each rival.", default=7)
def open_(repeat: int, **options: Any) -> None:
    """Measure opening, from process start to the first result, and private memory."""
    survey = Survey(
        title="Opening a session",
        caption=(
            "Medians and quartiles of cold processes that alternate; the file is in the page "
            "cache. open: a session, once the native library is open, which importing "
            "onnxruntime includes and ortmmap does at first use; start to result includes all. "
            "private: anonymous memory that opening added, and of the whole process, having run; "
            "peak: the most that was added meanwhile, sampled every millisecond."
        ),
        columns=(
            columns.OPEN,
            columns.FIRST_RUN,
            columns.RUN,
            columns.START_TO_RESULT,
            columns.PEAK,
            columns.PRIVATE_OPEN,
            columns.PRIVATE_PROCESS,
        ),
        repeat=repeat,
    )
    _run(survey, options)


@cli.command("workers")
@_options(("resnet50", "bert_base"), tuple(RIVALS), seconds=0.0)
@_repeat("Groups of workers of each rival.", default=1)
@click.option("--count", type=click.IntRange(1), default=4, show_default=True, help="Workers.")
def workers_(repeat: int, count: int, **options: Any) -> None:
    """Measure the memory of several workers that are alive at once."""
    survey = Survey(
        title=f"Memory of {count} workers",
        caption=(
            "Sampled while all hold, having run. private: anonymous memory of one worker, what "
            "opening added, and of the whole process. RSS: of one worker. total PSS: of all "
            "workers, pages they share counted once."
        ),
        columns=(
            columns.PRIVATE_OPEN,
            columns.PRIVATE_PROCESS,
            columns.RSS,
            columns.TOTAL_PSS,
        ),
        repeat=repeat,
        workers=count,
    )
    _run(survey, options)


@cli.command("run")
@_options(("one_node",), ("ort", "ortmmap"), seconds=0.3)
@_repeat("Cold processes of each rival.", default=15)
def run_(repeat: int, **options: Any) -> None:
    """Measure what one call of run costs, by default of a model that computes next to nothing."""
    survey = Survey(
        title="One call of run",
        caption=(
            "Medians and quartiles of cold processes that alternate, each the median of blocks "
            "of calls."
        ),
        columns=(columns.CALL,),
        repeat=repeat,
    )
    _run(survey, options)


@cli.command("serve")
@_options(("resnet50.onnx",), ("ort", "ortmmap-nocache", "ortmmap"), seconds=20.0)
@_repeat("Servers of each rival.", default=3)
@click.option("--workers", type=click.IntRange(1), default=4, show_default=True)
@click.option("--clients", type=click.IntRange(1), default=4, show_default=True)
@click.option("--requests", type=click.IntRange(1), default=400, show_default=True, help="At most.")
def serve_(repeat: int, workers: int, clients: int, requests: int, **options: Any) -> None:
    """Measure a web server: requests per second, latency, memory and start of its workers.

    uvicorn over a FastAPI app on 127.0.0.1; --seconds bounds the load on each server.
    """
    if missing := [name for name in PACKAGES if find_spec(name) is None]:
        raise click.ClickException(
            f"expected {', '.join(PACKAGES)}, found no {', '.join(missing)}: "
            "pip install 'ortmmap[bench]'"
        )
    _run(Serving(workers, clients, requests, repeat), options)


@cli.command("counts")
@click.option("--json", "json_file", type=_FILE, help="Also write every count here.")
@click.option("--update", is_flag=True, help="Print what benchmarks/counts/bounds.toml should say.")
def counts_(json_file: Path | None, update: bool) -> None:
    """Check counts that do not depend on a machine's speed: instructions, page faults ….

    Exits with 1 where one is over its bound. Linux, with strace and valgrind.
    """
    with _plain_errors():
        if update:
            click.echo(counts.new_figures())
        elif not counts.check(json_file):
            raise click.ClickException(f"a count is over its bound in {counts.FILE}")


@cli.command("demo")
@_STORE
@click.option("--plot", type=_FILE, default=_BUILD / "demo.png", help="[default: build/demo.png]")
def demo_(store: Store, plot: Path) -> None:
    """Show four workers on ResNet-50 and BERT-base: a table and a picture."""
    with _plain_errors():
        demo(store, plot)
    click.echo(f"The same as a picture: {plot}")


@cli.command("models")
@_STORE
def models_(store: Store) -> None:
    """Build the models, as .onnx and .ort."""
    console = Console()
    for name in MODELS:
        for build in (store.onnx, store.ort):
            with console.status(f"building {name}"):
                path = build(name)
            console.print(f"{path}  {path.stat().st_size / 1e6:.1f} MB", soft_wrap=True)


if __name__ == "__main__":
    cli(prog_name="python -m benchmarks")
