"""An sdist, a wheel of it, and interpreters that have the wheel, or the source tree, installed."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from support import REPOSITORY

NO_SOURCES = (".git", "dist", "*.egg-info", "__pycache__", ".venv*", ".*_cache", ".hypothesis")
LEFT_OUT = shutil.ignore_patterns(*NO_SOURCES, "build", "*.so")


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


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Path]) -> Path:
    """Return what `make` makes in a new folder, once for all processes that pytest-xdist starts."""
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    result = root / f"{name}.made"
    with FileLock(root / f"{name}.lock"):
        if not result.exists():
            folder = root / f"installed-{name}"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            result.write_text(str(make(folder)))
    return Path(result.read_text())


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

    def make(folder: Path) -> Path:
        source = folder / "ortmmap"
        shutil.copytree(REPOSITORY, source, ignore=LEFT_OUT)
        hook = "import sys, setuptools.build_meta as b; print(b.build_sdist(sys.argv[1]))"
        run(sys.executable, "-c", hook, folder, cwd=source, env=build_environment)
        (path,) = folder.glob("*.tar.gz")
        return path

    return made_once(tmp_path_factory, "sdist", make)


@pytest.fixture(scope="session")
def wheel(sdist, tmp_path_factory, build_environment) -> Path:
    def make(folder: Path) -> Path:
        pip = (sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation")
        run(*pip, "-w", folder, sdist, cwd=folder, env=build_environment)
        (path,) = folder.glob("*.whl")
        return path

    return made_once(tmp_path_factory, "wheel", make)


def fresh_interpreter(folder: Path) -> Path:
    """Make an environment that has the dependencies of this one, but not the package."""
    run(sys.executable, "-m", "venv", "--without-pip", folder, env=clean_environment())
    (site,) = (folder / "lib").glob("python*/site-packages")
    borrowed = Path(importlib.metadata.distribution("numpy").locate_file(""))
    (site / "borrowed.pth").write_text(f"{borrowed}\n")
    return folder / "bin" / "python"


def pip_install(python: Path, *what: object, env: dict[str, str]) -> None:
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index")
    run(*pip, *what, env=env)


@pytest.fixture(scope="session")
def python(wheel, tmp_path_factory) -> Path:
    """Install the wheel into a fresh environment."""

    def make(folder: Path) -> Path:
        python = fresh_interpreter(folder)
        pip_install(python, wheel, env=clean_environment())
        return python

    return made_once(tmp_path_factory, "python", make)


@pytest.fixture(scope="session")
def editable_python(tmp_path_factory, build_environment) -> Path:
    """Install a copy of the source tree as the README does, into a fresh environment.

    What was built in this tree is copied too, so that only what is stale is built again.
    """

    def make(folder: Path) -> Path:
        source = folder / "ortmmap"
        shutil.copytree(REPOSITORY, source, ignore=shutil.ignore_patterns(*NO_SOURCES))
        python = fresh_interpreter(folder / "venv")
        pip_install(python, "--no-build-isolation", "--editable", source, env=build_environment)
        return python

    return made_once(tmp_path_factory, "editable", make)
