"""The scenarios that are counted."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.counts.bounds import Counts
from benchmarks.counts.child import STAGES
from benchmarks.counts.tracing import instructions, own_counts, system_calls
from benchmarks.models import Store

_TOOLS = ("strace", "valgrind")
_FOLDER = "/tmp"  # of one depth everywhere: ONNX Runtime looks at every folder above a model


@dataclass(frozen=True)
class Scenario:
    """One way to open a model, and the stages of `benchmarks.counts.child` that have bounds."""

    name: str
    model: str
    stages: tuple[str, ...] = ("open", "run")
    cached: bool = False  # with a cache, which is warm
    executed: bool = False  # count instructions too, under callgrind, for half a minute
    calls: int = 0  # in the stage ``call``


SCENARIOS = (
    Scenario("one_node", "one_node.onnx", STAGES, executed=True, calls=1000),
    Scenario("cached", "chain.onnx", cached=True, executed=True),
    Scenario("onnx", "chain.onnx"),
    Scenario("ort", "chain.ort"),
)


def count() -> Counts:
    """Count every scenario, two processes at a time, which changes no count."""
    if missing := [tool for tool in _TOOLS if shutil.which(tool) is None]:
        raise OSError(f"expected Debian's packages {' and '.join(missing)} to be installed")
    counts: Counts = {}
    with TemporaryDirectory(dir=_FOLDER) as folder, ThreadPoolExecutor(2) as pool:
        jobs = []
        for one in SCENARIOS:
            case = Store(Path(folder)).case(one.model, {})
            cache = str(case.cache("ortmmap")) if one.cached else ""
            arguments = [str(case.path), cache, str(one.calls)]
            own_counts(arguments)  # fills the cache, and writes bytecode that is not there yet
            tools = [*([instructions] if one.executed else []), system_calls, own_counts]
            jobs += [(one, pool.submit(tool, arguments)) for tool in tools]
        for one, job in jobs:
            for stage in one.stages:
                for kind, number in job.result()[stage].items():
                    each = one.calls if (stage, kind) == ("call", "instructions") else 1
                    counts[one.name, stage, kind] = number // each
    return dict(sorted(counts.items()))
