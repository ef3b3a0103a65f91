"""The bounds that counts keep: ``bounds.toml``, and what is compared with it."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("bounds.toml")

# A figure is out of date where a count is below so much of it.
_OUTDATED = 0.8

# By scenario, stage and kind: ("cached", "open", "page_faults").
Key = tuple[str, str, str]
Counts = dict[Key, int]


@dataclass(frozen=True)
class Tolerance:
    """How far a count may exceed its figure: by a part of it, and by so many more."""

    part: float
    more: int

    def bound(self, figure: int) -> int:
        """Return the most that a count may be."""
        return math.floor(figure * (1 + self.part)) + self.more


@dataclass(frozen=True)
class Comparison:
    """A count, the figure that it is compared with, if any, and the most that it may be."""

    key: Key
    count: int
    figure: int | None
    bound: int | None

    @property
    def verdict(self) -> str:
        """``over`` the bound, far ``below`` the figure, ``new`` where there is none, or ``ok``."""
        if self.figure is None or self.bound is None:
            return "new"
        if self.count > self.bound:
            return "over"
        room = self.bound - self.figure
        return "below" if self.count + room < _OUTDATED * self.figure else "ok"


@dataclass(frozen=True)
class Bounds:
    """What the file says.

    Attributes
    ----------
    tolerances : dict of str to Tolerance
        By the kind of count, or by scenario and kind: "cached.page_faults".
    versions : dict of str to Counts
        The figures, by the version of onnxruntime.
    """

    tolerances: dict[str, Tolerance]
    versions: dict[str, Counts]

    @classmethod
    def read(cls, path: Path = FILE) -> Bounds:
        """Read a file.

        Raises
        ------
        ValueError
            It is not TOML, or a kind of count has no tolerance.
        """
        content = tomllib.loads(path.read_text())
        tolerances = {kind: Tolerance(**found) for kind, found in content["tolerance"].items()}
        versions = {name: _flat(tables) for name, tables in content["onnxruntime"].items()}
        kinds = {kind for figures in versions.values() for _, _, kind in figures}
        if missing := sorted(kinds - tolerances.keys()):
            raise ValueError(
                f"{path}: expected a tolerance for every kind, found none for {missing}"
            )
        return cls(tolerances, versions)

    def version(self, installed: str) -> str:
        """Return the version whose figures an installed one is compared with: the newest not newer.

        Raises
        ------
        LookupError
            There is none.
        """
        older = [name for name in self.versions if _number(name) <= _number(installed)]
        if not older:
            raise LookupError(
                f"expected figures of onnxruntime {installed} or older, found {[*self.versions]}"
            )
        return max(older, key=_number)

    def compare(self, counts: Counts, version: str) -> list[Comparison]:
        """Compare counts with the figures of a version.

        Raises
        ------
        LookupError
            Something that there is a figure for was not counted.
        """
        figures = self.versions[version]
        if lost := figures.keys() - counts.keys():
            raise LookupError(f"not counted: {sorted('.'.join(key) for key in lost)}")
        return [self._compared(key, count, figures.get(key)) for key, count in counts.items()]

    def _compared(self, key: Key, count: int, figure: int | None) -> Comparison:
        if figure is None:
            return Comparison(key, count, None, None)
        scenario, _, kind = key
        tolerance = self.tolerances.get(f"{scenario}.{kind}") or self.tolerances[kind]
        return Comparison(key, count, figure, tolerance.bound(figure))


def as_toml(version: str, counts: Counts) -> str:
    """Return the figures of a version as the file has them."""
    parts = []
    for scenario in dict.fromkeys(key[0] for key in counts):
        parts.append(f'[onnxruntime."{version}".{scenario}]')
        parts += [
            f"{stage}.{kind} = {count:_}"
            for (name, stage, kind), count in counts.items()
            if name == scenario
        ]
        parts.append("")
    return "\n".join(parts)


def _flat(tables: dict[str, Any]) -> Counts:
    return {
        (scenario, stage, kind): figure
        for scenario, stages in tables.items()
        for stage, kinds in stages.items()
        for kind, figure in kinds.items()
    }


def _number(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdecimal()]
