"""``python -m benchmarks``: one command a question; every figure comes from cold processes."""

import inspect
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import onnxruntime
from rich.console import Console

from benchmarks import columns as c
from benchmarks import page
from benchmarks.architectures import FAMILIES, MODELS
from benchmarks.counts import bounds, scenarios
from benchmarks.harness import Request, Workers
from benchmarks.models import Store
from benchmarks.plot import plot
from benchmarks.report import Report, as_json, terminal
from benchmarks.rivals import RIVALS, SESSIONS
from benchmarks.survey import Point, Survey

_BUILD = Path(__file__).resolve().parents[1] / "build"
_WIDTH = 140  # of output that is not a terminal

_FILES = ("resnet50.onnx", "bert_base.onnx")
_SMALL = ("one_node", "inputs_4x4", "inputs_16x4", "inputs_1x65536", "inputs_16x65536")
_SERVED = ("ort", "ort-mmap", "ort-prepacked", "ort-preload", "ortmmap-nocache", "ortmmap")
_DEMO = {  # by model: onnxruntime as most programs call it, with its best options, and ortmmap
    "bert_base.onnx": ("ort", "ort-prepacked", "ortmmap-cold", "ortmmap"),
    "bert_base.ort": ("ort-ort", "ort-mmap-copied", "ort-mmap", "ortmmap-ort"),
}
_AXES = {  # what models grow with: its unit, and the amounts
    "weights": ("MiB of weights", (1, 4, 16, 64, 256, 1024)),
    "nodes": ("nodes", (10, 100, 1000, 10_000)),
    "inputs": ("inputs", (1, 10, 100, 1000)),
}
_number = partial(click.option, type=click.IntRange(1))


def _pairs(_context: Any, _option: Any, values: Sequence[str]) -> dict[str, str]:
    if wrong := [value for value in values if "=" not in value]:
        raise click.BadParameter(f"{wrong[0]!r} is not NAME=VALUE")
    return dict(value.split("=", 1) for value in values)


