"""A snapshot as Prometheus' metrics, and their text format (version 0.0.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from ortmmap.monitor.snapshot import Model, Snapshot

__all__ = ["Family", "families", "text_format"]

# Fields of `Sizes`, and what a metric of each says.
OF_A_MODEL = {
    "mapped": "Address space of the model's files in a process.",
    "resident": "Pages of the model in memory that a process maps.",
    "proportional": "Resident pages, each divided by the processes that map it (PSS).",
    "shared": "Resident pages that other processes map too.",
    "private": "Resident pages that only this process maps.",
}
OF_A_PROCESS = {
    "anonymous": "Memory of a whole process that belongs to no file.",
    "proportional": "Memory of a whole process, pages divided by the processes that map them.",
}
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


class Family(NamedTuple):
    """A gauge, and its value for each combination of labels."""

    name: str
    help: str
    labels: tuple[str, ...]
    values: dict[tuple[str, ...], int]


def families(found: Snapshot) -> Iterator[Family]:
    """Yield the metrics of a snapshot."""
    yield _of_models(
        found,
        "physical_bytes",
        "Memory that the model takes, each page once.",
        lambda model: model.physical,
    )
    yield _of_models(
        found,
        "unshared_bytes",
        "Memory that it would take if each process had its own copy.",
        lambda model: model.unshared,
    )
    yield _of_models(
        found, "processes", "Processes that map the model.", lambda model: len(model.holdings)
    )
    for field, text in OF_A_MODEL.items():
        yield _family(
            f"ortmmap_mapped_model_{field}_bytes",
            text,
            ("model", "pid"),
            (
                ((_name(model), str(each.process.pid)), getattr(each.sizes, field))
                for model in found.models
                for each in model.holdings
            ),
        )
    for field, text in OF_A_PROCESS.items():
        yield _family(
            f"ortmmap_process_{field}_bytes",
            text,
            ("pid", "runtime"),
            (
                ((str(each.pid), ",".join(each.runtimes)), getattr(each.sizes, field))
                for each in found.processes
            ),
        )
    yield Family(
        "ortmmap_unreadable_processes",
        "Processes that the exporter may not examine.",
        (),
        {(): found.unreadable},
    )


def text_format(found: Snapshot) -> str:
    """Return the metrics of a snapshot in Prometheus' text format."""
    return "".join(line for family in families(found) for line in _lines(family))


def _of_models(found: Snapshot, name: str, text: str, value: Callable[[Model], int]) -> Family:
    samples = (((_name(model),), value(model)) for model in found.models)
    return _family(f"ortmmap_model_{name}", text, ("model",), samples)


def _family(
    name: str,
    text: str,
    labels: tuple[str, ...],
    samples: Iterable[tuple[tuple[str, ...], int]],
) -> Family:
    """Return a gauge; samples of equal labels, such as two removed files of a name, are added."""
    values: dict[tuple[str, ...], int] = {}
    for key, value in samples:
        values[key] = values.get(key, 0) + value
    return Family(name, text, labels, values)


def _name(model: Model) -> str:
    path = f"{model.path} (deleted)" if model.deleted else model.path
    return path.encode("utf-8", "replace").decode()  # a path need not be UTF-8


def _lines(family: Family) -> Iterator[str]:
    yield f"# HELP {family.name} {family.help}\n# TYPE {family.name} gauge\n"
    for key, value in family.values.items():
        pairs = zip(family.labels, key, strict=True)
        labels = ",".join(f'{name}="{text.translate(_ESCAPES)}"' for name, text in pairs)
        yield f"{family.name}{{{labels}}} {value}\n" if labels else f"{family.name} {value}\n"
