"""Models that grow in one respect: what is measured at which size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks import columns
from benchmarks.survey import Point, Survey


@dataclass(frozen=True)
class Axis:
    """One respect in which models grow.

    Attributes
    ----------
    unit : str
        What one of it is.
    sizes, more : sequence of int
        The sizes that are measured, and those that take long.
    """

    unit: str
    sizes: Sequence[int]
    more: Sequence[int] = ()


AXES = {
    "weights": Axis("MiB of weights", (1, 4, 16, 64, 256, 1024), (1900, 4096)),
    "nodes": Axis("nodes", (10, 100, 1000, 10_000), (100_000,)),
    "inputs": Axis("inputs", (1, 10, 100, 1000)),
}


def scale(axes: Sequence[str], largest: int | None, most: bool, repeat: int) -> Survey:
    """Return the survey of these axes, up to a size."""
    points = [
        Point(f"{name}_{size}.onnx", axis=axis.unit, at=size, name=name)
        for name, axis in ((name, AXES[name]) for name in axes)
        for size in (*axis.sizes, *(axis.more if most else ()))
        if largest is None or size <= largest
    ]
    if not points:
        raise ValueError(f"nothing is as small as {largest}")
    return Survey(
        title="How opening grows",
        caption=(
            "Medians and quartiles of cold processes that alternate; the files are in the page "
            "cache. weights: 16 square MatMuls of random float32; above 2000 MiB they are "
            "external data, and there is no .ort. nodes: a chain of Tanh on 4 numbers. inputs: "
            "their Sum, 4 numbers each. Straight lines are fitted by least squares, so the "
            "largest models say most about them."
        ),
        columns=(
            columns.OPEN,
            columns.FIRST_RUN,
            columns.PRIVATE_OPEN,
            columns.PEAK,
            columns.FAULTS,
        ),
        repeat=repeat,
        points=points,
    )
