"""``ortmmap cache``: list, fill, verify and empty the cache."""

from __future__ import annotations

import json
import os
import time
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from ortmmap.cache.folder import (
    FOLDER_VARIABLE,
    LIMIT_VARIABLE,
    default_folder,
    is_system,
)
from ortmmap.cache.sizes import parse_size
from ortmmap.cache.store import Found, Store, open_store
from ortmmap.cli.convert import LEVELS
from ortmmap.cli.formatting import Console, Table, ago, counted, progress_of, size, write
from ortmmap.cli.warming import showing_stages

if TYPE_CHECKING:
    from ortmmap.options import SessionOptions

__all__ = ["cache_group"]

HELP = {"help_option_names": ["-h", "--help"]}


class _Size(click.ParamType):
    """A number of bytes, such as ``10GiB``."""

    name = "SIZE"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        try:
            return parse_size(str(value))
        except ValueError as error:
            raise click.BadParameter(str(error), ctx, param) from None


class _Pair(click.ParamType):
    """``NAME=VALUE``."""

    name = "NAME=VALUE"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        name, equals, text = str(value).partition("=")
        if not (name and equals):
            self.fail(f"{value!r} is not NAME=VALUE", param, ctx)
        return name, text


@click.group("cache", short_help="List, fill, verify and empty the cache.", context_settings=HELP)
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False),
    help=f"Use the cache in this folder.  [default: {FOLDER_VARIABLE}, or the user's cache folder]",
)
@click.pass_context
def cache_group(context: click.Context, folder: str | None) -> None:
    """List, fill, verify and empty the cache of optimized models and prepacked weights."""
    context.obj = folder


@cache_group.command("list", short_help="List the entries.", context_settings=HELP)
@click.option("--json", "as_json", is_flag=True, help="Print the entries as JSON.")
@click.pass_obj
def list_(folder: str | None, *, as_json: bool) -> None:
    """List the entries with the models they were made of, least recently used first."""
    store = _existing(folder)
    found = store.entries()
    if as_json:
        _print_json(store, found)
        return
    console = Console()
    console.print(_table(found))
    total = size(sum(each.nbytes for each in found))
    write(console, f"{_count(found)}, {total} of {size(store.most_bytes)}, in {store.folder}")


_FILE = click.Path(exists=True, dir_okay=False)
_LEVEL = click.Choice(list(LEVELS))
_OF_SESSIONS = (
    click.argument("models", nargs=-1, required=True, type=_FILE),
    click.option("--threads", type=click.IntRange(0), default=0, help="Threads; 0: one a core."),
    click.option(
        "--opt-level",
        type=_LEVEL,
        default="all",
        show_default=True,
        help="Graph optimization level.",
    ),
    click.option("--config", type=_Pair(), multiple=True, help="A session's configuration entry."),
    click.option("--free-dim", type=_Pair(), multiple=True, help="Fix a symbolic dimension."),
    click.option("--custom-ops", type=_FILE, multiple=True, help="A library of custom operators."),
)


def _of_sessions(command: Callable) -> Callable:
    """Add the models and the options of their sessions to a command's parameters."""
    for add in reversed(_OF_SESSIONS):
        command = add(command)
    return command


@cache_group.command("warm", short_help="Fill the cache with models.", context_settings=HELP)
@_of_sessions
@click.pass_obj
def warm(folder: str | None, models: tuple[str, ...], **choices: Any) -> None:
    """Open MODELS once, so that every later session finds them in the cache.

    Sessions must be created with the same options, onnxruntime and CPU, and run as this user.
    """
    store = _store(folder)
    options = _session_options(**choices)
    console = Console()
    failed = [model for model in models if not _warm_one(console, store, model, options)]
    if failed:
        raise click.ClickException(f"not in the cache: {', '.join(failed)}")


@cache_group.command("bake", short_help="Fill a system cache.", context_settings=HELP)
@_of_sessions
@click.option(
    "--into",
    type=click.Path(file_okay=False),
    required=True,
    help="The folder, which is made if it does not exist.",
)
def bake(models: tuple[str, ...], into: str, **choices: Any) -> None:
    """Store what sessions of MODELS need in a system cache, which every user may read.

    Run it as root, with the options that the sessions are opened with, and with each model at the
    path where it stays. A model that is baked already is left as it is.
    """
    from ortmmap.cli.baking import bake_all

    bake_all(Console(), models, into, _session_options(**choices))


@cache_group.command("verify", short_help="Remove damaged entries.", context_settings=HELP)
@click.pass_obj
def verify(folder: str | None) -> None:
    """Read every byte of every entry, and remove the damaged ones, except from a system cache.

    The exit code is 1 if there were any.
    """
    store = _existing(folder)
    found = store.entries()
    console = Console()
    with progress_of(console, "Verifying", sum(each.nbytes for each in found)) as advance:
        damaged = {each.name: store.verify(each.name, advance) for each in found}
    bad = [each for each in found if damaged[each.name] is not None]
    verb = "damaged" if store.system else "removed"
    for each in bad:
        kind = f"{each.kind} of {_source(each)}" if each.sources else "entry of an unknown model"
        write(console, f"{verb} {each.name}: {damaged[each.name]} ({kind})")
    write(console, f"{len(found) - len(bad)} of {_count(found)} intact")
    if bad:
        raise click.exceptions.Exit(1)


