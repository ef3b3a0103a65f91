"""The result of a check, and the running of checks."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from ortmmap.cache.folder import CacheWarning

__all__ = [
    "FAILURE",
    "NOTE",
    "OK",
    "WARNING",
    "Check",
    "Finding",
    "exit_status",
    "mebibytes",
    "of_reason",
    "run_checks",
]

OK, NOTE, WARNING, FAILURE = "ok", "note", "warning", "failure"
_EXIT = {OK: 0, NOTE: 0, WARNING: 1, FAILURE: 2}


class Finding(NamedTuple):
    """What a check has found.

    Attributes
    ----------
    status : {"ok", "note", "warning", "failure"}
        ``note``: worth knowing, and no fault. ``warning``: sessions open more slowly, or share less
        memory. ``failure``: sessions cannot be opened.
    text : str
    remedy : str or None
        What to do about it.
    """

    status: str
    text: str
    remedy: str | None = None


Check = Callable[[], Finding | None]


def run_checks(checks: Sequence[tuple[str, Check]]) -> Iterator[tuple[str, Finding]]:
    """Make each check, and yield its name and finding; a check that does not apply finds None.

    What sessions would warn of is a finding, and not a warning besides.
    """
    for name, check in checks:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", CacheWarning)
                found = check()
        except Exception as error:  # a doctor must survive any patient
            found = Finding(WARNING, f"cannot be examined: {type(error).__name__}: {error}")
        if found is not None:
            yield name, found


def of_reason(before: str, reason: str) -> Finding:
    """Return the warning of a reason, which may end with a remedy after a semicolon."""
    text, _, remedy = reason.partition("; ")
    return Finding(WARNING, f"{before}: {text}", remedy or None)


def mebibytes(nbytes: int) -> str:
    """Return a number of bytes as text, such as ``3.0 MiB``."""
    return f"{nbytes / (1 << 20):.1f} MiB"


def exit_status(statuses: Sequence[str]) -> int:
    """Return 0 if nothing is wrong, 1 for warnings, 2 for failures."""
    return max((_EXIT[status] for status in statuses), default=0)
