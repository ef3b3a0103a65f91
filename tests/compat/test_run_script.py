"""``python -m ortmmap run``: scripts and modules whose sessions become ortmmap's."""

import subprocess
from pathlib import Path

import pytest
from support import run_python

SCRIPT = """
import sys
import onnxruntime
from helper import X
print(sys.argv[1:], __name__, onnxruntime.InferenceSession.__mro__[1].__module__, X)
if "raise" in sys.argv:
    raise ValueError("mine")
sys.exit(int(sys.argv[-1]))
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    (tmp_path / "helper.py").write_text("X = 5\n")
    (tmp_path / "script.py").write_text(SCRIPT)
    return tmp_path / "script.py"


def run(*arguments: object, **kwargs: object) -> subprocess.CompletedProcess:
    code = "import sys; from ortmmap.compat import run_script; run_script.main(sys.argv[1:])"
    return run_python(code, *arguments, check=False, **kwargs)


def test_a_script_runs_patched_with_its_own_arguments(script):
    done = run("--threshold", "0", script, "--help", "-m", "0")
    assert done.stdout == "['--help', '-m', '0'] __main__ ortmmap 5\n"
    assert done.returncode == 0


def test_a_module_runs_patched(script):
    done = run("--threshold", "0", "-m", "script", "--x", "7", cwd=script.parent)
    assert done.stdout == "['--x', '7'] __main__ ortmmap 5\n"
    assert done.returncode == 7


def test_the_exit_code_is_the_scripts(script):
    assert run(script, "3").returncode == 3


def test_a_traceback_shows_the_script_only(script):
    done = run(script, "raise")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert f'File "{script}", line 7' in lines[1]
    assert lines[-1] == "ValueError: mine"


def test_a_missing_script_ends_with_2(tmp_path):
    done = run(tmp_path / "nothing.py")
    assert done.returncode == 2
    assert "nothing.py" in done.stderr


OPENING = """
import sys
import onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1])
print(hasattr(session, "memory"))
"""


@pytest.mark.parametrize(
    ("arguments", "variable", "is_ours"),
    [((), None, False), ((), "100", True), (("--threshold", "9999"), "100", False)],
)
def test_small_models_are_left_to_onnxruntime(arguments, variable, is_ours, onnx_file):
    script = onnx_file.with_name("opening.py")
    script.write_text(OPENING)
    done = run(*arguments, script, onnx_file, env={"ORTMMAP_PATCH_THRESHOLD": variable})
    assert done.stdout == f"{is_ours}\n", done.stderr


def test_a_wrong_variable_ends_with_2(script):
    done = run(script, "0", env={"ORTMMAP_PATCH_THRESHOLD": "16M"})
    assert done.returncode == 2
    assert "ORTMMAP_PATCH_THRESHOLD should be a number of bytes" in done.stderr


@pytest.mark.parametrize("arguments", [(), ("--bogus",), ("-m",), ("--threshold", "x", "y")])
def test_a_wrong_command_line_shows_the_usage(arguments):
    done = run(*arguments)
    assert done.returncode == 2
    assert "Usage" in done.stderr


def test_help_is_shown():
    done = run("--help")
    assert (done.returncode, "Usage" in done.stdout) == (0, True)
