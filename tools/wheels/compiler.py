"""Compile the extension modules that setup.py describes, by zig, for any target."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy
from setuptools import Extension
from targets import Target

# As CPython's own build has them. zig traps undefined behaviour unless told otherwise.
OPTIONS = ("-fPIC", "-fwrapv", "-DNDEBUG", "-fno-sanitize=undefined")
JOBS = int(os.environ.get("ORTMMAP_JOBS") or os.cpu_count() or 1)


class CompileError(Exception):
    """Something does not compile; the text has the compiler's messages."""


def in_parallel(jobs: Iterable[Callable[[], None]]) -> None:
    """Call functions in threads; raise one CompileError with the texts of all."""
    with ThreadPoolExecutor(JOBS) as pool:
        errors = [future.exception() for future in [pool.submit(job) for job in jobs]]
    if texts := [str(error) for error in errors if isinstance(error, CompileError)]:
        raise CompileError("\n".join(texts))
    for error in filter(None, errors):
        raise error


def compile_all(
    extensions: Iterable[Extension],
    target: Target,
    python: str,
    include: list[str],
    *,
    folder: Path,
    options: tuple[str, ...] = (),
) -> None:
    """Compile and link every extension module into `folder`.

    Parameters
    ----------
    extensions
        The modules, whose sources are C files.
    target, python
        The platform and the version of CPython.
    include
        The folders of CPython's headers, and of numpy's if they are not the host's.
    folder
        Where the packages are; a module is written into its package.
    options
        More options for compiler and linker.

    Raises
    ------
    CompileError
        A module does not compile.
    """
    free_threading = ["-DPy_GIL_DISABLED=1"] if python.endswith("t") else []

    def one(extension: Extension) -> None:
        name = extension.name.replace(".", "/") + target.extension_suffix(python)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        zig(*_words(extension, target, include, folder / name, [*free_threading, *options]))

    in_parallel(partial(one, extension) for extension in extensions)


def _words(
    extension: Extension, target: Target, include: list[str], output: Path, options: Iterable[str]
) -> list[str]:
    folders = [*include, *extension.include_dirs]
    if target.numpy:  # the host's headers of numpy would say the host's sizes
        folders.remove(numpy.get_include())
    return [
        *("cc", "-target", target.triple, "-shared"),
        *OPTIONS,
        *extension.extra_compile_args,
        *(f"-D{name}={value}" for name, value in extension.define_macros),
        *(f"-I{folder}" for folder in folders),
        *extension.sources,
        *("-o", str(output)),
        *target.options,
        *options,
    ]


def compile_text(text: str, target: Target, options: Iterable[str]) -> None:
    """Compile a source text that includes the project's headers."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "text")
        source.write_text(text)
        output = Path(folder, "text.o")
        zig("cc", "-target", target.triple, *options, "-Iinclude", "-c", source, "-o", output)


def zig(*words: object) -> None:
    """Run zig with a cache of its own; raise CompileError if it fails."""
    cache = str(Path("build/wheels/zig").resolve())
    environment = {**os.environ, "ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache}
    command = [sys.executable, "-m", "ziglang", *map(str, words)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CompileError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
