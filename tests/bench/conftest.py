import importlib
from collections.abc import Callable
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def module() -> Callable[[str], ModuleType]:
    """Import a module of the benchmarks that needs the bench extra."""
    for name in ("click", "matplotlib", "rich"):
        pytest.importorskip(name, reason="the bench extra is not installed")
    return lambda name: importlib.import_module(f"benchmarks.{name}")


@pytest.fixture
def make_row(module):
    """Make a row of a report from values by figure."""

    def make(rival, at=None, model="m", **figures):
        spread, difference = module("report").Spread.of, module("arrays").Difference(0.0, True)
        known = {
            name: None if values is None else spread(values) for name, values in figures.items()
        }
        axis = None if at is None else "workers"
        return module("report").Row(model, rival, rival, known, difference, axis, at)

    return make


@pytest.fixture
def make_report(module):
    """Make a report of rows."""

    def make(rows, units=None, **more):
        facts = module("machine").machine()
        fields = ("Title", "Caption.", units or {"open": "ms"}, rows, [], facts)
        return module("report").Report(*fields, **more)

    return make
