"""``cache warm`` on a terminal shows its stages; a session prints nothing, whatever happens."""

import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import models
import pytest
from rich.console import Console as RichConsole
from support import REPOSITORY

import ortmmap
from ortmmap.cache.folder import temporary_name
from ortmmap.cli.warming import OPTIMIZING, PREPACKING, SAVING, WRITING, Stages, showing_stages

pty = pytest.importorskip("pty")


def on_terminal(*command: object, env: dict[str, str] | None = None) -> tuple[int, str]:
    """Run a command whose output is a terminal; return its exit status and what it has written."""
    parent, child = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120", **(env or {})}
    environment["PYTHONPATH"] = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "tests")])
    process = subprocess.Popen(
        [sys.executable, *map(str, command)],
        stdin=child,
        stdout=child,
        stderr=child,
        env=environment,
        start_new_session=True,
    )
    os.close(child)
    written = b""
    while True:
        try:
            chunk = os.read(parent, 65536)
        except OSError:  # the other end is closed
            break
        if not chunk:
            break
        written += chunk
    os.close(parent)
    return process.wait(60), written.decode(errors="replace")


def test_stages_follow_the_files_of_the_entry_that_is_written(tmp_path):
    killed = tmp_path / temporary_name()
    killed.mkdir()
    (killed / "pages").write_bytes(bytes(100))
    stages = Stages(str(tmp_path))
    assert stages.look() == (OPTIMIZING, 0)
    draft = tmp_path / temporary_name()
    draft.mkdir()
    assert stages.look() == (OPTIMIZING, 0)
    (draft / "graph.onnx").write_bytes(bytes(10))
    (draft / "model.data").write_bytes(bytes(20))
    assert stages.look() == (SAVING, 30)
    draft.rename(tmp_path / "entry-model")
    assert stages.look() == (PREPACKING, 0)
    draft.mkdir()
    (draft / "pages").write_bytes(bytes(40))
    assert stages.look() == (WRITING, 40)
    assert Stages(str(tmp_path / "absent")).look() == (OPTIMIZING, 0)


def test_a_bar_shows_stage_bytes_and_time_and_is_gone_afterwards(tmp_path):
    with (tmp_path / "screen").open("w") as screen:
        rich = RichConsole(file=screen, force_terminal=True, width=120)
        console = SimpleNamespace(rich=rich)
        with showing_stages(console, "a [model]", str(tmp_path / "cache"), 4 << 20):
            draft = tmp_path / "cache" / temporary_name()
            draft.mkdir(parents=True)
            (draft / "pages").write_bytes(bytes(1 << 20))
            threading.Event().wait(0.5)
    shown = (tmp_path / "screen").read_text()
    assert f"a [model]: {WRITING}" in shown
    assert "1.0/4.0 MiB" in shown
    assert re.search(r"\d:\d\d:\d\d", shown)
    assert shown.rstrip().endswith("\x1b[2K")  # the bar's line is erased


@pytest.mark.parametrize("failing", [False, True])
def test_warming_on_a_terminal_shows_stages_and_then_one_line(tmp_path, failing):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"no model" if failing else models.weights(16, 1024))
    arguments = ["cache", "--dir", tmp_path / "cache", "warm", path, "--threads", 1]
    status, shown = on_terminal("-m", "ortmmap", *arguments)
    assert status == failing
    assert failing or any(stage in shown for stage in (OPTIMIZING, SAVING, PREPACKING, WRITING))
    last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).strip().splitlines()[-1]
    assert ("not in the cache" if failing else "pages 64.") in last


OPEN = """
import os, sys
import ortmmap
path, cache, how = sys.argv[1:]
options = ortmmap.SessionOptions()
options.intra_op_num_threads = 1
more = {"cache": False if how == "no cache" else cache}
if how == "cache is a file":
    open(cache, "w").close()
try:
    import warnings
    warnings.simplefilter("ignore")   # a warning is no print of the session's
    with ortmmap.Session(path, options, **more) as session:
        ortmmap.Session(path, options, **more).close()
except ortmmap.errors.OrtError:
    assert how == "no model", how
"""


@pytest.mark.parametrize(
    "how", ["cold cache", "no cache", "cache is a file", "no model", "fallback", "truncated entry"]
)
def test_a_session_prints_nothing_on_a_terminal(tmp_path, how):
    path, cache = tmp_path / "model.onnx", tmp_path / "cache"
    path.write_bytes(b"no model" if how == "no model" else models.weights(4, 512))
    code = OPEN
    if how == "fallback":
        code = code.replace("(path, options,", "(path, options, ['OfNobody'],")
    if how == "truncated entry":
        ortmmap.Session(path, cache=cache).close()
        for file in cache.glob("*/pages"):
            os.truncate(file, 5000)
    assert on_terminal("-c", code, path, cache, how) == (0, "")


def test_output_that_is_no_terminal_has_no_bar(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(models.weights(4, 512))
    done = subprocess.run(
        [sys.executable, "-m", "ortmmap", "cache", "--dir", tmp_path / "cache", "warm", path],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        check=True,
    )
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1
    assert Path(path).name in done.stdout
