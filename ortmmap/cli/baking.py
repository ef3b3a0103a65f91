"""``ortmmap cache bake``: sessions opened in a private folder, whose entries become a system's."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from ortmmap.cli.convert import LEVELS
from ortmmap.cli.formatting import Console, size, write
from ortmmap.cli.warming import showing_stages

if TYPE_CHECKING:
    from ortmmap.cache.entry import Entry
    from ortmmap.cache.folder import CacheFolder
    from ortmmap.options import SessionOptions

__all__ = ["bake_all"]


class _NotBaked(Exception):  # noqa: N818 - a result, not an error
    """A model could not be baked; the argument says why."""


def bake_all(console: Console, models: Sequence[str], folder: str, options: SessionOptions) -> None:
    """Bake models into a system cache, and print the entries and how sessions find them.

    Raises
    ------
    click.ClickException
        If a model could not be baked.
    """
    from ortmmap.cache.bake import CannotBake, open_system_cache

    try:
        system = open_system_cache(folder)
    except (CannotBake, OSError) as error:
        raise click.ClickException(str(error)) from None
    failed = [model for model in models if not _bake(console, system, model, options)]
    _print_settings(console, system, options)
    if failed:
        raise click.ClickException(f"not baked: {', '.join(failed)}")


def _bake(console: Console, system: CacheFolder, model: str, options: SessionOptions) -> bool:
    """Bake a model, print its entries, and return whether it is baked."""
    from ortmmap.errors import OrtError

    path = os.path.abspath(model)
    try:
        with _printing_warnings(console, path):
            entries, state = _entries(console, system, path, options)
    except (_NotBaked, OrtError, OSError, NotImplementedError) as error:
        write(console, f"{path}: not baked: {error}")
        return False
    kinds = ", ".join(f"{entry.kind} {size(entry.nbytes)}" for entry in entries)
    write(console, f"{path}: {kinds}, {state}; {_use(path, options)}")
    return True


@contextmanager
def _printing_warnings(console: Console, path: str) -> Iterator[None]:
    """Print the warnings of the block as messages about a model."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        write(console, f"{path}: {warning.message}")


def _entries(
    console: Console, system: CacheFolder, path: str, options: SessionOptions
) -> tuple[list[Entry], str]:
    """Return the entries of a model, which are made if need be, and how they came to be."""
    started = time.perf_counter()
    found = _found(system, path, options)
    if found is not None:
        return found, "baked already"
    made = _make(console, system, path, options)
    if _found(system, path, options) is None:
        raise _NotBaked("sessions do not find all of it; was the model changed meanwhile?")
    return made, f"baked in {time.perf_counter() - started:.1f} s"


def _use(path: str, options: SessionOptions) -> str:
    """Return which sessions of a model use a cache: small models open faster without."""
    from ortmmap.session.lookup import key_of

    if key_of(path, options)[0] is not None:
        return "large enough for sessions to use it without cache="
    if key_of(path, options, cache=True)[0] is not None:
        return "sessions use it with cache=True"
    return "small: sessions use it only if cache= names a folder"


def _found(system: CacheFolder, path: str, options: SessionOptions) -> list[Entry] | None:
    """Return the entries of a model if the system cache has all of them, intact; else None."""
    from ortmmap.cache.search import find_entry
    from ortmmap.session.lookup import key_of

    key, kinds = key_of(path, options, cache=system.folder)
    if key is None:
        raise _NotBaked("sessions with these options do not use a cache")
    found = [find_entry(system, key, kind, thorough=False) for kind in kinds]
    entries = [entry for entry in found if entry is not None]
    return entries if len(entries) == len(found) else None


def _make(console: Console, system: CacheFolder, path: str, options: SessionOptions) -> list[Entry]:
    """Open a session that fills a private folder, and publish the entries."""
    import ortmmap
    from ortmmap.cache.bake import publish, staging
    from ortmmap.session.filing import wait_for_all

    with staging(system) as folder, _without_system_caches():
        with showing_stages(console, path, folder, os.path.getsize(path)):
            session = ortmmap.Session(path, options, cache=folder)
            wait_for_all()
            state = session.cached
            session.close()
        if state.state != "shared":
            raise _NotBaked(state.reason or f"the session's state is {state}")
        return publish(folder, system)


@contextmanager
def _without_system_caches() -> Iterator[None]:
    """Let sessions write entries of their own, though a system cache may have them."""
    from ortmmap.cache.folder import SYSTEM_VARIABLE

    before = os.environ.get(SYSTEM_VARIABLE)
    os.environ[SYSTEM_VARIABLE] = ""
    try:
        yield
    finally:
        if before is None:
            del os.environ[SYSTEM_VARIABLE]
        else:
            os.environ[SYSTEM_VARIABLE] = before


def _print_settings(console: Console, system: CacheFolder, options: SessionOptions) -> None:
    """Print what a session must be opened with to find the entries."""
    from ortmmap.cache.cpu_class import cpu_class
    from ortmmap.cache.system import DEFAULT_FOLDER, SYSTEM_VARIABLE
    from ortmmap.runtime.library import get_version_string

    owner = os.stat(system.folder).st_uid
    if system.folder == DEFAULT_FOLDER:
        place = "searched by default"
    else:
        place = f"searched if {SYSTEM_VARIABLE}={system.folder}"
    users = "every user" if owner == 0 else f"user {owner} only, since it does not belong to root"
    lines = (
        f"system cache: {system.folder}, {place}; used by {users}",
        f"CPU class: {cpu_class().name}",
        f"ONNX Runtime: {get_version_string()}",
        f"options: {_described(options)}",
        "models: at the paths above, with their times of modification",
    )
    for line in lines:
        write(console, line)


def _described(options: SessionOptions) -> str:
    from ortmmap.cache.key import options_signature

    names = {value: name for name, value in LEVELS.items()}
    found = {f"{name}={value}" for name, value in options_signature(options).items()}
    level = f"optimization level {names[int(options.graph_optimization_level)]}"
    others = sorted(each for each in found if not each.startswith("graph_optimization_level="))
    return ", ".join((level, *others, "any number of threads"))
