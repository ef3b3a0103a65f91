"""Whether a session would find its entries in the cache, and in which folder."""

from __future__ import annotations

import os
from collections import namedtuple
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ortmmap.cache.key import Key
    from ortmmap.options import SessionOptions

__all__ = ["Lookup", "key_of", "look_up"]

Lookup = namedtuple("Lookup", "kinds found places")
Lookup.__doc__ = """The result of `look_up`.

Attributes
----------
kinds : tuple of str
    The kinds of entries that the session looks for: ``model``, ``pages``. Empty if it does not use
    the cache.
found : bool
    Whether each of them is found.
places : list of Place
    The folders that it searches, in this order, and why one is not used.
"""


def look_up(
    path: str | os.PathLike,
    options: SessionOptions | None = None,
    *,
    cache: bool | str | os.PathLike | None = None,
) -> Lookup:
    """Return what a session that opens the model now would find; see `Store.explain`.

    Parameters
    ----------
    path : str or os.PathLike
        The model file.
    options : SessionOptions, optional
    cache : bool, str, os.PathLike or None
        As for `Session`.

    Raises
    ------
    OrtError
        If the file is no model, or cannot be read.
    """
    from ortmmap.cache.store import store_of

    key, kinds = key_of(path, options, cache=cache)
    if key is None:
        return Lookup((), False, [])
    places = store_of(cache, path).explain(key, kinds)
    found = {kind for place in places for kind in place.kinds}
    return Lookup(kinds, found.issuperset(kinds), places)


def key_of(
    path: str | os.PathLike,
    options: SessionOptions | None = None,
    *,
    cache: bool | str | os.PathLike | None = None,
) -> tuple[Key | None, tuple[str, ...]]:
    """Return the key of a session's entries, and their kinds; None and () without the cache.

    The parameters are those of `look_up`.
    """
    from ortmmap.session.arguments import (
        config_of,
        configured_by_model,
        options_of,
        providers_or_none,
    )
    from ortmmap.session.opening import Opening

    options = configured_by_model(options_of(options), path)
    providers = providers_or_none(options, None, None)
    return Opening(path, options, config_of({}), providers, cache).cache_key()
