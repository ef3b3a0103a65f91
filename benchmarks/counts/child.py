"""The process that is counted: it imports ortmmap, opens a model, and runs it.

``python -m benchmarks.counts.child MODEL CACHE CALLS`` does so in the order of `STAGES`, each
between two marks, and little else. It prints the page faults and private pages of each stage, and
the number of modules that the import brought, as one line of JSON.
"""

import ctypes
import gc
import importlib
import json
import os
import resource
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

STAGES = ("import", "library", "open", "run", "call")

_PR_SET_THP_DISABLE = 41  # linux/prctl.h


def main(model: str, cache: str, calls: str) -> None:
    """Do what the command line says; an empty `cache` means none."""
    # Whether there are huge pages depends on the machine's free memory.
    ctypes.CDLL(None).prctl(_PR_SET_THP_DISABLE, 1, 0, 0, 0)
    # Whether there is an idle processor, for another thread, depends on the machine too.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    gc.disable()
    counts: dict[str, dict[str, int]] = {stage: {} for stage in STAGES}
    modules = len(sys.modules)
    _count(counts["import"], lambda: importlib.import_module("ortmmap.inference_session"))
    ortmmap = sys.modules["ortmmap"]
    counts["import"]["modules"] = len(sys.modules) - modules
    _count(counts["library"], ortmmap.get_version_string)
    session = _count(counts["open"], lambda: _open(ortmmap, model, cache))
    (arg,) = session.get_inputs()
    feeds = {arg.name: np.ones(arg.shape, np.float32)}

    def run(times: int) -> None:
        for _ in range(times):
            session.run(None, feeds)

    _count(counts["run"], lambda: run(1))
    _count(counts["call"], lambda: run(int(calls)))
    print(json.dumps(counts))


def mark() -> None:
    """Show tracers that a stage begins or ends: nothing else makes this system call."""
    os.getsid(0)


def _open(ortmmap: Any, model: str, cache: str) -> Any:
    options = ortmmap.SessionOptions()
    options.intra_op_num_threads = 1
    return ortmmap.Session(model, options, cache=cache or False)


def _count(counts: dict[str, int], stage: Callable[[], Any]) -> Any:
    """Return the result of a stage, and enter its page faults and private pages into `counts`."""
    pages, faults = _private_pages(), _page_faults()
    mark()
    result = stage()
    mark()
    counts["page_faults"] = _page_faults() - faults
    counts["private_pages"] = _private_pages() - pages
    return result


def _page_faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def _private_pages() -> int:
    with open("/proc/self/smaps_rollup", "rb") as file:  # noqa: PTH123 - pathlib is not small
        lines = file.read().splitlines()
    kib = sum(int(line.split()[1]) for line in lines if line.startswith((b"Anonymous:", b"Swap:")))
    return kib * 1024 // resource.getpagesize()


if __name__ == "__main__":
    main(*sys.argv[1:])
