"""Programs that open a model, in containers and on the host, and what they report."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from containers.image import VARIABLES, Container, Process

MODEL, CACHE = "/models/model.onnx", "/models/cache"  # in images
BAKE = ["python", "-m", "ortmmap", "cache", "bake", MODEL, "--threads", "1", "--into", CACHE]
SHARED = {"state": "shared", "reason": None}
OPEN = """
import sys
from containers.inside import opened

opened(*sys.argv[1:])
"""


class Opening:
    """A program that opens a model, and what it reported."""

    def __init__(self, process: Process) -> None:
        self.process = process
        assert process.answer() == "imported"
        before = process.read_bytes()
        process.go_on()
        self.cached = process.answer()
        self.read = process.read_bytes() - before
        process.go_on()
        self.result = process.answer()

    def end(self) -> str:
        """End the program, and return its standard error."""
        self.process.go_on()
        return self.process.end()


@contextmanager
def opened(container: Container, model: str = MODEL) -> Iterator[Opening]:
    """Open a model in a container, which ends on the way out without a word."""
    process = container.python(OPEN, "ortmmap", model)
    try:
        opening = Opening(process)
        yield opening
        assert complaints(opening.end()) == []
    finally:
        process.kill()


def complaints(errors: str) -> list[str]:
    """Return the lines on the standard error that are not of onnxruntime's cpuinfo library.

    It says five times that there is no ``/proc/cpuinfo``, before any session is opened.
    """
    plain = re.sub("\x1b\\[[0-9;]*m", "", errors)
    return [line for line in plain.splitlines() if line and "cpuinfo" not in line]


@contextmanager
def opened_on_the_host(model: Path, cache: Path) -> Iterator[Opening]:
    variables = {**VARIABLES, "ORTMMAP_CACHE_DIR": str(cache)}
    process = Process([sys.executable, "-c", OPEN, "ortmmap", model], variables)
    try:
        opening = Opening(process)
        yield opening
        assert opening.end() == ""
    finally:
        process.kill()
