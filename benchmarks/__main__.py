"""``python -m benchmarks``: every figure comes from cold processes."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from benchmarks import columns
from benchmarks.counts import command as counts
from benchmarks.demo import demo
from benchmarks.models import MODELS, Store
from benchmarks.options import BUILD, FILE, STORE, common, plain_errors, repeat, run
from benchmarks.publish import publish
from benchmarks.rivals import SESSIONS
from benchmarks.scale import AXES, scale
from benchmarks.serve import PACKAGES
from benchmarks.serve.survey import Serving
from benchmarks.survey import Survey

_HELP = {"help_option_names": ["-h", "--help"]}

_FILES = ("resnet50.onnx", "bert_base.onnx")
_SMALL = (
    "one_node",
    "inputs_4x4",
    "inputs_16x4",
    "inputs_1x65536",
    "inputs_16x65536",
    "strings_100000",
)
_SERVED = ("ort", "ort-mmap", "ort-mmap-noprepack", "ort-prepacked", "ortmmap-nocache", "ortmmap")
_COUNTS = (1, 2, 4, 8, 16)


@click.group(context_settings=_HELP)
def cli() -> None:
    """Compare ways to open a model: onnxruntime's own, OpenVINO's and ortmmap's."""


@cli.command("open")
@common(_FILES, SESSIONS, seconds=1.0)
@repeat("Cold processes of each rival.", default=7)
@click.option(
    "--cold-cache", is_flag=True, help="Drop the model and the caches from memory before each."
)
def open_(repeat: int, cold_cache: bool, **options: Any) -> None:
    """Measure opening, from process start to the first result, and peak memory."""
    pages = (
        "before each, the system drops the model and the rivals' caches from memory, and nothing "
        "else"
        if cold_cache
        else "the files are in the page cache"
    )
    survey = Survey(
        title="Opening a session" + (", from disk" if cold_cache else ""),
        caption=(
            f"Medians and quartiles of cold processes that alternate; {pages}. "
            "import: the module. open: a session, once the native library is open, which importing "
            "onnxruntime includes and ortmmap does at first use; start to result includes all. "
            "private: anonymous memory that opening added; peak: the most that was added "
            "meanwhile, sampled every millisecond."
        ),
        columns=(
            columns.IMPORT,
            columns.OPEN,
            columns.FIRST_RUN,
            columns.RUN,
            columns.START_TO_RESULT,
            columns.PEAK,
            columns.PRIVATE_OPEN,
            columns.FAULTS,
        ),
        repeat=repeat,
    )
    run(survey, options | {"cold_cache": cold_cache})


@cli.command("memory")
@common(_FILES, SESSIONS, seconds=0.0)
@repeat("Cold processes of each rival.", default=3)
def memory_(repeat: int, **options: Any) -> None:
    """Measure the memory of one process: having opened, and having run."""
    survey = Survey(
        title="Memory of one process",
        caption=(
            "Medians and quartiles of cold processes that alternate, none at the same time. "
            "private: anonymous memory, added since the native library was open; shared: the rest "
            "of RSS. RSS, shared and PSS: of the whole process, Python and libraries included "
            "(Windows: private bytes and working set)."
        ),
        columns=(
            columns.PEAK,
            columns.PRIVATE_OPEN,
            columns.PRIVATE_RUN,
            columns.SHARED_OPEN,
            columns.SHARED_RUN,
            columns.RSS_OPEN,
            columns.RSS_RUN,
            columns.PSS_OPEN,
            columns.PSS_RUN,
        ),
        repeat=repeat,
        bare=True,
    )
    run(survey, options)


@cli.command("workers")
@common(_FILES, _SERVED, seconds=0.0)
@repeat("Groups of workers of each rival.", default=1)
@click.option("--count", type=click.IntRange(1), multiple=True, default=_COUNTS, show_default=True)
@click.option(
    "--hold-ms", type=click.IntRange(1), default=600_000, show_default=True, help="At most."
)
def workers_(repeat: int, count: tuple[int, ...], **options: Any) -> None:
    """Measure the memory of workers that open at once, hold, and run."""
    survey = Survey(
        title="Memory of worker processes",
        caption=(
            "All import, open at once, hold, run once or more, and hold; none leaves before. "
            "private, shared, RSS: of one worker, having run (the median; Windows: private bytes, "
            "working set). Of all workers together: all ready, from the moment when all may open "
            "until the last has; peak, while they open, of private memory (sampled every 5 ms) "
            "and of PSS (every 20 ms or more); PSS having opened, and having run, pages they "
            "share counted once. Over bare: without what as many processes take that import the "
            "same, open the library and no session."
        ),
        columns=(
            columns.READY,
            columns.PRIVATE,
            columns.SHARED,
            columns.RSS,
            columns.TOTAL_PEAK,
            columns.TOTAL_PEAK_PSS,
            columns.OPENED_PSS,
            columns.TOTAL_PSS,
            columns.OVER_BARE,
        ),
        repeat=repeat,
        workers=tuple(sorted(set(count))),
        together=True,
        bare=True,
    )
    run(survey, options)


