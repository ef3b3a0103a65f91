"""What is counted: ways to open a model, and the stages of each that are worth a bound."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.counts.bounds import Counts
from benchmarks.counts.tracing import ByStage, instructions, own_counts, system_calls
from benchmarks.models import Store

_CALLS = 1000
_FOLDER = "/tmp"  # of one depth everywhere: ONNX Runtime looks at every folder above a model


@dataclass(frozen=True)
class Scenario:
    """One way to open a model.

    Attributes
    ----------
    name, model : str
        Its own name, and the model's.
    stages : tuple of str
        Those of `benchmarks.counts.child` that are counted.
    cached : bool
        The cache is used, and warm.
    executed : bool
        Instructions are counted too, under callgrind, which takes half a minute.
    calls : int
        Calls after the first, which ``call`` is about.
    """

    name: str
    model: str
    stages: tuple[str, ...]
    cached: bool = False
    executed: bool = False
    calls: int = 0


SCENARIOS = (
    Scenario(
        "one_node",
        "one_node.onnx",
        ("import", "library", "open", "run", "call"),
        executed=True,
        calls=_CALLS,
    ),
    Scenario("cached", "chain.onnx", ("open", "run"), cached=True, executed=True),
    Scenario("onnx", "chain.onnx", ("open", "run")),
    Scenario("ort", "chain.ort", ("open", "run")),
)


# How many processes there are to run.
STEPS = sum(2 + scenario.executed for scenario in SCENARIOS)


def count(done: Callable[[], object]) -> Counts:
    """Count every scenario, two processes at a time: that others run changes no count.

    Parameters
    ----------
    done : callable
        Called `STEPS` times.
    """
    counts: Counts = {}
    with TemporaryDirectory(dir=_FOLDER) as folder, ThreadPoolExecutor(2) as pool:
        store = Store(Path(folder))
        jobs = []
        for scenario in SCENARIOS:
            arguments = _arguments(scenario, store)
            if scenario.cached:
                own_counts(arguments)  # fills the cache
            jobs += [(scenario, pool.submit(tool, arguments)) for tool in _tools(scenario)]
        for scenario, job in jobs:
            counts |= _selected(scenario, job.result())
            done()
    return dict(sorted(counts.items()))


def _arguments(scenario: Scenario, store: Store) -> list[str]:
    case = store.case(scenario.model, {})
    return [str(case.path), str(case.cache) if scenario.cached else "", str(scenario.calls)]


def _tools(scenario: Scenario) -> list[Callable[[Sequence[str]], ByStage]]:
    """Return what counts, the slowest first."""
    return [*([instructions] if scenario.executed else []), system_calls, own_counts]


def _selected(scenario: Scenario, found: ByStage) -> Counts:
    counts = {
        (scenario.name, stage, kind): number
        for stage in scenario.stages
        for kind, number in found[stage].items()
    }
    each = (scenario.name, "call", "instructions")
    if each in counts:
        counts[each] //= scenario.calls
    return counts
