"""Build wheels for Linux, and compile for macOS and Windows, on one Linux machine.

``python tools/wheels`` builds a wheel for each version of CPython and each machine into ``dist/``
and checks it. It needs the packages ziglang (the C compiler), auditwheel, cython, numpy, setuptools
and wheel; ``make wheels`` installs them. The headers of each CPython are those of an interpreter on
this machine, or of Debian's packages. What is missing is named at the end, and the exit code is 1.

``python tools/wheels --compile macos`` (or ``windows``) compiles and links every module and header
for that platform, with warnings as errors, and writes no wheel.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import compiler
import headers
import package
import portability
from setuptools import Extension
from targets import LINUX, OTHERS, PYTHONS, Target

CACHE = Path("build/wheels").resolve()
NO_HEADERS = "no headers; install it with its headers, or name their folder with --headers"


def main() -> int:
    """Run the command line; return the exit code."""
    arguments = _parse()
    distribution = package.describe()
    if arguments.compile:
        return portability.check(distribution.ext_modules, OTHERS[arguments.compile], CACHE)
    failures = []
    with tempfile.TemporaryDirectory() as work:
        common = Path(work, "common")
        package.write_python_files(distribution, common)
        for python in arguments.python or PYTHONS:
            include = headers.include_folders(python, arguments.headers, CACHE / "headers")
            if include is None:
                failures.append(f"CPython {python}: {NO_HEADERS}")
                continue
            for machine in arguments.machine or LINUX:
                contents = shutil.copytree(common, Path(work, f"{python}-{machine}"))
                failures += _build(
                    distribution.ext_modules, LINUX[machine], python, include, contents=contents,
                    output=arguments.output,
                )  # fmt: skip
    for failure in failures:
        print(f"tools/wheels: {failure}", file=sys.stderr)
    return 1 if failures else 0


def _build(
    extensions: list[Extension],
    target: Target,
    python: str,
    include: list[str],
    *,
    contents: Path,
    output: Path,
) -> list[str]:
    """Add the modules to the Python files in `contents`, and pack them; return the defects."""
    try:
        compiler.compile_all(extensions, target, python, include, folder=contents)
    except compiler.CompileError as error:
        return [f"CPython {python}, {target.triple}: {error}"]
    wheel = package.write_wheel(contents, target, python, output)
    print(f"{wheel}: {wheel.stat().st_size / 2**20:.2f} MiB", flush=True)
    modules = {extension.name for extension in extensions}
    return [f"{wheel.name}: {defect}" for defect in package.defects(wheel, modules)]


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python tools/wheels", description=__doc__.partition("\n")[0])
    parser.add_argument("--python", action="append", metavar="3.N", help="only this CPython")
    parser.add_argument("--machine", action="append", choices=LINUX, help="only this machine")
    parser.add_argument(
        "--headers", action="append", default=[], type=Path, metavar="DIR",
        help="a folder with a CPython's Python.h",
    )  # fmt: skip
    parser.add_argument("--output", default="dist", type=Path, metavar="DIR")
    parser.add_argument("--compile", choices=OTHERS, help="only compile, for that platform")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
