"""What tests do with the steps of a page: run and compile code, start servers, check commands."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from doc_pages import Step, commands
from support import REPOSITORY, wait_for_server

import ortmmap

_DELIVER = """
def DELIVER():
    for message in pathlib.Path("data_out").iterdir():
        message.rename(pathlib.Path("data_in", message.name))
"""
_RUN = """
import json, pathlib, sys
namespace = {"__name__": "__main__", "pathlib": pathlib}
for name, line, code in json.load(sys.stdin):
    exec(compile("\\n" * (line - 1) + code, name, "exec"), namespace)
"""
# What the blocks of C that are no whole files use.
_C_PRELUDE = """
#include <ortmmap/capi.h>
#include <stdio.h>
static const ortmmap_capi *capi;
static ortmmap_session *session;
static ortmmap_error error;
static ortmmap_input input;
static ortmmap_output output;
static float x[8], y[3];
void fill(float *values);
void use(const void *values, ...);
"""


def environment(folder: Path) -> dict[str, str]:
    """Return variables with which programs in `folder` find ortmmap, and a cache of their own."""
    path = os.pathsep.join([str(REPOSITORY), str(folder)])
    return {
        **os.environ,
        "PYTHONPATH": path,
        "ORTMMAP_CACHE": "1",
        "ORTMMAP_CACHE_DIR": str(folder / "cache"),
        "ORT_DISABLE_TELEMETRY": "1",
        "CELERY_BROKER_URL": "filesystem://",
        "CELERY_RESULT_BACKEND": f"file://{folder}/results",
    }


def run_python(blocks: list[tuple[str, int, str]], folder: Path) -> None:
    """Run blocks, each a name, a line and code, one after another in one process."""
    run([sys.executable, "-W", "error", "-c", _RUN], folder, json.dumps(blocks))


def run(command: list[str], folder: Path, text: str | None = None) -> None:
    """Run a command, which must succeed."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(folder),
        input=text,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def run_command(words: list[str], folder: Path) -> None:
    """Run a command of a console block, or check what it names if it changes an environment."""
    match words:
        case ["pip", "install", *rest]:
            _check_pip(rest)
        case ["make", *targets]:
            run(["make", "--dry-run", "--directory", str(REPOSITORY), *targets], folder)
        case ["python", "-m", "benchmarks", name, *options]:
            click = pytest.importorskip("benchmarks.__main__", reason="the bench extra is missing")
            click.cli.commands[name].make_context(name, options)
        case ["python", "-m", "ortmmap", *_]:
            for module in ("click", "rich"):
                pytest.importorskip(module, reason="the cli extra is not installed")
            run([sys.executable, *words[1:]], folder)
        case ["python", *rest]:
            run([sys.executable, *rest], folder)
        case _:
            pytest.fail(f"no test knows the command {words}")


def _check_pip(words: list[str]) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    for word in words:
        target, bracket, names = word.partition("[")
        if word.startswith("-"):
            assert word in ("--no-deps", "--editable", "--upgrade")
        elif bracket:
            assert set(names.rstrip("]").split(",")) <= project["optional-dependencies"].keys()
        else:
            required = {re.split("[<>=]", one)[0] for one in project["dependencies"]}
            assert target in {".", project["name"], *required}


def compile_c(step: Step, folder: Path) -> None:
    """Compile a block of C: the beginning of a module, or the inside of a function."""
    compiler = shutil.which("cc") or pytest.skip("no C compiler")
    inside = f"{_C_PRELUDE}void block(void) {{\n{step.text}}}\n"
    whole = step.text.replace("  ...\n", "  return NULL;\n}\n")
    (folder / "block.c").write_text(whole if "#include" in step.text else inside)
    headers = (sysconfig.get_path("include"), ortmmap.get_include())
    options = ["-fsyntax-only", "-Wall", "-Werror", "-Wno-unused", *(f"-I{one}" for one in headers)]
    run([compiler, *options, "block.c"], folder)


def compile_cython(step: Step, folder: Path) -> None:
    """Translate a block of Cython to C."""
    pytest.importorskip("Cython")
    (folder / "cython_block.pyx").write_text(step.text)
    run([sys.executable, "-m", "cython", "-3", "cython_block.pyx"], folder)


def run_commands(step: Step, folder: Path) -> None:
    """Run the commands of a console block."""
    for words in commands(step.text):
        run_command(words, folder)


def run_dockerfile(step: Step, folder: Path) -> None:
    """Run the commands that a Dockerfile has after RUN, with all that they name in `folder`."""
    text = step.text.replace("/models/", "").replace("/usr/local/share/ortmmap", "system-cache")
    for words in commands(text, "RUN "):
        run_command(words, folder)


def write_file(step: Step, folder: Path) -> None:
    """Write a block to the file that its comment names."""
    (folder / step.argument).write_text(step.text)


def run_server(step: Step, folder: Path) -> None:
    """Start the server of a console block on a free port, and ask it."""
    (words,) = commands(step.text)
    pytest.importorskip(words[0])
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    assert any("8000" in word for word in words)
    with _started([word.replace("8000", str(port)) for word in words], folder) as server:
        wait_for_server(port, server, (folder / "log").read_text)
        run_python([("question", step.line, f"PORT = {port}\n{step.argument}")], folder)


def run_celery(step: Step, folder: Path) -> None:
    """Start the worker of a console block, with a broker of files, and give it a task."""
    (words,) = commands(step.text)
    pytest.importorskip("celery")
    for name in ("data_in", "data_out", "control", "results"):
        (folder / name).mkdir()
    silent = ["--loglevel=WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    with _started([*words, *silent], folder):
        run_python([("question", step.line, f"{_DELIVER}\n{step.argument}")], folder)


@contextmanager
def _started(words: list[str], folder: Path) -> Iterator[subprocess.Popen]:
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=folder,
            env=environment(folder),
            stdout=log,
            stderr=log,
        )
    try:
        yield server
        server.terminate()
        server.wait(60)
    except BaseException:
        print((folder / "log").read_text())
        raise
    finally:
        server.kill()
        server.wait()


# What is done with each kind of step; Python is run as one program, after the others.
DO = {
    "c": compile_c,
    "celery": run_celery,
    "console": run_commands,
    "cython": compile_cython,
    "dockerfile": run_dockerfile,
    "file": write_file,
    "server": run_server,
}
