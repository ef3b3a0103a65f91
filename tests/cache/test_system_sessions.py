"""Sessions and system caches: baked by root, used by others; copies, overlays, read-only roots."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import models
import numpy as np
import onnx
import onnxruntime
import pytest
from cache_entries import needs_root
from click.testing import CliRunner, Result
from support import NOBODY, ask_python, configured, run_python

import ortmmap
from ortmmap.cache import bake
from ortmmap.cache.folder import SYSTEM_TAG, SYSTEM_VARIABLE
from ortmmap.cache.recognition import is_proven
from ortmmap.cache.store import Store
from ortmmap.cli.cache import cache_group
from ortmmap.session.lookup import look_up

pytestmark = [pytest.mark.usefixtures("clean"), needs_root]

LAYERS, WIDTH = 8, 1024  # 32 MiB of weights, each of them prepacked
MODEL_BYTES = LAYERS * WIDTH * WIDTH * 4
RECOGNIZED = LAYERS if is_proven(ortmmap.get_version_string()) else 0

# Opens a session as the user with the number given, and prints its state and what it has read.
OPEN = """
import ctypes, importlib.util, json, os, pkgutil, shlex, sys, warnings
import numpy as np
import ortmmap, ortmmap.cache, ortmmap.model, ortmmap.session, xxhash, filelock
from support import configured
path, user, waits = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "wait"
for package in (ortmmap.cache, ortmmap.model, ortmmap.session):  # others may not read the modules
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
ortmmap.get_version_string()
if user:
    os.setgroups([]); os.setgid(user); os.setuid(user)
    ctypes.CDLL(None).prctl(4, 1)  # PR_SET_DUMPABLE, to read its own /proc/self/io again
warnings.simplefilter(os.environ.get("WARNINGS", "error"))
def read(task="self"):
    with open(f"/proc/{task}/io") as file:
        return int(file.readline().split()[1])
before, mine = read(), read("thread-self")
session = ortmmap.Session(path, configured(ortmmap.SessionOptions()))
cached = session.cached
found = {"read": read("thread-self") - mine, "state": cached.state, "folder": cached.folder}
if waits:
    assert session.cached.wait(60)
