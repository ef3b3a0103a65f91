"""Whether ortmmap works here, and what makes it slower or share less.

Each check is a function of its own; `examine` makes all of them. None of them raises: what is
broken is a finding. Modules that may be broken are imported inside the checks.
"""

from __future__ import annotations

from collections.abc import Iterator

from ortmmap.doctor import cache, installation, model, system
from ortmmap.doctor.finding import Finding, exit_status, run_checks

__all__ = ["Finding", "examine", "exit_status"]


def examine(path: str | None = None) -> Iterator[tuple[str, str, Finding]]:
    """Yield the group, the name and the finding of each check.

    Parameters
    ----------
    path : str, optional
        A model file, to examine too.
    """
    groups = [
        ("installation", installation.CHECKS),
        ("system", system.CHECKS),
        ("cache", cache.checks(path)),
    ]
    if path is not None:
        groups.append(("model", model.checks(path)))
    for group, checks in groups:
        for name, found in run_checks(checks):
            yield group, name, found