@cache_group.command("clear", short_help="Remove every entry.", context_settings=HELP)
@click.pass_obj
def clear(folder: str | None) -> None:
    """Remove every entry. Sessions that are open keep what they have mapped."""
    removed = _existing(folder).clear()
    write(Console(), f"removed {size(removed)}")


@cache_group.command("prune", short_help="Remove the oldest entries.", context_settings=HELP)
@click.option(
    "--limit",
    "most_bytes",
    type=_Size(),
    help=f"Let this much remain, such as 2GiB.  [default: {LIMIT_VARIABLE}, or 10GiB]",
)
@click.pass_obj
def prune(folder: str | None, most_bytes: int | None) -> None:
    """Remove the least recently used entries until the rest is below the limit.

    Entries in use stay. Unfinished entries of killed processes are removed too.
    """
    store = _existing(folder)
    removed = store.prune(most_bytes)
    left = store.entries()
    total = size(sum(each.nbytes for each in left))
    write(Console(), f"removed {size(removed)}; {_count(left)} of {total} left")


def _existing(folder: str | None) -> Store:
    """Return the store without making its folder, which may be misspelt."""
    path = os.path.abspath(folder) if folder else default_folder()
    if path is None or os.path.lexists(path):
        return _store(folder)
    if folder:
        raise click.ClickException(f"there is no folder {path}")
    return Store(path)


def _store(folder: str | None) -> Store:
    if folder and is_system(folder):
        return _system_store(os.path.realpath(folder))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of system caches, which these commands do not use
        store = open_store(folder or None)
    if store.refused is not None:
        raise click.ClickException(store.refused)
    return store


def _system_store(folder: str) -> Store:
    from ortmmap.cache.system import refusal_of_system

    reason = refusal_of_system(folder)
    if reason is not None:
        raise click.ClickException(reason)
    return Store(folder, system=True)


def _session_options(
    threads: int,
    opt_level: str,
    config: tuple[tuple[str, str], ...],
    free_dim: tuple[tuple[str, str], ...],
    custom_ops: tuple[str, ...],
) -> SessionOptions:
    from ortmmap.options import GraphOptimizationLevel, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = threads
    options.graph_optimization_level = GraphOptimizationLevel(LEVELS[opt_level])
    for key, value in config:
        options.add_session_config_entry(key, value)
    for name, extent in free_dim:
        if not extent.isdecimal():
            raise click.BadParameter(f"{extent!r} is no size", param_hint="--free-dim")
        options.add_free_dimension_override_by_name(name, int(extent))
    for path in custom_ops:
        options.register_custom_ops_library(os.path.abspath(path))
    return options


def _warm_one(console: Console, store: Store, model: str, options: SessionOptions) -> bool:
    """Open a model with the cache, print the result, and return whether it is cached."""
    import ortmmap
    from ortmmap.session.filing import wait_for_all

    source = os.path.abspath(model)
    started = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            with showing_stages(console, model, store.folder, os.path.getsize(model)):
                session = ortmmap.Session(model, options, cache=store.folder)
                wait_for_all()
                cached = session.cached
                session.close()
        except (ortmmap.errors.OrtError, OSError, NotImplementedError) as error:
            write(console, f"{model}: {error}")
            return False
    for warning in caught:
        write(console, f"{model}: {warning.message}")
    if cached.folder not in (None, store.folder):
        write(console, f"{model}: in the system cache {cached.folder}")
        return True
    entries = [each for each in store.entries() if _is_of(each, source)]
    seconds = time.perf_counter() - started
    kinds = ", ".join(f"{each.kind} {size(each.nbytes)}" for each in entries)
    write(console, f"{model}: {kinds or 'nothing was cached'} in {seconds:.1f} s")
    return bool(entries)


def _is_of(found: Found, source: str) -> bool:
    return found.state == "ok" and any(path == source for path, *_ in found.sources)


def _table(found: list[Found]) -> Table:
    table = Table("", ("model", "kind", "size", "made", "used", "state"))
    for each in found:
        state = f"{each.state}, in use" if each.in_use else each.state
        made = "?" if each.created is None else ago(each.created)
        used = ago(each.last_used)
        table.add(_source(each), each.kind, size(each.nbytes), made, used, state)
    return table


def _source(found: Found) -> str:
    if not found.sources:
        return found.name
    first = os.path.relpath(found.sources[0][0]) if _is_below(found) else found.sources[0][0]
    more = len(found.sources) - 1
    return f"{first} and {more} more" if more else first


def _is_below(found: Found) -> bool:
    return found.sources[0][0].startswith(os.getcwd().rstrip(os.sep) + os.sep)


def _print_json(store: Store, found: list[Found]) -> None:
    entries = [
        {
            **each._asdict(),
            "sources": [
                {"path": path, "size": nbytes, "mtime_ns": mtime}
                for path, nbytes, mtime in each.sources
            ],
        }
        for each in found
    ]
    total = sum(each.nbytes for each in found)
    document = {
        "folder": store.folder,
        "limit": store.most_bytes,
        "nbytes": total,
        "entries": entries,
    }
    click.echo(json.dumps(document, indent=2))


def _count(found: list[Found]) -> str:
    return counted(len(found), "entry", "entries")
