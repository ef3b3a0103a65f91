"""Build the extension modules; everything else is in pyproject.toml.

Environment variables
---------------------
ORTMMAP_DEBUG : ``1`` keeps debug information and assertions, and optimizes for gdb (``-Og -g``).
ORTMMAP_JOBS : how many compilers run at once; by default one a core.
"""

import os
import shutil
import sys
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

NUMPY_MACROS = [
    ("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION"),
    ("NPY_TARGET_VERSION", "NPY_1_25_API_VERSION"),
]
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "initializedcheck": False,
    "auto_pickle": False,  # its __setstate__ reads the items of a state unchecked
    "embedsignature": True,
    "embedsignature.format": "python",
}
# What a call or a comparison of weights runs through; the rest is compiled for a quick build.
HOT = {
    "ortmmap._core",
    "ortmmap.cache.prepack",
    "ortmmap.embed.arguments",
    "ortmmap.embed.prepared",
    "ortmmap.embed.runs",
    "ortmmap.session.awaitable_run",
    "ortmmap.session.binding",
    "ortmmap.session.call",
    "ortmmap.session.open_session",
    "ortmmap.session.run_threads",
    "ortmmap.values.maps",
    "ortmmap.values.row_dicts",
    "ortmmap.values.strings",
    "ortmmap.values.tensors",
    "ortmmap.values.value",
}
# C files beside a module's .pyx that are compiled into it.
C_SOURCES = {"ortmmap.cache.prepack": ("heap.c", "shared_pages.c")}
DEBUG = os.environ.get("ORTMMAP_DEBUG") == "1"
JOBS = int(os.environ.get("ORTMMAP_JOBS") or os.cpu_count() or 1)
HEADERS = sorted(map(str, [*Path("include").rglob("*.h"), *Path("ortmmap").rglob("*.h")]))


def module_name(path: Path) -> str:
    """Name the module that a source file becomes."""
    return ".".join(path.with_suffix("").parts)


def compile_args(name: str) -> list[str]:
    """Choose what a module is compiled with; `CFLAGS` with a level of its own has its way."""
    if sys.platform == "win32" or "-O" in os.environ.get("CFLAGS", ""):
        return []
    if DEBUG:
        return ["-Og", "-g", "-UNDEBUG"]
    return ["-O2" if name in HOT else "-O1", "-g0"]


def link_args() -> list[str]:
    """Leave out the symbols that only a debugger reads, and segments that an import would map."""
    if not sys.platform.startswith("linux") or DEBUG:
        return []
    # A module has code and constants in one segment rather than three: two mappings fewer each.
    return ["-Wl,-s", "-Wl,-z,noseparate-code"]


def extension(path: Path) -> Extension:
    """Describe the extension module that one .pyx becomes."""
    name = module_name(path)
    return Extension(
        name,
        [path.as_posix(), *(path.with_name(c).as_posix() for c in C_SOURCES.get(name, ()))],
        include_dirs=["include", "ortmmap", numpy.get_include()],
        define_macros=NUMPY_MACROS,
        depends=HEADERS,
        extra_compile_args=compile_args(name),
        extra_link_args=link_args(),
        libraries=[] if sys.platform in ("win32", "darwin") else ["dl"],
    )


class ParallelBuild(build_ext):
    """Compile several modules at once."""

    def finalize_options(self) -> None:
        """Take `ORTMMAP_JOBS` where the command line says nothing."""
        super().finalize_options()
        self.parallel = self.parallel or JOBS


class BuildWithHeaders(build_py):
    """Put ``include/`` into the package of a wheel, where `ortmmap.get_include` finds it.

    It is no package of its own in pyproject.toml: an editable install is then one line in a .pth
    file, which Cython follows too.
    """

    def run(self) -> None:
        """Copy the headers after the modules."""
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib, "ortmmap", "include")
            shutil.copytree("include", target, dirs_exist_ok=True)


setup(
    cmdclass={"build_ext": ParallelBuild, "build_py": BuildWithHeaders},
    ext_modules=cythonize(
        [extension(path) for path in sorted(Path("ortmmap").rglob("*.pyx"))],
        build_dir="build/cython",
        compiler_directives=DIRECTIVES,
        nthreads=JOBS if sys.platform.startswith("linux") else 0,
    ),
)
