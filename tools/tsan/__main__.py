"""Run sixteen threads under ThreadSanitizer, without an interpreter lock.

``TSAN_PYTHON=/path/to/python3.13t python tools/tsan`` builds the extension modules with
ThreadSanitizer, runs ``tests/thread_stress.py`` with them, and prints the reports. The exit code
is 1 if there is one that is not of a library of others alone; see ``reports.py``.

``TSAN_PYTHON`` is a free-threaded CPython that clang has compiled, of the same version as the clang
on PATH: ``CC=clang ./configure --disable-gil --with-thread-sanitizer``. An interpreter that is not
instrumented would not do, since its locks and atomic operations would go unseen. The packages that
it needs are installed into ``build/tsan``. This program itself runs with any interpreter that has
cython, numpy, pip, setuptools and wheel; ``make tsan`` installs them.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import reports
from setuptools import Extension

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tools" / "wheels"))

import package  # noqa: E402 - of tools/wheels

WORK = ROOT / "build" / "tsan"
COMPILER = (
    *("clang", "-shared", "-fPIC", "-fwrapv", "-O1", "-g1", "-UNDEBUG"),
    *("-fsanitize=thread", "-fno-omit-frame-pointer"),
)
JOBS = int(os.environ.get("ORTMMAP_JOBS") or os.cpu_count() or 1)
ASK = (
    "import json, sys, sysconfig as s; print(json.dumps([s.get_path('include'), "
    "s.get_config_var('EXT_SUFFIX'), s.get_config_var('CONFIG_ARGS'), sys.version_info[:2]]))"
)


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser("python tools/tsan", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", default=60, type=int, help="calls of each thread; default 60")
    rounds = parser.parse_args().rounds
    python = os.environ.get("TSAN_PYTHON")
    if not python:
        parser.error("TSAN_PYTHON names no interpreter; see tools/tsan/__main__.py")
    include, suffix, configured, version = json.loads(_run(python, "-c", ASK))
    if "--with-thread-sanitizer" not in configured or "--disable-gil" not in configured:
        parser.error(f"{python} is not free-threaded and instrumented: {configured}")
    os.chdir(ROOT)
    _install(WORK / "packages", *version)
    _build(WORK / "lib", include, suffix)
    return _judge(_stress(python, rounds))


def _run(*command: object, **variables: str) -> str:
    """Run a command, and return what it prints; errors of the interpreter itself are not shown."""
    environment = {**os.environ, "TSAN_OPTIONS": "report_bugs=0", **variables}
    words = [*map(str, command)]
    return subprocess.check_output(words, env=environment, text=True)


def _install(folder: Path, major: int, minor: int) -> None:
    """Install the packages by the pip of this interpreter: that of the other one is slow."""
    if (folder / "complete").exists():
        return
    project = package.describe()
    platforms = [f"manylinux_2_{glibc}_x86_64" for glibc in range(17, 29)]
    _run(
        *(sys.executable, "-m", "pip", "install", "--quiet", "--target", folder, "--upgrade"),
        *(word for platform in platforms for word in ("--platform", platform)),
        *("--implementation", "cp", "--python-version", f"{major}.{minor}"),
        *("--abi", f"cp{major}{minor}t", "--only-binary=:all:", "--no-compile"),
        *("onnx", *project.install_requires),
    )
    (folder / "complete").touch()


def _build(folder: Path, include: str, suffix: str) -> None:
    """Write the package into a folder, with its modules instrumented."""
    project = package.describe()
    package.write_python_files(project, folder)

    def compile_one(extension: Extension) -> None:
        _run(
            *COMPILER,
            *(f"-D{name}={value}" for name, value in extension.define_macros),
            *(f"-I{path}" for path in [include, *extension.include_dirs]),
            *extension.sources,
            *("-o", folder / (extension.name.replace(".", "/") + suffix)),
        )

    with ThreadPoolExecutor(JOBS) as pool:
        list(pool.map(compile_one, project.ext_modules))


def _stress(python: str, rounds: int) -> list[reports.Report]:
    """Run the threads, and return ThreadSanitizer's reports."""
    with tempfile.TemporaryDirectory() as folder:
        options = f"log_path={folder}/report exitcode=0 history_size=6 second_deadlock_stack=1"
        path = os.pathsep.join([str(WORK / "lib"), str(WORK / "packages")])
        text = _run(
            *(python, "-X", "gil=0", "tests/thread_stress.py", rounds, folder),
            TSAN_OPTIONS=options,
            PYTHONPATH=path,
        )
        print(text, end="")
        return [
            report
            for log in Path(folder).glob("report.*")
            for report in reports.parse(log.read_text(errors="replace"))
        ]


def _judge(found: list[reports.Report]) -> int:
    """Print the reports that are not of others' libraries; return 1 if there are any."""
    ours = [report for report in found if not report.is_of_others]
    for report in ours:
        print(report.text)
    print(f"{len(ours)} reports, and {len(found) - len(ours)} of others' libraries alone")
    return 1 if ours else 0


if __name__ == "__main__":
    sys.exit(main())
