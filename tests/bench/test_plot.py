"""The benchmarks' picture, of as many ways to open a model as there are."""

import importlib
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")


@pytest.fixture
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2]))
    return importlib.import_module


def test_a_picture_has_a_bar_for_every_rival(benchmarks, tmp_path):
    report = benchmarks("benchmarks.report")
    spread = benchmarks("benchmarks.spread").Spread
    difference = benchmarks("benchmarks.difference")
    rivals = benchmarks("benchmarks.rivals").RIVALS
    outputs = {"y": np.zeros(1)}
    rows = [
        report.Row(
            "model",
            rival.name,
            rival.title,
            {"open": spread.of([1.0, 2.0])},
            difference.difference([outputs], outputs),
        )
        for rival in rivals.values()
    ]
    made = report.Report(
        "title", "caption", {"open": "ms"}, rows, [], benchmarks("benchmarks.machine").machine()
    )
    benchmarks("benchmarks.plot").plot(made, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 1000
