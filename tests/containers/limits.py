"""Workers in a memory cgroup: whether they complete, what they read, and the smallest limits.

``python -m containers.limits FOLDER`` bisects for BERT-base and prints the limits, in MiB. The
folder keeps the model and its cache, and must lie on a disk.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from containers.cgroup import Cgroup, made
from containers.image import VARIABLES, EndedError, Process

MIB = 1 << 20
_PACKAGES = ("numpy", "numpy.libs", "onnxruntime")
_TESTS = Path(__file__).resolve().parents[1]
_WORKER = """
import sys
from containers.inside import feeds, open_as, say, spent, wait

module, model, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
session = open_as(module, model, threads)
say([0, 0])
values = feeds(session)
for line in sys.stdin:
    before = spent()
    session.run(None, values)
    say([after - start for start, after in zip(before, spent())])
"""
# One process opens the session, and its children run it; the parent answers for all of them.
_FORKED = """
import json, os, sys
from containers.inside import feeds, open_as, say, spent

module, model, threads, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
session = open_as(module, model, threads)
values = feeds(session)
children = []
for _ in range(count):
    orders, answers = os.pipe(), os.pipe()
    if os.fork() == 0:
        os.close(orders[1])
        while os.read(orders[0], 1):
            before = spent()
            session.run(None, values)
            ran = [after - start for start, after in zip(before, spent())]
            os.write(answers[1], json.dumps(ran).encode())
        os._exit(0)
    os.close(orders[0]), os.close(answers[1])
    children.append((orders[1], answers[0]))
say([0, 0])
for line in sys.stdin:
    for order, _ in children:
        os.write(order, b"1")
    ran = [json.loads(os.read(answer, 1000)) for _, answer in children]
    say([sum(each) / count for each in zip(*ran)])
