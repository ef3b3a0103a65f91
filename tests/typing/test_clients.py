"""Client programs under ``mypy --strict``: right ones pass without a cast, wrong ones are reported.

The programs of ``clients/`` are run too, so that their types are those of what happens.
"""

import importlib.util
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import models
import pytest
from support import REPOSITORY

pytestmark = pytest.mark.slow

CLIENTS = Path(__file__).parent / "clients"
WRONG = CLIENTS / "wrong_use.py"
PROGRAMS = sorted(path.stem for path in CLIENTS.glob("*.py") if path != WRONG)

# The arguments of each program's `main`, after the path of a model.
ARGUMENTS: dict[str, Callable[[Path], list[object]]] = {
    "scorer": lambda _: [models.zip_map(strings=True)],
    "tools": lambda folder: [str(folder)],
}

Reports = set[tuple[str, int, str]]  # of a file's name, a line and an error's code


@pytest.fixture(scope="module")
def reports(tmp_path_factory) -> Reports:
    """The errors that mypy reports of all programs, and of any other file."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--config-file", "pyproject.toml"),
            *("--cache-dir", tmp_path_factory.mktemp("mypy"), "--no-error-summary", CLIENTS),
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found = re.findall(r"^(.+?):(\d+): error: .*\[([\w-]+)\]$", done.stdout, re.MULTILINE)
    assert len(found) == done.stdout.count(": error: "), done.stdout
    return {(Path(path).name, int(line), code) for path, line, code in found}


def marked() -> Iterator[tuple[str, int, str]]:
    for number, line in enumerate(WRONG.read_text().splitlines(), 1):
        _, _, codes = line.partition("# error: ")
        for code in codes.split():
            yield WRONG.name, number, code


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"clients_{name}", CLIENTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


def test_programs_type_check(reports):
    assert sorted(report for report in reports if report[0] != WRONG.name) == []


def test_mistakes_are_reported_and_nothing_else(reports):
    assert sorted(report for report in reports if report[0] == WRONG.name) == sorted(marked())


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_needs_no_cast_and_ignores_no_error(name):
    text = (CLIENTS / f"{name}.py").read_text()
    assert not re.search(r"\bcast\b|type: ignore|\bno_type_check\b", text)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_runs(name, onnx_file, tmp_path):
    load(name).main(str(onnx_file), *ARGUMENTS.get(name, lambda _: [])(tmp_path))
