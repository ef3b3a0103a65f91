"""The package as setup.py describes it: its Python files and metadata, as a wheel, checked."""

import contextlib
import io
import os
import re
import subprocess
import sys
import zipfile
from distutils.core import run_setup
from pathlib import Path

import setuptools
from targets import Target
from wheel.wheelfile import WheelFile

LIMIT = 4 << 20  # bytes of a wheel
ALLOWED = re.compile(
    r"ortmmap/(\w+/)?\w+\.(py|pyi|pxd|so)$|ortmmap/(\w+/)?\w+\.cpython-\d+t?-\w+-linux-gnu\.so$"
    r"|ortmmap/py\.typed$|ortmmap/include/ortmmap/\w+\.h$"
    r"|ortmmap-[\w.]+\.dist-info/(METADATA|RECORD|WHEEL|\w+\.txt|licenses/LICENSE)$"
)


def describe() -> setuptools.Distribution:
    """Run setup.py, which translates the .pyx files to C, up to where its commands would run."""
    with contextlib.redirect_stdout(io.StringIO()):
        return run_setup("setup.py", script_args=["--quiet"], stop_after="config")


def write_python_files(distribution: setuptools.Distribution, folder: Path) -> None:
    """Write what is the same in every wheel: modules, stubs, headers and metadata."""
    build = distribution.get_command_obj("build_py")
    build.build_lib = str(folder)
    distribution.run_command("build_py")
    metadata = distribution.get_command_obj("dist_info")
    metadata.output_dir = str(folder)
    distribution.run_command("dist_info")


def write_wheel(contents: Path, target: Target, python: str, output: Path) -> Path:
    """Pack a folder of a package with its metadata into a wheel.

    Files have the time of ``SOURCE_DATE_EPOCH``, by default of the last commit: building again
    gives the same bytes.
    """
    (metadata,) = contents.glob("*.dist-info")
    abi = "cp" + python.replace(".", "")
    tag = f"{abi.removesuffix('t')}-{abi}-{target.platform}"
    (metadata / "WHEEL").write_text(
        f"Wheel-Version: 1.0\nGenerator: ortmmap tools/wheels\nRoot-Is-Purelib: false\nTag: {tag}\n"
    )
    os.environ.setdefault("SOURCE_DATE_EPOCH", _time_of_last_commit())
    output.mkdir(exist_ok=True)
    path = output / f"{metadata.stem}-{tag}.whl"
    with WheelFile(path, "w") as wheel:
        wheel.write_files(contents)
    return path


def _time_of_last_commit() -> str:
    done = subprocess.run(
        ["git", "log", "-1", "--format=%ct"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "315532800"  # 1980, the first year of a zip


def defects(path: Path, modules: set[str]) -> list[str]:
    """Return what is wrong with a wheel for Linux; nothing, if it may be published.

    Parameters
    ----------
    path
        The wheel.
    modules
        The names of the extension modules that it must have.
    """
    found = []
    if path.stat().st_size > LIMIT:
        found.append(f"{path.stat().st_size} bytes, more than {LIMIT}")
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    found += [f"a stray file: {name}" for name in names if not ALLOWED.match(name)]
    built = {name.partition(".")[0].replace("/", ".") for name in names if name.endswith(".so")}
    found += [f"no module {name}" for name in sorted(modules - built)]
    audited = subprocess.run(
        [sys.executable, "-m", "auditwheel", "show", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    text = " ".join((audited.stdout + audited.stderr).split())
    promised = path.stem.rpartition("-")[2]
    match = re.search(r'platform tag: "manylinux_(\d+)_(\d+)_(\w+)"', text)
    allowed = re.match(r"manylinux_(\d+)_(\d+)_(\w+)", promised)
    if not match or match[3] != allowed[3] or _version(match) > _version(allowed):
        found.append(f"auditwheel does not find it to be {promised}: {text}")
    return found


def _version(tag: re.Match[str]) -> tuple[int, int]:
    return int(tag[1]), int(tag[2])
