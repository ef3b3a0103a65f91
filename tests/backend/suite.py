"""Runs ONNX's backend tests with every variant of a session, and prints what came of each.

The cases are made once; children forked from there run a share each. A child says what it begins,
so that one that dies (a crash of native code) is known by its case, and a next one goes on.
"""

import gc
import json
import os
import sys
import tempfile
import unittest
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

CHILDREN = 2


def load() -> dict[str, object]:
    """Make the cases: category and name, and the test's function."""
    from onnx.backend.base import Backend
    from onnx.backend.test.runner import Runner

    class OnCpu(Backend):
        @classmethod
        def supports_device(cls, device: str) -> bool:
            return device == "CPU"

        @classmethod
        def is_compatible(cls, *_args: object, **_kwargs: object) -> bool:
            return True

        @classmethod
        def prepare(cls, *args: object, **kwargs: object) -> object:
            from onnx_backend import SessionBackend

            return SessionBackend.prepare(*args, **kwargs)

    items = Runner(OnCpu)._test_items
    return {
        f"{category}/{name.removesuffix('_cpu')}": item.func
        for category, named in items.items()
        for name, item in named.items()
        if name.endswith("_cpu")
    }


def outcome(function: object) -> str:
    """Run one test; tell ``passed``, ``skipped``, or the exception: its classes and text."""
    try:
        function(unittest.TestCase())
    except unittest.SkipTest:
        return "skipped"
    except Exception as error:
        classes = "/".join(cls.__name__ for cls in type(error).__mro__)
        return f"{classes}: {str(error)[:300]}"
    return "passed"


def run_share(names: list[str], cases: dict[str, object]) -> Iterator[dict]:
    """Run the cases; yield each beginning and each outcome."""
    from onnx_backend import VARIANTS, SessionBackend

    warnings.simplefilter("ignore")
    for name in names:
        for variant in VARIANTS:
            SessionBackend.variant = variant
            yield {"name": name, "variant": variant}
            yield {"name": name, "variant": variant, "outcome": outcome(cases[name])}


class Child:
    """A forked process that runs a share of the cases."""

    def __init__(self, names: list[str], cases: dict[str, object]) -> None:
        self.names = names
        self.report = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed in wait
        self.process = os.fork()
        if self.process == 0:
            self.run(cases)

    def run(self, cases: dict[str, object]) -> NoReturn:
        try:
            for line in run_share(self.names, cases):
                self.report.write(json.dumps(line) + "\n")
                self.report.flush()
            os._exit(0)
        finally:
            os._exit(1)

    def wait(self) -> tuple[list[dict], list[str]]:
        """Return the outcomes, and the cases that are left; one that ends the child has crashed."""
        _, status = os.waitpid(self.process, 0)
        with self.report:
            self.report.seek(0)
            lines = [json.loads(line) for line in self.report]
        outcomes = [line for line in lines if "outcome" in line]
        if status == 0:
            return outcomes, []
        if not lines:
            raise RuntimeError(f"a child ended ({status}) before its first case")
        crashed = {**lines[-1], "outcome": f"crashed: {status}"}
        return [*outcomes, crashed], self.names[self.names.index(crashed["name"]) + 1 :]


def main() -> None:
    """Print one line of JSON for each case and variant."""
    sys.path.insert(0, str(Path(__file__).parent))
    cases = load()
    names = sorted(cases)
    gc.freeze()
    shares = [names[number::CHILDREN] for number in range(CHILDREN)]
    with tempfile.TemporaryDirectory() as models:
        os.environ["ONNX_MODELS"] = models  # the light models' data are written there
        while shares:
            children = [Child(share, cases) for share in shares]
            ended = [child.wait() for child in children]
            shares = [left for _, left in ended if left]
            for outcomes, _ in ended:
                sys.stdout.writelines(json.dumps(line) + "\n" for line in outcomes)


if __name__ == "__main__":
    main()
