"""Whether the child of a fork may use a session of its parent."""

import os
from typing import TYPE_CHECKING

from ortmmap.options import ExecutionMode
from ortmmap.runtime.providers import CPU

if TYPE_CHECKING:
    from ortmmap.options import SessionOptions

__all__ = ["FORK_VARIABLE", "is_inheritable"]

FORK_VARIABLE = "ORTMMAP_FORK"
REOPEN = "reopen"  # the value of the variable with which no session is inherited

# Settings of which any value but the default may give a session threads, files or code of others.
_FOREIGN = (
    "use_per_session_threads",
    "enable_profiling",
    "_custom_ops",
    "_provider_devices",
    "_selection_policy",
    "_selection_delegate",
)


def is_inheritable(
    options: "SessionOptions",
    config: dict[str, str],
    providers: list[tuple[str, dict[str, str]]],
    threads: int = 0,
) -> bool:
    """Return whether a session with these settings has nothing that a fork takes away.

    That is threads, of which a session with one thread within a node and none between nodes has
    none; and the state of other people's code: execution providers, custom operators. `threads` is
    the size of pools that `options` leave open; 0 if it is not known.
    """
    settings = {**options._defaults, **options._values}
    entries = {**config, **settings["_config"]}
    return (
        (settings["intra_op_num_threads"] or threads) == 1
        and _is_sequential(settings, threads)
        and all(settings[name] == options._defaults[name] for name in _FOREIGN)
        and all(name == CPU for name, _ in providers)
        and (not entries or _are_known(entries))
        and os.environ.get(FORK_VARIABLE) != REOPEN
    )


def _are_known(entries: dict[str, str]) -> bool:
    from ortmmap.abi.config_keys import SESSION_CONFIG_KEYS

    return all(key in SESSION_CONFIG_KEYS for key in entries)


def _is_sequential(settings: dict[str, object], threads: int) -> bool:
    return (
        settings["execution_mode"] == ExecutionMode.ORT_SEQUENTIAL
        or (settings["inter_op_num_threads"] or threads) == 1
    )