@cli.command("run")
@common(_SMALL, ("ort", "ortmmap"), seconds=0.3)
@repeat("Cold processes of each rival.", default=9)
def run_(repeat: int, **options: Any) -> None:
    """Measure what one call costs, by default of models that compute next to nothing."""
    survey = Survey(
        title="One call",
        caption=(
            "Medians and quartiles of cold processes that alternate, each the median of blocks "
            "of calls. run_with_iobinding: inputs bound once, outputs allocated anew. awaited: "
            "onnxruntime's run_async made awaitable, ortmmap's run_awaitable; a session of two "
            "threads or more. Threads: all call run of one session all the time."
        ),
        columns=(columns.CALL, columns.BOUND, columns.AWAITED, *columns.PER_SECOND),
        repeat=repeat,
        calls=True,
    )
    run(survey, options)


@cli.command("fork")
@common(_FILES, ("ort", "ortmmap-nocache", "ortmmap"), seconds=0.0)
@repeat("Cold processes of each rival.", default=5)
def fork_(repeat: int, **options: Any) -> None:
    """Measure the first run in a child that a process with an open session forks."""
    survey = Survey(
        title="After a fork",
        caption=(
            "Medians and quartiles of cold processes that alternate: each opens a session, runs "
            "it, and forks; the child runs it too. ortmmap's child opens a session of its own. "
            "onnxruntime's child has the parent's, without the parent's threads: it may hang, and "
            "then has no figure."
        ),
        columns=(columns.OPEN, columns.FIRST_RUN, columns.RUN, columns.FORKED_RUN),
        repeat=repeat,
        fork=True,
    )
    run(survey, options)


@cli.command("scale")
@common((), ("ort", "ort-mmap", "ortmmap-nocache", "ortmmap"), seconds=0.0)
@repeat("Cold processes of each rival.", default=3)
@click.option(
    "--axis", multiple=True, type=click.Choice(list(AXES)), default=list(AXES), show_default=True
)
@click.option("--largest", type=click.IntRange(1), help="Leave out what is larger.")
@click.option(
    "--most", is_flag=True, help="Also 1.9 and 4 GiB of weights (25 GB of disk) and 100,000 nodes."
)
def scale_(
    repeat: int, axis: tuple[str, ...], largest: int | None, most: bool, **options: Any
) -> None:
    """Measure how opening grows with weights, nodes and inputs."""
    run(scale(axis, largest, most, repeat), options)


@cli.command("serve")
@common(("resnet50.onnx",), ("ort", "ortmmap-nocache", "ortmmap"), seconds=20.0)
@repeat("Servers of each rival.", default=3)
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
    run(Serving(workers, clients, requests, repeat), options)


@cli.command("counts")
@click.option("--json", "json_file", type=FILE, help="Also write every count here.")
@click.option("--update", is_flag=True, help="Print what benchmarks/counts/bounds.toml should say.")
def counts_(json_file: Path | None, update: bool) -> None:
    """Check counts that do not depend on a machine's speed: instructions, page faults ….

    Exits with 1 where one is over its bound. Linux, with strace and valgrind.
    """
    with plain_errors():
        if update:
            click.echo(counts.new_figures())
        elif not counts.check(json_file):
            raise click.ClickException(f"a count is over its bound in {counts.FILE}")


@cli.command("capi")
@STORE
@click.option("--rounds", type=click.IntRange(1), default=2000, show_default=True)
def capi_(store: Store, rounds: int) -> None:
    """Measure what one call costs from C: ONNX Runtime's own C API against ortmmap's."""
    from benchmarks.native_calls import measure

    with plain_errors():
        pairs = measure(store.onnx("one_node"), BUILD, rounds)
    for pair in pairs:
        click.echo(
            f"{pair.ours}: {pair.our_ns:.0f} ns, {pair.ratio:.2f}x of {pair.theirs}: "
            f"{pair.their_ns:.0f} ns"
        )


@cli.command("demo")
@STORE
@click.option("--plot", type=FILE, default=BUILD / "demo.png", help="[default: build/demo.png]")
def demo_(store: Store, plot: Path) -> None:
    """Show four workers on ResNet-50 and BERT-base: a table and a picture."""
    with plain_errors():
        demo(store, plot)
    click.echo(f"The same as a picture: {plot}")


@cli.command("models")
@STORE
def models_(store: Store) -> None:
    """Build the models, as .onnx and .ort."""
    console = Console()
    for name in MODELS:
        for build in (store.onnx, store.ort):
            with console.status(f"building {name}"):
                path = build(name)
            console.print(f"{path}  {path.stat().st_size / 1e6:.1f} MB", soft_wrap=True)


cli.add_command(publish)


if __name__ == "__main__":
    cli(prog_name="python -m benchmarks")
