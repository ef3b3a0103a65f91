"""stubtest: the types of the package are those of its modules, and a difference is reported."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import REPOSITORY

import ortmmap

pytestmark = pytest.mark.slow

ALLOWLIST = Path(__file__).with_name("stubtest_allowlist.txt")


def stubtest(root: Path) -> list[str]:
    """Check the package in `root`; return a line for each difference."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy.stubtest", "--concise", "--allowlist", ALLOWLIST),
            *("--mypy-config-file", REPOSITORY / "pyproject.toml", "ortmmap"),
        ],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "MYPYPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert (done.returncode == 0) == (lines == []), done.stderr
    return lines


def test_types_agree_with_the_modules():
    installed = Path(ortmmap.__file__).parent.parent
    assert stubtest(installed) == []


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    package = Path(ortmmap.__file__).parent
    ignored = shutil.ignore_patterns("__pycache__", "*.c", "*.h", "*.pyx", "*.pxd")
    shutil.copytree(package, tmp_path / "ortmmap", ignore=ignored)
    return tmp_path


def test_differences_are_reported(copied):
    stub = copied / "ortmmap" / "_core.pyi"
    text = stub.read_text()
    text = text.replace("    def get_modelmeta(self) -> ModelMetadata: ...\n", "")
    text = text.replace("def end_profiling(self)", "def end_profiles(self)")
    stub.write_text(text.replace("output_names: Sequence", "names: Sequence"))
    lines = stubtest(copied)
    for name in ("end_profiles", "end_profiling", "get_modelmeta", "run"):
        assert any(line.startswith(f"ortmmap._core.Session.{name} ") for line in lines), lines
