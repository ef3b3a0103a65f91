"""An sdist, a wheel of it, and an interpreter that has it installed away from the source tree."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from support import REPOSITORY

LEFT_OUT = shutil.ignore_patterns(
    ".git",
    "build",
    "dist",
    "*.so",
    "*.egg-info",
    "__pycache__",
    ".venv*",
    ".*_cache",
    ".hypothesis",
)


def run(*command: object, **kwargs: object) -> str:
    done = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, check=False, **kwargs
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def clean_environment(**more: str) -> dict[str, str]:
    """Leave out what would let an interpreter find the source tree."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**kept, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **more}


def have_build_requirements() -> bool:
    try:
        importlib.metadata.version("cython")
        return int(importlib.metadata.version("setuptools").split(".")[0]) >= 77
    except importlib.metadata.PackageNotFoundError:
        return False


@pytest.fixture(scope="session")
def build_environment(tmp_path_factory) -> dict[str, str]:
    """Build with what is installed here where that will do; compile quickly, on all CPUs."""
    folder = tmp_path_factory.mktemp("build")
    (folder / "extra.cfg").write_text(f"[build_ext]\nparallel = {os.cpu_count()}\n")
    more = {"CFLAGS": "-O0", "DIST_EXTRA_CONFIG": str(folder / "extra.cfg")}
    if not have_build_requirements():
        required = tomllib.loads(Path(REPOSITORY, "pyproject.toml").read_text())["build-system"]
        run(
            sys.executable,
            "-m",
            "pip",
            "install",
            "--target",
            folder,
            *required["requires"],
            env=clean_environment(),
        )
        more["PYTHONPATH"] = str(folder)
    return clean_environment(**more)


@pytest.fixture(scope="session")
def sdist(tmp_path_factory, build_environment) -> Path:
    """Build an sdist, of a copy of the source tree, by the hook that every front end calls."""
    folder = tmp_path_factory.mktemp("source")
    source = folder / "ortmmap"
    shutil.copytree(REPOSITORY, source, ignore=LEFT_OUT)
    hook = "import sys, setuptools.build_meta as b; print(b.build_sdist(sys.argv[1]))"
    run(sys.executable, "-c", hook, folder, cwd=source, env=build_environment)
    (path,) = folder.glob("*.tar.gz")
    return path


@pytest.fixture(scope="session")
def wheel(sdist, tmp_path_factory, build_environment) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        folder,
        sdist,
        cwd=folder,
        env=build_environment,
    )
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def python(wheel, tmp_path_factory) -> Path:
    """Install the wheel into a fresh environment, which borrows only its dependencies from here."""
    folder = tmp_path_factory.mktemp("venv")
    run(sys.executable, "-m", "venv", "--without-pip", folder, env=clean_environment())
    python = folder / "bin" / "python"
    run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--no-deps",
        "--no-index",
        wheel,
        env=clean_environment(),
    )
    (site,) = (folder / "lib").glob("python*/site-packages")
    borrowed = Path(importlib.metadata.distribution("numpy").locate_file(""))
    (site / "borrowed.pth").write_text(f"{borrowed}\n")
    return python
