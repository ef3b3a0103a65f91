"""The command ``ortmmap``: its help, its exit codes, and what it needs."""

import os
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import click
import models
import pytest
from click.testing import CliRunner, Result
from support import REPOSITORY, assert_same, run_python

import ortmmap
from ortmmap.cli import formatting
from ortmmap.cli.main import main


def call(*args: object) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args], prog_name="ortmmap")


def commands(group: click.Group, path: tuple = ()) -> list[tuple]:
    found = []
    for name, command in group.commands.items():
        found.append(((*path, name), command))
        if isinstance(command, click.Group):
            found += commands(command, (*path, name))
    return found


ALL = commands(main)


def test_the_package_has_the_command():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    module, _, name = project["scripts"]["ortmmap"].partition(":")
    assert callable(getattr(import_module(module), name))
    assert any(each.startswith("click") for each in project["dependencies"])


@pytest.mark.parametrize(("path", "command"), ALL, ids=[" ".join(path) for path, _ in ALL])
def test_help_is_in_whole_sentences(path, command):
    assert command.help[0].isupper()
    assert command.help.rstrip().endswith((".", ".fish."))
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help[0].isupper()
            assert option.help.split("  [")[0].endswith(".")
    if path[-1] != "run":
        result = call(*path, "--help")
        assert result.exit_code == 0
        assert "..." not in result.output.partition("Commands:")[2]  # no sentence is cut off


def test_help_says_what_the_exit_codes_mean():
    output = call("--help").output
    assert "exit code is 0" in output
    for name in main.commands:
        assert f"  {name} " in output


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["info", "missing.onnx"], 1, "missing.onnx"),
        (["info", "."], 2, "directory"),
        (["convert", "missing.onnx"], 2, "does not exist"),
        (["convert", "text.onnx"], 1, "which is text"),
        (["convert", "model.onnx", "nothing/model.ort"], 1, "nothing/model.ort"),
        (["convert", "model.onnx", "model.onnx"], 1, "itself"),
        (["nonsense"], 2, "No such command"),
        (["completion", "tcsh"], 2, "tcsh"),
        (["info", "text.onnx"], 1, "which is text"),
    ],
)
def test_errors_are_one_line_and_an_exit_code(tmp_path, monkeypatch, arguments, code, said):
    monkeypatch.chdir(tmp_path)
    Path("text.onnx").write_text("hello, this is text")
    Path("model.onnx").write_bytes(models.affine())
    result = call(*arguments)
    assert result.exit_code == code
    assert isinstance(result.exception, SystemExit)
    assert said in result.output
    assert result.output.splitlines()[-1].startswith("Error: ")


def test_convert_saves_a_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("model.onnx").write_bytes(models.affine())
    result = call("convert", "model.onnx")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("model.ort: ")
    assert call("convert", "model.onnx", "basic.ort", "--opt-level", "basic").exit_code == 0
    feed = {"x": models.catalogue()["affine"][1]["x"]}
    expected = ortmmap.Session("model.onnx").run(None, feed)
    for name in ("model.ort", "basic.ort"):
        assert_same(ortmmap.Session(name).run(None, feed), expected)


def test_convert_reports_what_it_writes(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(models.affine())
    written = []
    target = ortmmap.convert(path, progress=lambda *counts: written.append(counts))
    nbytes = Path(target).stat().st_size
    assert sum(count for count, _ in written) == nbytes
    assert {total for _, total in written} == {nbytes}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_can_complete(shell):
    result = call("completion", shell)
    assert result.exit_code == 0
    assert "_ORTMMAP_COMPLETE" in result.output


def test_a_completion_is_computed():
    code = "import sys; sys.argv = ['ortmmap']; from ortmmap.__main__ import main; main()"
    environment = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "_ORTMMAP_COMPLETE": "bash_complete",
        "COMP_WORDS": "ortmmap cache v",
        "COMP_CWORD": "2",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment
    )
    assert done.stdout.split(",")[-1].strip() == "verify", done.stderr


WITHOUT_RICH = """
import sys
sys.modules["rich"] = None
sys.stdout.isatty = lambda: True
sys.argv = ["ortmmap", *sys.argv[1:]]
from ortmmap.__main__ import main
main()
"""


def test_every_command_works_without_rich(write, tmp_path):
    path = write(models.affine(), "model.onnx")
    cache = {"ORTMMAP_CACHE_DIR": str(tmp_path / "cache")}
    assert "ONNX, IR version" in run_python(WITHOUT_RICH, "info", path, env=cache).stdout
    assert "model.ort: " in run_python(WITHOUT_RICH, "convert", path, env=cache).stdout
    for command in ("warm", "list", "verify", "prune", "clear"):
        model = [path] if command == "warm" else []
        run_python(WITHOUT_RICH, "cache", command, *model, env=cache)


def test_without_click_the_command_names_the_remedy():
    code = """
import sys
sys.modules["click"] = None
sys.argv = ["ortmmap", "info", "x"]
from ortmmap.__main__ import main
main()
"""
    done = run_python(code, check=False)
    assert done.returncode == 1
    assert done.stderr.strip().endswith("pip install click")


def test_a_terminal_gets_a_table_of_richs(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    console = formatting.Console()
    table = formatting.Table("A [title]", ("name", "size"))
    table.add("[bold]x", "3 B")
    console.print(table, formatting.Table("nothing"))
    with formatting.progress_of(console, "Working", 10) as advance:
        advance(10)
    output = capsys.readouterr().out
    assert "[bold]x" in output
    assert "A [title]" in output
    assert "nothing" not in output
