"""Runs situations in one of five ways, and writes a line of JSON for each.

    child.py WAY FOLDER NAME…      WAY is onnxruntime, patched, mixed, small or ortmmap

The name of a situation is written before it begins, so that the one that ends the process is known.
"""

import faulthandler
import importlib
import json
import os
import signal
import sys
from pathlib import Path
from types import ModuleType

TESTS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS))

# Of each way that is patched: sessions are ortmmap's; they are, but values are onnxruntime's; small
# models, as all of these are, are onnxruntime's own.
THRESHOLDS = {"patched": 0, "mixed": 1, "small": 1 << 24}

SECONDS = 120  # for one situation

from situations import attempt, situations  # noqa: E402


def module_for(way: str) -> ModuleType:
    if way == "ortmmap":
        return importlib.import_module("ortmmap")
    if way in THRESHOLDS:
        importlib.import_module("ortmmap").patch_onnxruntime(THRESHOLDS[way])
    return importlib.import_module("onnxruntime")


def main(way: str, folder: str, *names: str) -> None:
    report = os.dup(1)
    os.dup2(2, 1)  # what a library prints is not of the report
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    faulthandler.enable()
    module = module_for(way)
    known = situations()
    for name in names:
        place = Path(folder, name)
        place.mkdir()
        os.chdir(place)
        os.write(report, f"{json.dumps([name])}\n".encode())
        signal.alarm(SECONDS)
        outcome = attempt(known[name].run, module)
        os.write(report, f"{json.dumps([name, outcome])}\n".encode())
    signal.alarm(SECONDS)
    os.chdir("/")


if __name__ == "__main__":
    main(*sys.argv[1:])