x = np.linspace(-1, 1, 1024, dtype="f4").reshape(1, 1024)
found["output"] = session.run(None, {"h0": x})[0].tobytes().hex()
found["finally"], found["reason"] = session.cached.state, session.cached.reason
found["shared"] = session.memory().shared_blocks
found["recognized"] = session.memory().recognized_blocks
found["read finally"] = read() - before
print(json.dumps(found))
"""


@pytest.fixture
def model(public_path: Path) -> Path:
    path = public_path / "app" / "model.onnx"
    path.parent.mkdir()
    path.write_bytes(models.weights(LAYERS, WIDTH))
    return path


@pytest.fixture
def folder(public_path: Path) -> Path:
    return public_path / "app" / "baked"


def expected_of(model: Path) -> str:
    session = onnxruntime.InferenceSession(
        model, configured(onnxruntime.SessionOptions()), enable_fallback=0
    )
    x = np.linspace(-1, 1, WIDTH, dtype="f4").reshape(1, WIDTH)
    return session.run(None, {"h0": x})[0].tobytes().hex()


def opened(model: Path, *, user: int = 0, wait: bool = True, **env: object) -> dict:
    """Open the model in a fresh process, without a home unless `env` has one."""
    home = {"HOME": "/proc/nothing", "XDG_CACHE_HOME": None, SYSTEM_VARIABLE: ""}
    texts = {name: value if value is None else str(value) for name, value in env.items()}
    waits = "wait" if wait else "no"
    return ask_python(OPEN, model, user, waits, env={**home, "ORTMMAP_CACHE": None, **texts})


def call(*args: object) -> Result:
    return CliRunner().invoke(cache_group, [str(arg) for arg in args], prog_name="cache")


def baked(model: Path, folder: Path) -> Path:
    result = call("bake", model, "--into", folder)
    assert result.exit_code == 0, result.output
    return folder


def test_what_root_has_baked_is_used_by_another_user_without_a_home(model, folder):
    baked(model, folder)
    before = sorted((path, path.lstat().st_mtime_ns) for path in folder.rglob("*"))
    found = opened(model, user=NOBODY, **{SYSTEM_VARIABLE: folder})
    assert (found["state"], found["folder"], found["shared"]) == ("shared", str(folder), LAYERS)
    assert found["recognized"] == RECOGNIZED
    assert found["output"] == expected_of(model)
    assert sorted((path, path.lstat().st_mtime_ns) for path in folder.rglob("*")) == before


def test_with_a_system_cache_no_folder_of_the_users_is_made(model, folder, public_path):
    baked(model, folder)
    own = public_path / "own"
    found = opened(model, ORTMMAP_CACHE_DIR=own, **{SYSTEM_VARIABLE: folder})
    assert found["folder"] == str(folder)
    assert not own.exists()


def test_what_the_system_cache_lacks_is_filed_in_the_users_folder(model, folder, public_path):
    other = public_path / "other.onnx"
    other.write_bytes(models.weights(1, WIDTH))
    baked(other, folder)
    own = public_path / "own"
    found = opened(model, ORTMMAP_CACHE_DIR=own, **{SYSTEM_VARIABLE: folder})
    assert (found["state"], found["finally"], found["folder"]) == ("filing", "shared", str(own))
    assert [path.name for path in own.glob("pages-*")]


def test_without_a_folder_of_its_own_a_session_goes_in_place_and_says_why(model, folder):
    folder.mkdir()
    assert call("bake", model, "--into", folder, "--opt-level", "basic").exit_code == 0
    env = {SYSTEM_VARIABLE: folder, "XDG_CACHE_HOME": "/proc/nothing", "WARNINGS": "ignore"}
    found = opened(model, user=NOBODY, **env)
    assert found["state"] == "private"
    assert "cannot be made" in found["reason"]
    assert found["output"] == expected_of(model)


def test_bake_says_what_it_has_made_and_how_it_is_found(model, folder):
    output = call("bake", model, "--into", folder).output
    lines = output.splitlines()
    assert lines[0].startswith(f"{model}: ")
    assert "model " in lines[0]
    assert "pages 32.1 MiB" in lines[0]
    assert "large enough for sessions to use it without cache=" in lines[0]
    for text in (f"{SYSTEM_VARIABLE}={folder}", "CPU class: ", "every user", "level all"):
        assert text in output
    before = sorted((path, path.lstat().st_ctime_ns) for path in folder.rglob("*"))
    assert "baked already" in call("bake", model, "--into", folder).output
    assert sorted((path, path.lstat().st_ctime_ns) for path in folder.rglob("*")) == before
    assert call("--dir", folder, "list").output.count(" ok") == 2
    assert "2 of 2 entries intact" in call("--dir", folder, "verify").output
    small = model.with_name("small.onnx")
    small.write_bytes(models.affine())
    output = call("bake", small, "--into", folder, "--threads", 1).output
    assert "small: sessions use it only if cache= names a folder" in output


def test_bake_fails_with_the_reason_and_bakes_the_others(model, folder, public_path):
    bad = public_path / "bad.onnx"
    bad.write_bytes(b"no model" * 1000)
    result = call("bake", bad, model, "--into", folder)
    assert result.exit_code == 1
    assert f"{bad}: not baked: " in result.output
    assert f"Error: not baked: {bad}" in result.output
    assert look_up_in(folder, model).found
    public_path.chmod(0o777)
    result = call("bake", model, "--into", folder)
    assert result.exit_code == 1
    assert "everybody may write" in result.output


def test_bake_replaces_a_copy_that_sessions_do_not_use(model, folder, public_path):
    """One whose times are others would have to be read."""
    copy = public_path / "copy"
    subprocess.run(["cp", "-r", baked(model, folder), copy], check=True)
    own = public_path / "own"
    assert opened(model, ORTMMAP_CACHE_DIR=own, **{SYSTEM_VARIABLE: copy})["folder"] == str(own)
    output = call("bake", model, "--into", copy).output
    assert "baked in " in output
    assert "baked already" in call("bake", model, "--into", copy).output
    found = opened(model, user=NOBODY, **{SYSTEM_VARIABLE: copy})
    assert (found["state"], found["folder"]) == ("shared", str(copy))
    assert found["recognized"] == RECOGNIZED


def test_bake_fails_if_the_model_is_changed_meanwhile(model, folder, monkeypatch):
    def publish_late(*args: object) -> list:
        published = publish(*args)
        model.write_bytes(models.weights(LAYERS, WIDTH + 8))
        return published

    publish = bake.publish
    monkeypatch.setattr(bake, "publish", publish_late)
    result = call("bake", model, "--into", folder)
    assert result.exit_code == 1
    assert f"{model}: not baked: sessions do not find all of it" in result.output


def look_up_in(folder: Path, model: Path) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SYSTEM_VARIABLE, str(folder))
        return look_up(model)


def test_the_commands_for_the_users_folder_say_why_it_is_refused(model, folder, monkeypatch):
    baked(model, folder)
    monkeypatch.setenv(SYSTEM_VARIABLE, str(folder))
    result = call("--dir", "/etc", "list")
    assert result.exit_code == 1
    assert "others may enter /etc" in result.output


def test_warming_is_done_if_the_system_cache_has_the_model(model, folder, monkeypatch, tmp_path):
    baked(model, folder)
    monkeypatch.setenv(SYSTEM_VARIABLE, str(folder))
    result = call("--dir", tmp_path / "own", "warm", model)
    assert result.exit_code == 0
    assert f"in the system cache {folder}" in result.output


def test_a_baked_model_that_others_may_change_is_the_reason_that_a_session_gives(model, folder):
    baked(model, folder)
    copy = model.with_name("copy")
    subprocess.run(["cp", "-p", model, copy], check=True)
    copy.replace(model)
    model.parent.chmod(0o775)
    found = opened(model, user=NOBODY, WARNINGS="ignore", **{SYSTEM_VARIABLE: folder})
    assert (found["state"], found["shared"]) == ("private", 0)
    refusal = f"members of group 0 may write {model.parent} (mode 775); as root: chmod go-w"
    assert f"the system cache {folder} is not used: {refusal}" in found["reason"]
    assert "cannot be made" in found["reason"]
    model.parent.chmod(0o755)
    assert opened(model, user=NOBODY, **{SYSTEM_VARIABLE: folder})["state"] == "shared"


def test_looking_up_says_where_and_makes_nothing(model, folder, tmp_path):
    baked(model, folder)
    found = look_up_in(folder, model)
    assert (found.kinds, found.found) == (("model", "pages"), True)
    own, shared = found.places
    assert (own.folder, own.kinds) == (str(tmp_path / "home" / "ortmmap"), ())
    assert (shared.folder, shared.kinds, shared.refusal) == (str(folder), found.kinds, None)
    assert not (tmp_path / "home").exists()
    options = ortmmap.SessionOptions()
    options.graph_optimization_level = ortmmap.GraphOptimizationLevel.ORT_DISABLE_ALL
    assert not look_up(model, options).found
    assert look_up(model, cache=False).kinds == ()


@pytest.mark.parametrize("where", ["sampled", "not sampled"])
def test_a_corrupted_entry_never_changes_an_output(model, folder, where):
    baked(model, folder)
    (pages,) = folder.glob("pages-*/pages")
    times = pages.stat()
    with pages.open("r+b") as file:
        file.seek((5 << 20) + (0 if where == "sampled" else 300_000))
        file.write(b"corrupted")
    os.utime(pages, ns=(times.st_atime_ns, times.st_mtime_ns))
    found = opened(model, user=NOBODY, WARNINGS="ignore", **{SYSTEM_VARIABLE: folder})
    assert found["output"] == expected_of(model)
    assert found["recognized"] == 0
    result = call("--dir", folder, "verify")
    assert result.exit_code == 1
    assert "damaged pages-" in result.output
    assert pages.exists()
    baked(model, folder)


def test_another_model_of_the_same_path_size_and_time_has_its_own_outputs(model, folder):
    baked(model, folder)
    before = opened(model, **{SYSTEM_VARIABLE: folder})["output"]
    times = model.stat()
    proto = onnx.load_from_string(model.read_bytes())
    for each in proto.graph.initializer:
        each.raw_data = (np.frombuffer(each.raw_data, "f4") * 2).tobytes()
    model.unlink()
    model.write_bytes(proto.SerializeToString())
    os.utime(model, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert model.stat().st_size == times.st_size
    found = opened(model, WARNINGS="ignore", **{SYSTEM_VARIABLE: folder})
    assert found["state"] == "private"
    assert found["output"] == expected_of(model) != before


# Containers


@pytest.fixture
def container(public_path: Path) -> Iterator[Callable[..., Path]]:
    """Mount an image, a folder, with a fresh upper layer at the same place each time."""
    root = public_path / "root"
    root.mkdir()
    count = 0

    def mount(image: Path, *options: str) -> Path:
        nonlocal count
        unmount()
        count += 1
        upper, work = public_path / f"upper{count}", public_path / f"work{count}"
        upper.mkdir()
        work.mkdir()
        layers = f"lowerdir={image},upperdir={upper},workdir={work}"
        command = ["mount", "-t", "overlay", "overlay", "-o", ",".join((layers, *options)), root]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"mounting is denied: {done.stderr}")
        return root

    def unmount() -> None:
        if os.path.ismount(root):
            subprocess.run(["umount", "--lazy", root], check=True)

    yield mount
    unmount()


def image_of(layer: Path, target: Path) -> Path:
    """Copy a layer as it is pulled: with other inodes, and times cut to the second."""
    target.mkdir()
    script = f"tar -C {layer} --format=gnu -c . | tar -C {target} -xp"
    subprocess.run(script, shell=True, check=True)
    return target


def built(container: Callable[..., Path], public_path: Path) -> Path:
    """Build an image with a model, a system cache, and the warmed cache of user NOBODY."""
    empty = public_path / "base"
    empty.mkdir()
    root = container(empty)
    root.chmod(0o755)
    model, baked_folder, own = root / "model.onnx", root / "baked", root / "own"
    model.write_bytes(models.weights(LAYERS, WIDTH))
    baked(model, baked_folder)
    own.mkdir()
    os.chown(own, NOBODY, NOBODY)
    opened(model, user=NOBODY, ORTMMAP_CACHE_DIR=own / "cache")
    return public_path / "upper1"


@pytest.mark.parametrize("root", ["writable", "read-only"])
@pytest.mark.parametrize("kind", ["system", "own"])
def test_no_container_of_a_pulled_image_reads_the_model_again(
    container, public_path, tmp_path, root, kind
):
    image = image_of(built(container, public_path), public_path / "image")
    plain = tmp_path / "model.onnx"
    plain.write_bytes(models.weights(LAYERS, WIDTH))
    usual = [opened(plain, ORTMMAP_CACHE_DIR=tmp_path / "plain") for _ in range(2)][1]
    assert usual["state"] == "shared"
    for _ in range(2):
        place = container(image, *(["ro"] if root == "read-only" else []))
        folder = place / ("baked" if kind == "system" else "own/cache")
        variable = SYSTEM_VARIABLE if kind == "system" else "ORTMMAP_CACHE_DIR"
        for _ in range(2):
            found = opened(place / "model.onnx", user=NOBODY, **{variable: folder})
            assert (found["state"], found["folder"]) == ("shared", str(folder))
            assert found["shared"] == LAYERS
            assert found["recognized"] == (RECOGNIZED if kind == "system" else 0)
            assert found["output"] == expected_of(plain)
            assert found["read"] - usual["read"] < MODEL_BYTES / 50
            assert found["read finally"] - usual["read finally"] < MODEL_BYTES / 50


def test_a_second_container_of_an_image_finds_the_exact_identity(container, public_path):
    """A mount's device number is new; nothing else is, if inode and times are the layer's."""
    image = image_of(built(container, public_path), public_path / "image")
    names = set()
    for _ in range(2):
        place = container(image)
        code = "import sys; from ortmmap.cache.store import Key, Source\n"
        code += "print(Key([Source.of(sys.argv[1])], {}).identity)"
        names.add(run_python(code, place / "model.onnx").stdout)
    assert len(names) == 1


def test_nothing_is_read_in_full_while_opening_not_even_for_copies(model, public_path):
    """A copy elsewhere opens in place; the thread that files finds that it is a copy."""
    own = public_path / "own"
    opened(model, ORTMMAP_CACHE_DIR=own)
    copy = public_path / "copy.onnx"
    copy.write_bytes(model.read_bytes())
    found = opened(copy, ORTMMAP_CACHE_DIR=own)
    assert (found["state"], found["finally"], found["shared"]) == ("filing", "shared", LAYERS)
    assert found["read"] < MODEL_BYTES / 20
    assert found["read finally"] > MODEL_BYTES
    assert sorted(each.kind for each in Store(str(own)).entries()) == ["model", "pages"]
    again = opened(copy, ORTMMAP_CACHE_DIR=own)
    assert (again["state"], again["shared"]) == ("shared", LAYERS)
    assert again["read finally"] < MODEL_BYTES / 20


def test_from_a_read_only_folder_no_session_reads_a_copy_in_vain(model, public_path, mounted):
    """No alias can be left there, so each session would read it again."""
    own = public_path / "own"
    opened(model, ORTMMAP_CACHE_DIR=own)
    copy = public_path / "copy.onnx"
    copy.write_bytes(model.read_bytes())
    view = mounted("--bind", str(own))
    subprocess.run(["mount", "-o", "remount,ro,bind", view], check=True)
    for _ in range(2):
        found = opened(copy, ORTMMAP_CACHE_DIR=view, WARNINGS="ignore")
        assert found["state"] == "private"
        assert found["read finally"] < MODEL_BYTES / 20
        assert found["output"] == expected_of(copy)
    assert opened(model, ORTMMAP_CACHE_DIR=view)["state"] == "shared"


def test_the_tag_says_what_the_folder_is(model, folder):
    baked(model, folder)
    assert "system cache of ortmmap" in (folder / SYSTEM_TAG).read_text()
    assert json.loads(call("--dir", folder, "list", "--json").output)["folder"] == str(folder)
