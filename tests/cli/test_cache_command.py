"""``ortmmap cache``: what it prints and what it exits with."""

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

import ortmmap
from ortmmap.cache import folder as cache_folder
from ortmmap.cache.store import Key, Source, Store, open_store
from ortmmap.cli.cache import cache_group
from ortmmap.session.cached import SHARED, Cached


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cache_folder, "_warned", set())
    monkeypatch.setenv("ORTMMAP_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("ORTMMAP_CACHE_LIMIT", raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "cache")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model [v1].onnx"
    path.write_bytes(b"weights")
    return path


def call(*args: object) -> Result:
    return CliRunner().invoke(cache_group, [str(arg) for arg in args], prog_name="cache")


def put(store: Store, model: Path, size: int = 3 << 20, kind: str = "model", **settings) -> str:
    with store.write(Key([Source.of(model)], settings), kind) as draft:
        Path(draft.path("model.ort")).write_bytes(bytes(size))
    draft.entry.close()
    return draft.entry.name


def test_an_empty_cache_is_listed():
    result = call("list")
    assert result.exit_code == 0
    assert result.output.startswith("0 entries, 0 B of 10.0 GiB, in ")


def test_entries_are_listed_with_source_size_age_and_state(store, model):
    put(store, model)
    model.with_name("gone.onnx").write_bytes(b"x")
    put(store, model.with_name("gone.onnx"), 2048, level=1)
    model.with_name("gone.onnx").unlink()
    output = call("list").output
    assert len(output.splitlines()) == 4  # the headings, the entries, and the total
    line = next(line for line in output.splitlines() if "[v1]" in line)
    assert line.split("onnx", 1)[1].split()[:3] == ["model", "3.0", "MiB"]
    assert "source gone" in output
    assert "2 entries, 3.0 MiB" in output


def test_the_list_can_be_json(store, model):
    name = put(store, model)
    document = json.loads(call("list", "--json").output)
    assert document["folder"] == store.folder
    (entry,) = document["entries"]
    assert (entry["name"], entry["nbytes"], entry["state"]) == (name, 3 << 20, "ok")
    assert entry["sources"][0]["path"] == str(model)


def test_verify_removes_damaged_entries_and_exits_with_1(store, model):
    assert call("verify").exit_code == 0
    name = put(store, model)
    put(store, model, level=1)
    with Path(store.folder, name, "model.ort").open("r+b") as file:
        file.write(b"x")
    result = call("verify")
    assert result.exit_code == 1
    assert f"removed {name}: model.ort is not what was written" in result.output
    assert "(model of model [v1].onnx)" in result.output
    assert "1 of 2 entries intact" in result.output
    assert call("verify").exit_code == 0


def test_clear_removes_everything(store, model):
    put(store, model)
    assert call("clear").output == "removed 3.0 MiB\n"
    assert store.entries() == []


def test_prune_takes_a_limit(store, model):
    for level in range(3):
        put(store, model, level=level)
    assert call("prune").output == "removed 0 B; 3 entries of 9.0 MiB left\n"
    assert call("prune", "--limit", "4MiB").output == "removed 6.0 MiB; 1 entry of 3.0 MiB left\n"
    result = call("prune", "--limit", "some")
    assert result.exit_code == 2
    assert "'some' is not a size; expected bytes, or a number with a unit" in result.output


def test_lines_are_not_wrapped_when_piped(store, tmp_path):
    folder = tmp_path / ("long" * 40)
    folder.mkdir()
    model = folder / "model.onnx"
    model.write_bytes(b"weights")
    put(store, model)
    lines = call("list").output.splitlines()
    assert any(str(model.relative_to(tmp_path)) in line and "3.0 MiB" in line for line in lines)


@pytest.mark.parametrize("command", ["list", "verify", "clear", "prune"])
def test_a_folder_that_is_not_there_is_not_made(tmp_path, command):
    result = call("--dir", tmp_path / "typo", command)
    assert (result.exit_code, result.output) == (1, f"Error: there is no folder {tmp_path}/typo\n")
    assert not (tmp_path / "typo").exists()
    assert call(command).exit_code == 0  # the user's own, which sessions make
    assert not (tmp_path / "cache").exists()


def test_a_folder_may_be_named(tmp_path):
    (tmp_path / "other").mkdir(mode=0o700)
    assert str(tmp_path / "other") in call("--dir", tmp_path / "other", "list").output


def test_a_folder_that_cannot_be_used_is_an_error_that_says_why(tmp_path):
    (tmp_path / "open").mkdir(mode=0o755)
    result = call("--dir", tmp_path / "open", "list")
    assert result.exit_code == 1
    assert "chmod -R go-rwx" in result.output


class FakeSession:
    """A stand-in that writes an entry as Session does."""

    opened: list = []  # noqa: RUF012 - the test's own
    cached = Cached(SHARED)

    def __init__(self, path: str, options: ortmmap.SessionOptions, *, cache: str) -> None:
        if "bad" in path:
            raise ortmmap.errors.InvalidProtobuf("no model")
        self.opened.append((path, options, cache))
        if "small" not in path:
            put(open_store(cache), Path(path))

    def close(self) -> None:
        pass


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> list:
    monkeypatch.setattr(ortmmap, "Session", FakeSession)
    monkeypatch.setattr(FakeSession, "opened", [])
    return FakeSession.opened


def test_warm_opens_each_model_with_the_cache(store, model, sessions):
    result = call("warm", model)
    assert result.exit_code == 0, result.output
    assert f"{model}: model 3.0 MiB in " in result.output
    assert sessions[0][0] == str(model)
    assert sessions[0][2] == store.folder


def test_warm_passes_options_on(model, sessions):
    options = ["--threads", 2, "--opt-level", "basic", "--config", "a.b=c=d", "--free-dim", "n=4"]
    model.with_name("ops.so").touch()
    assert call("warm", model, *options, "--custom-ops", "ops.so").exit_code == 0
    found = sessions[0][1]
    assert found.intra_op_num_threads == 2
    assert found.graph_optimization_level == 1
    assert found.get_session_config_entry("a.b") == "c=d"
    assert found._free_dimensions == [("name", "n", 4)]
    assert found._custom_ops == [str(model.with_name("ops.so"))]


@pytest.mark.parametrize("option", [["--config", "a"], ["--free-dim", "n=x"], ["--threads", "-1"]])
def test_warm_refuses_wrong_options(model, sessions, option):
    assert call("warm", model, *option).exit_code == 2
    assert sessions == []


def test_warm_fails_if_a_model_is_not_cached_but_warms_the_others(model, sessions):
    small, bad = model.with_name("small.onnx"), model.with_name("bad.onnx")
    small.touch()
    bad.touch()
    result = call("warm", small, bad, model)
    assert result.exit_code == 1
    assert "nothing was cached" in result.output
    assert "no model" in result.output
    assert f"{model}: model 3.0 MiB" in result.output
    assert f"Error: not in the cache: {small}, {bad}" in result.output
    assert len(sessions) == 2


def test_help_names_every_command():
    result = call("-h")
    assert result.exit_code == 0
    for command in ("list", "warm", "verify", "clear", "prune"):
        assert command in result.output
        assert call(command, "-h").exit_code == 0
    assert isinstance(cache_group, click.Group)
