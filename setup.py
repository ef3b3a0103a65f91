"""The extension modules, and the README as a package index shows it.

Everything else is in pyproject.toml.

Environment variables
---------------------
ORTMMAP_DEBUG : ``1`` keeps debug information and assertions, and optimizes for gdb (``-Og -g``).
ORTMMAP_JOBS : how many compilers run at once; by default one a core.
"""

import multiprocessing
import os
import re
import shutil
import sys
import tomllib
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
    "freethreading_compatible": True,  # each .pxd says what guards the fields that threads share
}
# The modules that a call or a comparison of weights runs through. The others are optimized less,
# which makes the build shorter.
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
C_SOURCES = {
    "ortmmap.cache.prepack": (
        "block_memory.c",
        "block_store.c",
        "counterpart.c",
        "fold.c",
        "heap.c",
        "huge_pages.c",
        "latch.c",
        "scratch.c",
        "session_threads.c",
        "shared_pages.c",
        "shared_pages_absent.c",
        "stand_ins.c",
        "store_range.c",
    ),
}
DEBUG = os.environ.get("ORTMMAP_DEBUG") == "1"
JOBS = int(os.environ.get("ORTMMAP_JOBS") or os.cpu_count() or 1)
HEADERS = sorted(map(str, [*Path("include").rglob("*.h"), *Path("ortmmap").rglob("*.h")]))


def long_description() -> str:
    """Return README.md with absolute links: a package index has none of the files they lead to."""
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    package = Path("ortmmap", "__init__.py").read_text()
    version = re.search('^__version__ = "(.+)"$', package, re.MULTILINE)[1]

    def absolute(link: re.Match[str]) -> str:
        mark, text, target = link.groups()
        kind = "raw" if mark else "blob"  # an image, or a page
        return f"{mark}[{text}]({project['urls']['Repository']}/{kind}/v{version}/{target})"

    relative = re.compile(r"(!?)\[([^\]]*)\]\((?![a-z]+:|#)([^)]+)\)")
    return relative.sub(absolute, Path("README.md").read_text())


def module_name(path: Path) -> str:
    """Return the name of the module that a source file becomes."""
    return ".".join(path.with_suffix("").parts)


def compile_args(name: str) -> list[str]:
    """Return a module's compiler options, none of them if `CFLAGS` has an optimization level."""
    if sys.platform == "win32":
        return ["/std:c11", "/experimental:c11atomics"]  # for <stdatomic.h>
    if "-O" in os.environ.get("CFLAGS", ""):
        return []
    if DEBUG:
        return ["-Og", "-g", "-UNDEBUG"]
    return ["-O2" if name in HOT else "-O1", "-g0"]


def link_args() -> list[str]:
    """Return linker options: no symbols for debuggers, and fewer segments to map at import."""
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
        """Default to `ORTMMAP_JOBS`."""
        super().finalize_options()
        self.parallel = self.parallel or JOBS


class BuildWithHeaders(build_py):
    """Put ``include/`` into the package of a wheel, where `ortmmap.get_include` finds it.

    As a package of its own in pyproject.toml, it would turn an editable install from one line in a
    .pth file into an import hook, which Cython does not follow.
    """

    def run(self) -> None:
        """Copy the headers after the modules."""
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib, "ortmmap", "include")
            shutil.copytree("include", target, dirs_exist_ok=True)


if sys.platform.startswith("linux"):
    # The processes that translate would run this file again, unless forked (not so in Python 3.14).
    multiprocessing.set_start_method("fork", force=True)

setup(
    long_description=long_description(),
    long_description_content_type="text/markdown",
    cmdclass={"build_ext": ParallelBuild, "build_py": BuildWithHeaders},
    ext_modules=cythonize(
        [extension(path) for path in sorted(Path("ortmmap").rglob("*.pyx"))],
        build_dir="build/cython",
        compiler_directives=DIRECTIVES,
        nthreads=JOBS if sys.platform.startswith("linux") else 0,
    ),
)
