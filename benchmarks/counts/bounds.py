"""The bounds that counts are held to: ``bounds.toml``, and the comparison with it."""

import math
import tomllib
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).with_name("bounds.toml")

_OUTDATED = 0.8  # a count below this part of its figure shows that the figure is out of date

Key = tuple[str, str, str]  # scenario, stage and kind: ("cached", "open", "page_faults")
Counts = dict[Key, int]


class Comparison(NamedTuple):
    """A count, the figure that it is compared with, if any, and the largest that is allowed."""

    key: Key
    count: int
    figure: int | None
    bound: int | None

    @property
    def verdict(self) -> str:
        """``over`` the bound, far ``below`` the figure, ``new`` without a figure, or ``ok``."""
        if self.figure is None or self.bound is None:
            return "new"
        if self.count > self.bound:
            return "over"
        room = self.bound - self.figure
        return "below" if self.count + room < _OUTDATED * self.figure else "ok"

    def __str__(self) -> str:
        numbers = ("-" if n is None else f"{n:,}" for n in self[1:])
        return "{:30} {:>13}  figure {:>13}  at most {:>13}  {}".format(
            ".".join(self.key), *numbers, self.verdict
        )


class Bounds:
    """The content of the file: figures by version of onnxruntime, and tolerances."""

    def __init__(self, path: Path = FILE) -> None:
        content = tomllib.loads(path.read_text())
        self._tolerances = content["tolerance"]
        self.versions: dict[str, Counts] = {}
        for version, scenarios in content["onnxruntime"].items():
            self.versions[version] = {
                (scenario, stage, kind): figure
                for scenario, stages in scenarios.items()
                for stage, kinds in stages.items()
                for kind, figure in kinds.items()
            }
        kinds = {kind for figures in self.versions.values() for _, _, kind in figures}
        if missing := sorted(kinds - self._tolerances.keys()):
            raise ValueError(f"{path}: expected a tolerance of every kind, found none of {missing}")

    def version(self, installed: str) -> str:
        """Return the newest that is not newer than an installed one; raise LookupError if none."""
        older = [name for name in self.versions if _number(name) <= _number(installed)]
        if not older:
            raise LookupError(
                f"expected figures of onnxruntime {installed} or older, found {[*self.versions]}"
            )
        return max(older, key=_number)

    def compare(self, counts: Counts, version: str) -> list[Comparison]:
        """Compare counts with the figures of a version; raise LookupError if one has no count."""
        figures = self.versions[version]
        if lost := figures.keys() - counts.keys():
            raise LookupError(f"not counted: {sorted('.'.join(key) for key in lost)}")
        return [
            Comparison(key, count, figures.get(key), self.bound(key, figures.get(key)))
            for key, count in counts.items()
        ]

    def bound(self, key: Key, figure: int | None) -> int | None:
        """Return the largest count that is allowed: a part of the figure more, and a number."""
        if figure is None:
            return None
        scenario, _, kind = key
        tolerance = self._tolerances.get(f"{scenario}.{kind}", self._tolerances[kind])
        return math.floor(figure * (1 + tolerance["part"])) + tolerance["more"]


def as_toml(version: str, counts: Counts) -> str:
    """Return the figures of a version as the file has them, a line for each stage."""
    lines: dict[str, list[str]] = {}
    for (scenario, stage, kind), count in sorted(counts.items()):
        lines.setdefault(f"{scenario}.{stage}", []).append(f"{kind} = {count:_}")
    parts = [f"{name} = {{ {', '.join(kinds)} }}" for name, kinds in lines.items()]
    return "\n".join([f'[onnxruntime."{version}"]', *parts, ""])


def _number(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdecimal()]
