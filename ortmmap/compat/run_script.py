"""``python -m ortmmap run``: run a script or a module, unchanged, with ortmmap's sessions."""

import io
import os
import runpy
import sys
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from types import CodeType, ModuleType, TracebackType

from ortmmap.compat.patch import patch_onnxruntime

__all__ = ["main", "run_module", "run_script"]

USAGE = """\
Usage: python -m ortmmap run [--threshold BYTES] SCRIPT [ARGUMENT]...
       python -m ortmmap run [--threshold BYTES] -m MODULE [ARGUMENT]...

Runs a Python script or module with onnxruntime's sessions replaced by ortmmap's,
but for models smaller than the threshold: by default ORTMMAP_PATCH_THRESHOLD, or 16 MiB.
"""


def main(arguments: list[str]) -> None:
    """Run the script or module named on the command line.

    Parameters
    ----------
    arguments : list of str
        ``SCRIPT [ARGUMENT]...`` or ``-m MODULE [ARGUMENT]...``, the words after
        ``python -m ortmmap run``, of which ``--threshold BYTES`` may be the first. The script's own
        arguments are not interpreted.

    Raises
    ------
    SystemExit
        With the script's exit code; 1 if it raises, 2 if none is named or it cannot be read.
    """
    threshold = None
    match arguments:
        case ["--threshold", size, *_] if size.isdigit():
            threshold, arguments = int(size), arguments[2:]
    match arguments:
        case ["-h" | "--help", *_]:
            sys.stdout.write(USAGE)
        case ["-m", module, *rest]:
            run_module(module, rest, threshold)
        case [script, *rest] if not script.startswith("-"):
            run_script(script, rest, threshold)
        case _:
            sys.stderr.write(USAGE)
            sys.exit(2)


def run_script(script: str, args: list[str], threshold: int | None = None) -> None:
    """Run a script as ``python script args…`` does, with onnxruntime patched.

    Parameters
    ----------
    script : str
        A file, or a folder or zip file with a ``__main__.py``.
    args : list of str
        The rest of ``sys.argv``.
    threshold : int, optional
        As for `patch_onnxruntime`.

    Raises
    ------
    SystemExit
        With the script's exit code; 1 if it raises, 2 if it cannot be read.
    """
    sys.argv = [script, *args]
    if os.path.isdir(script) or script.endswith((".zip", ".pyz")):
        _run(lambda: runpy.run_path(script, run_name="__main__"), threshold)
        return
    _import_from(os.path.dirname(os.path.realpath(script)))
    _run(lambda: _run_file(script), threshold)


def run_module(module: str, args: list[str], threshold: int | None = None) -> None:
    """Run a module as ``python -m module args…`` does, with onnxruntime patched.

    Parameters
    ----------
    module : str
    args : list of str
        The rest of ``sys.argv``.
    threshold : int, optional
        As for `patch_onnxruntime`.

    Raises
    ------
    SystemExit
        With the module's exit code; 1 if it raises or cannot be found.
    """
    sys.argv = [module, *args]
    _import_from(os.getcwd())
    _run(lambda: runpy.run_module(module, run_name="__main__", alter_sys=True), threshold)


def _import_from(folder: str) -> None:
    """Put `folder` first on the import path, in place of this program's own folder."""
    if not sys.flags.safe_path:
        sys.path[0] = folder


def _run(program: Callable[[], object], threshold: int | None) -> None:
    """Patch onnxruntime and run; print an exception as the interpreter itself would."""
    try:
        patch_onnxruntime(threshold)
    except ValueError as error:  # the variable's value
        sys.stderr.write(f"python -m ortmmap run: {error}\n")
        sys.exit(2)
    try:
        program()
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:
        error.__traceback__ = _without_runner(error.__traceback__)
        sys.excepthook(type(error), error, error.__traceback__)
        sys.exit(1)


def _run_file(script: str) -> None:
    module = ModuleType("__main__")
    module.__file__ = script
    module.__loader__ = SourceFileLoader("__main__", script)
    vars(module)["__builtins__"] = __builtins__
    code = _compile(script)
    sys.modules["__main__"] = module  # kept: threads and exit functions may still use it
    exec(code, vars(module))


def _compile(script: str) -> CodeType:
    try:
        with io.open_code(os.path.abspath(script)) as file:
            source = file.read()
    except OSError as error:
        sys.stderr.write(f"python -m ortmmap run: can't open file {script!r}: {error}\n")
        sys.exit(2)
    return compile(source, script, "exec")


def _without_runner(traceback: TracebackType | None) -> TracebackType | None:
    """Skip the outermost frames, those of this file and of runpy."""
    ours = {__file__, runpy.__file__, "<frozen runpy>"}
    while traceback is not None and traceback.tb_frame.f_code.co_filename in ours:
        traceback = traceback.tb_next
    return traceback
