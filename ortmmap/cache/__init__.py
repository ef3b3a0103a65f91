"""The cache on disk: optimized graphs, and prepacked weights as pages that processes share.

`is_used` decides whether a session goes through the cache. It is here, and not in `store`, because
it needs nothing more of it.
"""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ortmmap.options import SessionOptions

__all__ = ["is_cacheable", "is_small", "is_used"]

SWITCH_VARIABLE = "ORTMMAP_CACHE"
# Sizes in bytes, weights included. docs/architecture.md has the measurements.
SMALLEST_MODEL = 16 << 20  # smaller models use the cache only on request
SMALLEST_REQUESTED = 8 << 20  # smaller ones gain nothing: they open in place, unless …
SMALLEST_CONVOLUTIONAL = 3 << 20  # … the layout of convolutions takes longer,
MOST_SMALL_NODES = 400  # or the optimization of the graph does

SWITCHES = {"0": False, "false": False, "off": False, "no": False}
SWITCHES |= {"1": True, "true": True, "on": True, "yes": True}


def is_used(
    setting: bool | str | os.PathLike | None,
    options: "SessionOptions | None" = None,
    *,
    model_bytes: int,
    cpu_only: bool = True,
    nodes: int = 0,
    convolutions: int = 0,
) -> bool:
    """Return whether a session of a model file uses the cache.

    Parameters
    ----------
    setting : bool, str, os.PathLike or None
        The `cache` argument of `Session`. A folder: the cache is used for every model. True: for
        models that gain from it, which small ones do not (see `is_small`). None: the value of
        ``ORTMMAP_CACHE`` decides; if that is not set either, models of 16 MiB and more use the
        cache on the CPU.
    options : SessionOptions, optional
        If given, they must be cacheable too.
    model_bytes : int
        Size of the model, with its external data.
    cpu_only : bool
        Whether the CPU's is the only execution provider requested.
    nodes, convolutions : int
        Number of the model's nodes, and of those of type ``Conv``; 0 if unknown.

    Warns
    -----
    CacheWarning
        If ``ORTMMAP_CACHE`` has an invalid value, once in a process.
    """
    if setting is None:
        setting = _switch()
    if setting is None and not (cpu_only and model_bytes >= SMALLEST_MODEL):
        return False
    if setting is True and is_small(model_bytes, nodes, convolutions):
        return False
    return setting is not False and (options is None or is_cacheable(options))


def is_small(model_bytes: int, nodes: int = 0, convolutions: int = 0) -> bool:
    """Return whether a model opens in place at least as fast as it does from the cache.

    Parameters
    ----------
    model_bytes, nodes, convolutions : int
        As for `is_used`.
    """
    least = SMALLEST_CONVOLUTIONAL if convolutions else SMALLEST_REQUESTED
    return model_bytes < least and nodes <= MOST_SMALL_NODES


def is_cacheable(options: "SessionOptions") -> bool:
    """Return whether a key can name all that the options make of a model.

    A session that saves its optimized model is not cacheable, nor is one whose execution providers
    are selected anew on each machine, or that reads files or values which a key does not name. The
    table of `SessionOptions` says which settings these are.
    """
    return options._is_cacheable()


def _switch() -> bool | None:
    text = os.environ.get(SWITCH_VARIABLE, "").strip().lower()
    if text and text not in SWITCHES:
        from ortmmap.cache.folder import warn

        warn("switch", f"{SWITCH_VARIABLE} is 0 or 1, not {text!r}")
    return SWITCHES.get(text)