"""


@dataclass(frozen=True)
class Attempt:
    """What became of workers under a limit."""

    completed: bool  # all of them opened and ran, and none was killed
    seconds: float | None = None  # of the quickest round, in which every worker ran once
    processor: float | None = None  # seconds of a run, in the cheapest round
    read: float | None = None  # bytes read from disk for a run, in the last round


@dataclass(frozen=True)
class Workers:
    """Processes that each open a model, in one cgroup, with packages that it pays for."""

    module: str  # onnxruntime or ortmmap
    model: Path
    cache: Path
    packages: Path  # a copy of the packages that nothing else has in memory
    count: int
    threads: int = 1
    forked: bool = False  # from one that has opened the model, rather than each on its own

    def attempt(self, limit: int, rounds: int = 0) -> Attempt:
        """Open and run under a limit of so many bytes, with nothing in the page cache before."""
        with made(f"ortmmap-limits-{os.getpid()}") as cgroup:
            drop_from_page_cache([self.model, self.cache, self.packages])
            cgroup.limit_memory(limit)
            with self.started(cgroup) as processes:
                try:
                    _answers(processes)
                    _round(processes)
                    found = [_round(processes) for _ in range(rounds)]
                except EndedError:
                    if not cgroup.kills():
                        raise
                    return Attempt(False)
                assert not cgroup.kills()
                if not found:
                    return Attempt(True)
                seconds, processor, _ = map(min, zip(*found, strict=True))
                return Attempt(True, seconds, processor, found[-1][2])

    @contextmanager
    def started(self, cgroup: Cgroup, code: str = _WORKER) -> Iterator[list[Process]]:
        """Start the processes in a group, or the one that forks, and kill them on the way out."""
        arguments = [self.module, self.model, self.threads, self.count]
        code, count = (_FORKED, 1) if self.forked else (code, self.count)
        apart = ["unshare", "--pid", "--fork"] if self.forked else []  # children end with it
        command = cgroup.command([*apart, sys.executable, "-c", code, *arguments])
        processes = [Process(command, self._environment()) for _ in range(count)]
        try:
            yield processes
        finally:
            for process in processes:
                process.kill()

    def fill_cache(self) -> None:
        """Open the model once, with nothing to limit it."""
        code = "import sys; from containers.inside import open_as; open_as(*sys.argv[1:3])"
        command = [sys.executable, "-c", code, self.module, self.model]
        assert Process(command, self._environment()).end() == ""

    def _environment(self) -> dict[str, str]:
        folders = [self.packages, _TESTS.parent, _TESTS]
        return {
            **VARIABLES,
            "PYTHONPATH": os.pathsep.join(map(str, folders)),
            "ORTMMAP_CACHE": "1",
            "ORTMMAP_CACHE_DIR": str(self.cache),
        }


def copy_packages(folder: Path) -> Path:
    """Copy the packages whose pages each group shall pay for, and return the folder."""
    import importlib.util
    import shutil

    site = Path(importlib.util.find_spec("numpy").origin).parents[1]
    for name in _PACKAGES:
        if (site / name).exists() and not (folder / name).exists():
            shutil.copytree(site / name, folder / name)
    return folder


def drop_from_page_cache(paths: Sequence[Path]) -> None:
    """Drop files from memory, so that the next process that touches them pays for them."""
    from benchmarks import page_cache

    page_cache.drop(paths)


def smallest(workers: Workers, low: int, high: int, step: int, rounds: int = 0) -> int | None:
    """Return the smallest limit, in steps of `step` bytes, under which the workers complete.

    If `rounds` is given, they must run so often without reading a page from disk in the last round.
    Return None if not even `high` suffices.
    """

    def suffices(limit: int) -> bool:
        found = workers.attempt(limit, rounds)
        print(f"{workers.module}, {workers.count}: {limit // MIB} MiB: {found}", file=sys.stderr)
        return found.completed and not found.read

    if not suffices(high):
        return None
    while high - low > step:
        middle = (low + high) // 2 // step * step
        low, high = (low, middle) if suffices(middle) else (middle, high)
    return high


def _answers(processes: Sequence[Process]) -> list[list[float]]:
    return [process.answer() for process in processes]


def _round(processes: Sequence[Process]) -> tuple[float, float, float]:
    """Let every worker run once, at the same time.

    Return the seconds until all have, and the means of a worker: seconds of processor time, and
    bytes read from disk.
    """
    begin = time.perf_counter()
    for process in processes:
        process.go_on()
    processor, read = zip(*_answers(processes), strict=True)
    return time.perf_counter() - begin, sum(processor) / len(read), sum(read) / len(read)


def main() -> None:
    parser = argparse.ArgumentParser(prog="containers.limits")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--modules", nargs="+", default=["ortmmap", "onnxruntime"])
    parser.add_argument("--step", type=int, default=16, help="in MiB")
    parser.add_argument("--forked", action="store_true", help="workers of one parent that opens")
    arguments = parser.parse_args()
    from benchmarks.models import Store

    folder = arguments.folder.resolve()
    model = Store(folder).onnx("bert_base")
    packages = copy_packages(folder / "packages")
    for module in arguments.modules:
        for count in arguments.workers:
            workers = Workers(
                module, model, folder / "cache", packages, count, forked=arguments.forked
            )
            row = measured(workers, arguments.step * MIB)
            print(json.dumps({"module": module, "workers": count, **row}), flush=True)


def measured(workers: Workers, step: int) -> dict[str, float | None]:
    """Return the smallest limits in MiB, and the time of a round without and with the second."""
    plenty = (1 + workers.count) * 1024 * MIB
    workers.fill_cache()
    # With that, processes read their libraries again and again, and may never be killed.
    least = (64 if workers.forked else 32 * workers.count) * MIB
    completes = smallest(workers, least, plenty, step)
    resident = smallest(workers, completes - step, plenty, step, rounds=8)
    seconds = {"plenty": [], "resident": []}
    for _ in range(3):  # in alternation: other work on the machine disturbs both
        seconds["plenty"].append(workers.attempt(plenty, 10).seconds)
        seconds["resident"].append(workers.attempt(resident, 10).seconds)
    return {
        "completes": completes // MIB,
        "reads nothing": resident // MIB,
        "speed there": round(min(seconds["plenty"]) / min(seconds["resident"]), 3),
    }


if __name__ == "__main__":
    main()
