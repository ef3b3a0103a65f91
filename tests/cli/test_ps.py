"""``ortmmap ps``."""

import json
import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
from cache_entries import linux
from click.testing import CliRunner, Result
from monitor_workers import worker
from support import NOBODY, REPOSITORY

from ortmmap.cli import ps as command
from ortmmap.cli.main import main
from ortmmap.monitor.memory_map import total
from ortmmap.monitor.model_files import MODEL, MappedFile, ModelKey
from ortmmap.monitor.snapshot import Holding, Model, Snapshot

pytestmark = linux


def call(*args: object) -> Result:
    return CliRunner().invoke(main, ["ps", *map(str, args)], prog_name="ortmmap")


def test_a_table_names_models_and_processes(ort_file):
    with worker(ort_file) as pid, worker(ort_file, kind="onnxruntime") as other:
        result = call()
    assert result.exit_code == 0, result.output
    assert f"{ort_file}: " in result.output
    rows = [line.split() for line in result.output.splitlines()]
    assert [row[2] for row in rows if row[:1] == [str(pid)]] == ["ortmmap"]
    assert [row[2] for row in rows if row[:1] == [str(other)]] == ["onnxruntime"]
    assert "without sharing: " in result.output


def test_json_has_stable_keys(ort_file):
    with worker(ort_file) as pid:
        result = call(ort_file, "--json")
    document = json.loads(result.stdout)
    assert set(document) == {"models", "processes", "unreadable_processes"}
    (model,) = document["models"]
    assert model["path"] == str(ort_file)
    assert {"size", "deleted", "physical", "unshared", "files", "processes"} < set(model)
    (holding,) = model["processes"]
    sizes = {"mapped", "resident", "proportional", "shared", "private", "anonymous", "swapped"}
    assert sizes < set(holding)
    (process,) = document["processes"]
    assert process["pid"] == holding["pid"] == pid
    identity = {"pid", "uid", "user", "command", "runtimes", "other_mount_namespace"}
    assert set(process) == identity | sizes


def test_only_the_named_model_is_shown(ort_file, tmp_path):
    other = tmp_path / "unlike.ort"
    shutil.copy(ort_file, other)
    link = tmp_path / "link.ort"
    link.symlink_to(ort_file)
    with worker(ort_file), worker(other):
        for path in (ort_file, link):
            output = call(path).output
            assert f"{ort_file}: " in output
            assert str(other) not in output
    assert call(ort_file).output.startswith(f"no process maps {ort_file}\n")
    missing = tmp_path / "missing.onnx"
    result = call(missing)
    assert result.exit_code == 0
    assert result.output.startswith(f"no process maps {missing} (there is no such file)\n")


@pytest.mark.parametrize(("more", "is_shown"), [(0, True), (1, False)])
def test_a_file_of_the_same_inode_elsewhere_is_another(ort_file, monkeypatch, more, is_shown):
    found = ort_file.stat()
    key = ModelKey(found.st_ino, found.st_size + more, found.st_mtime_ns)
    file = MappedFile(key, "/m.ort", MODEL, "/m.ort", "0:1", found.st_ino, False, total([]))
    process = SimpleNamespace(pid=1)
    model = Model("/m.ort", key.size, False, [Holding(process, [file], file.sizes)])
    monkeypatch.setattr(command, "snapshot", lambda: Snapshot([model], [], 0))
    assert bool(command._snapshot(str(ort_file)).models) == is_shown


@pytest.mark.parametrize(
    ("user", "text"),
    [
        (0, "2 processes could not be examined; this takes CAP_SYS_PTRACE\n"),
        (NOBODY, "2 processes could not be examined; run this as root to see all\n"),
    ],
)
def test_processes_that_cannot_be_examined_are_counted(monkeypatch, user, text):
    monkeypatch.setattr(command, "snapshot", lambda: Snapshot([], [], 2))
    monkeypatch.setattr(os, "geteuid", lambda: user)
    assert call().output == f"no process maps a model\n{text}"


def test_metrics_are_printed(ort_file):
    with worker(ort_file):
        output = call("--prometheus").output
    assert f'ortmmap_model_processes{{model="{ort_file}"}} 1\n' in output


def test_two_formats_exclude_each_other():
    assert call("--json", "--prometheus").exit_code == 2


def test_watching_repeats_until_interrupted(ort_file):
    arguments = [sys.executable, "-m", "ortmmap", "ps", str(ort_file), "--json", "--watch", "0.1"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, env=environment) as process:
        first, second = (json.loads(process.stdout.readline()) for _ in range(2))
        process.terminate()
    assert first["models"] == second["models"] == []


@pytest.mark.parametrize(("argument", "code"), [("0", 2), ("-1", 2), ("soon", 2)])
def test_an_interval_is_a_number_of_seconds(argument, code):
    assert call("--watch", argument).exit_code == code


def test_a_name_cannot_steer_the_terminal(tmp_path, affine):
    path = tmp_path / "\x1b[2J.ort"
    path.write_bytes(affine)
    with worker(path):
        output = call().output
    assert "\x1b" not in output
    assert "?[2J.ort" in output


def test_without_proc_it_fails_in_one_line(monkeypatch):
    def missing() -> None:
        raise FileNotFoundError(2, "No such file or directory", "/proc")

    monkeypatch.setattr(command, "snapshot", missing)
    result = call()
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