_STORE = click.option(
    *("--models", "store"),
    callback=lambda _context, _option, folder: Store(Path(folder)),
    default=_BUILD / "models",
    envvar="ORTMMAP_BENCH_MODELS",
    help="Folder of generated models; also ORTMMAP_BENCH_MODELS.",
)
_NAMES = f"{', '.join(MODELS)}, {FAMILIES} (.ort, or with .onnx after it), or a file's path."


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
def cli() -> None:
    """Compare ways to open a model: onnxruntime's own, OpenVINO's and ortmmap's."""


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Turn errors of models, rivals and tools into a message without traceback."""
    try:
        yield
    except (ImportError, LookupError, OSError, RuntimeError, ValueError) as error:
        raise click.ClickException(str(error)) from error


def _measured(
    models: Sequence[str], rivals: Sequence[str], repeat: int, seconds: float, *more: Any
) -> Callable[[Callable[..., Survey]], None]:
    """Add a command that runs the survey which a function returns, with these defaults.

    The function takes the options of `more`, and its docstring describes the report too.
    """
    many: dict[str, Any] = {"multiple": True}
    names, ways = {"default": models, **many}, {"default": rivals, **many}
    common = (
        _STORE,
        click.option("--model", "models", help=_NAMES, hidden=not models, **names),
        click.option("--rival", "rivals", type=click.Choice(list(RIVALS)), **ways),
        click.option("--dim", "sizes", metavar="NAME=SIZE", callback=_pairs, **many),
        click.option("--config", "entries", metavar="KEY=VALUE", callback=_pairs, **many),
        _number("--threads", default=1, help="Of each session."),
        _number("--repeat", default=repeat, help="Groups of processes of each rival."),
        click.option("--seconds", default=seconds, help="Of steady runs, each time."),
        click.option("--cold-cache", is_flag=True, help="Drop files from memory before each."),
        click.option("--json", "path", type=click.Path(path_type=Path), help="Also write it all."),
    )

    def decorate(survey: Callable[..., Survey]) -> None:
        title, _, caption = inspect.getdoc(survey).removeprefix("Measure ").partition("\n\n")
        title = title[0].upper() + title[1:].rstrip(".")

        def command(path: Path | None, **options: Any) -> None:
            fields = Request.__dataclass_fields__.keys() & options.keys()
            request = Request(**{x: options.pop(x) for x in fields})
            with _plain_errors():
                report = survey(**options).run(request, title, caption)
            _print(report)
            if path:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(as_json(report), indent=2, ensure_ascii=False) + "\n")

        for option in reversed((*common, *more)):
            command = option(command)
        cli.command(survey.__name__.strip("_"), help=survey.__doc__)(command)

    return decorate


def _print(report: Report) -> None:
    Console(width=None if sys.stdout.isatty() else _WIDTH).print(terminal(report))


@_measured(_FILES, SESSIONS, 7, 1.0)
def open_() -> Survey:
    """Measure opening, from process start to the first result, and peak memory."""
    times = (c.IMPORT, c.OPEN, c.FIRST_RUN, c.RUN, c.START_TO_RESULT, c.COMPLETE)
    return Survey((*times, c.PEAK, c.PRIVATE_OPEN, c.FAULTS), Workers().measure)


@_measured(_FILES, SESSIONS, 3, 0.0)
def memory() -> Survey:
    """Measure the memory of one process: having opened, and having run."""
    shown = (c.PEAK, c.PRIVATE_OPEN, c.PRIVATE_RUN, c.RSS, c.PSS)
    return Survey(shown, Workers().measure, bare=True)


@_measured(_FILES, _SERVED, 1, 0.0, _number("--count", default=(1, 2, 4, 8, 16), multiple=True))
def workers(count: Sequence[int]) -> Survey:
    """Measure the memory of worker processes that open at once, run, and hold.

    Preloaded ones are forked from a process that has opened the session; it is counted too, and
    memory that they have inherited from it is private in each.
    """
    shown = (c.READY, c.RUN, c.PRIVATE, c.RSS, c.TOTAL_PEAK, c.TOTAL_PSS, c.OVER_BARE)
    return Survey(shown, Workers(together=True).measure, sorted(set(count)), bare=True)


@_measured((*_SMALL, "strings_100000"), ("ort", "ortmmap"), 9, 0.3)
def run() -> Survey:
    """Measure one call, by default of models that compute next to nothing.

    Threads: so many call run of one session without a pause.
    """
    shown = (c.CALL, c.BOUND, c.AWAITED, *c.PER_SECOND)
    return Survey(shown, Workers(calls=True).measure)


@_measured(_FILES, ("ort", "ortmmap-nocache", "ortmmap"), 5, 0.0)
def fork() -> Survey:
    """Measure the first run in a child that a process with an open session forks.

    With one thread, both use the parent's session. With more, ortmmap's child opens a session of
    its own; onnxruntime's has the parent's, without its threads: it may hang, and has no figure.
    """
    shown = (c.OPEN, c.FIRST_RUN, c.RUN, c.FORKED_RUN)
    return Survey(shown, Workers(fork=True).measure)


@_measured((), ("ort", "ort-mmap", "ortmmap-nocache", "ortmmap"), 3, 0.0, _number("--largest"))
def scale(largest: int | None) -> Survey:
    """Measure how opening grows with weights, nodes and inputs.

    weights: 16 square MatMuls of random float32; nodes: a chain of Tanh on 4 numbers; inputs:
    their Sum, 4 numbers each.
    """
    shown = (c.OPEN, c.FIRST_RUN, c.PRIVATE_OPEN, c.PEAK, c.FAULTS)
    points = [
        Point(f"{name}_{size}.onnx", axis=unit, at=size, name=name)
        for name, (unit, sizes) in _AXES.items()
        for size in sizes
        if size <= (largest or size)
    ]
    return Survey(shown, Workers().measure, points=points)


_LOAD = [_number(f"--{name}", default=n) for name, n in (("workers", 4), ("clients", 4))]
_LOAD += [_number("--requests", default=400, help="Of all clients, at most.")]


@_measured(("resnet50.onnx",), ("ort", "ortmmap-nocache", "ortmmap"), 3, 20.0, *_LOAD)
def serve(workers: int, clients: int, requests: int) -> Survey:
    """Measure a web server, uvicorn over FastAPI: requests, latency, memory and start.

    Clients of another process each ask again once answered, on a new connection.
    """
    from benchmarks.serve.load import Servers

    shown = (c.REQUESTS, c.MEDIAN_LATENCY, c.HIGH_LATENCY, c.TOTAL_PSS, c.ALL_SERVE)
    return Survey(shown, Servers(clients, requests).measure, (workers,))


_COPIES = [click.option("--engine", type=click.Choice(["ray", "spark"]), default="ray")]
_COPIES += [_number("--count", default=(1, 2, 4, 8), multiple=True)]
_COPIES += [_number("--rows", default=32, help="For each copy.")]


@_measured(_FILES, ("ort", "ortmmap-nocache", "ortmmap"), 3, 0.0, *_COPIES)
def engines(engine: str, count: Sequence[int], rows: int) -> Survey:
    """Measure a batch engine over Parquet: so many actors of Ray Data or Python workers of Spark.

    Memory is that of these copies. Ours are called as ortmmap.ray and ortmmap.spark do it, others
    by a class for map_batches or by the predict_batch_udf of pyspark.
    """
    from benchmarks.engines.job import Jobs

    shown = (c.ROWS, c.FIRST_BATCH, c.FIRST_OVER_BARE, c.TOTAL_PSS, c.OVER_BARE)
    return Survey(shown, Jobs(engine, rows).measure, sorted(set(count)), bare=True)


@cli.command()
@click.option("--update", is_flag=True, help="Print the figures for benchmarks/counts/bounds.toml.")
def counts(update: bool) -> None:
    """Check counts that do not depend on a machine's speed: instructions, page faults ….

    Exits with 1 if one is over its bound. Linux, with strace and valgrind.
    """
    version = onnxruntime.__version__
    with _plain_errors():
        counted, held = scenarios.count(), bounds.Bounds()
        compared = [] if update else held.compare(counted, held.version(version))
    click.echo(bounds.as_toml(version, counted) if update else "\n".join(map(str, compared)))
    if any(one.verdict == "over" for one in compared):
        raise click.ClickException(f"a count is over its bound in {bounds.FILE}")


@cli.command()
@_STORE
@_number("--rounds", default=2000)
def capi(store: Store, rounds: int) -> None:
    """Measure what one call costs from C: ONNX Runtime's own C API against ortmmap's."""
    from benchmarks.native_calls import measure

    with _plain_errors():
        for line in measure(store.onnx("one_node"), _BUILD, rounds):
            click.echo(line)


@cli.command()
@_STORE
def demo(store: Store) -> None:
    """Show four workers on BERT-base, as .onnx and as .ort: a table and build/demo.png."""
    shown = (c.OPEN, c.RUN, c.START_TO_RESULT, c.PRIVATE_OPEN, c.TOTAL_PSS)
    said = "Four workers, one model file", "They open one after another; those before hold."
    reports = []
    with _plain_errors():
        for name, rivals in _DEMO.items():
            points = [Point("bert_base.onnx", 4, name=name)]
            request = Request(store, (), rivals, seconds=0.3)
            reports.append(Survey(shown, Workers().measure, points=points).run(request, *said))
    rows, left_out = ([x for one in reports for x in getattr(one, n)] for n in ("rows", "left_out"))
    report = replace(reports[0], rows=rows, left_out=left_out)
    _print(report)
    plot(report, _BUILD / "demo.png")
    click.echo(f"The same as a picture: {_BUILD / 'demo.png'}")


@cli.command()
@click.option("--quick", is_flag=True, help="Tiny models, and into build/quick: tries it all.")
def report(quick: bool) -> None:
    """Measure every section that is not measured yet, and write docs/benchmarks.md.

    Results in build/report are used again unless commands, machine or versions differ.
    """
    results = _BUILD / ("quick" if quick else "report")
    folder = results if quick else _BUILD.parent / "docs"
    with _plain_errors():
        click.echo(f"Written: {page.write(folder, results, quick, cli.main)}")


if __name__ == "__main__":
    cli(prog_name="python -m benchmarks")
