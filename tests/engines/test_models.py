"""Models brought to a node: fetched once, complete or not at all, another version recognized."""

import errno
import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import models
import numpy as np
import pytest
from support import run_python

import ortmmap
from ortmmap.engines import digest, local_model, warm_node
from ortmmap.errors import (
    InvalidGraph,
    MappingError,
    MappingPermissionError,
    ModelChangedError,
    NoSuchFile,
)

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")
REMOTE = "memory://bucket/model.onnx"


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def remote():
    system = fsspec.filesystem("memory")
    system.pipe("/bucket/model.onnx", models.affine())
    yield system
    system.store.clear()


def fetched(cache: Path) -> list[str]:
    """Return the names of the fetched versions."""
    return [path.name for path in (cache / "models").iterdir() if path.is_dir()]


def leftovers(cache: Path) -> list[str]:
    names = [path.name for path in (cache / "models").iterdir()]
    return [name for name in names if name.startswith("tmp-") or name.endswith(".fetching")]


def test_a_path_is_used_where_it_is(onnx_file, cache):
    assert local_model(onnx_file, cache=cache) == str(onnx_file)
    assert local_model(f"file://{onnx_file}", cache=cache) == str(onnx_file)
    assert not cache.exists()


def test_a_url_is_fetched_once_and_has_the_same_bytes(remote, cache, monkeypatch):
    path = local_model(REMOTE, cache=cache)
    assert Path(path).read_bytes() == models.affine()
    assert Path(path).parent.name == digest(path) == digest(REMOTE, cache=cache)
    monkeypatch.setattr(type(remote), "open", lambda *_, **__: pytest.fail("fetched again"))
    assert local_model(REMOTE, cache=cache) == path


def test_files_of_external_data_are_fetched_too(remote, cache, tmp_path):
    model, data = models.external(tmp_path)
    remote.pipe("/bucket/model.onnx", model.read_bytes())
    with pytest.raises(NoSuchFile, match=r"memory://bucket/model.onnx: cannot be fetched"):
        local_model(REMOTE, cache=cache)
    assert fetched(cache) == leftovers(cache) == []
    remote.pipe(f"/bucket/{data.name}", data.read_bytes())
    path = local_model(REMOTE, cache=cache)
    x = np.ones((1, 128), "f4")
    (name,) = (arg.name for arg in ortmmap.Session(path).get_inputs())
    ours, theirs = (ortmmap.Session(one).run(None, {name: x}) for one in (path, model))
    np.testing.assert_array_equal(ours[0], theirs[0])


def test_external_data_out_of_the_folder_is_refused(remote, cache, tmp_path):
    model, data = models.external(tmp_path)
    name = data.name.encode()
    remote.pipe("/bucket/model.onnx", model.read_bytes().replace(name, b"../" + name[3:]))
    with pytest.raises(InvalidGraph, match="outside the model's folder"):
        local_model(REMOTE, cache=cache)
    assert fetched(cache) == leftovers(cache) == []


def test_the_same_bytes_under_two_urls_are_one_copy(remote, cache):
    remote.pipe("/bucket/other.onnx", models.affine())
    first = local_model(REMOTE, cache=cache)
    assert local_model("memory://bucket/other.onnx", cache=cache) == first


def test_a_replaced_model_is_fetched_and_the_old_one_stays_while_it_is_used(remote, cache):
    """The process that has the old version may open it again."""
    first = local_model(REMOTE, cache=cache)
    remote.pipe("/bucket/model.onnx", models.affine(1))
    second = local_model(REMOTE, cache=cache)
    assert Path(first).read_bytes() == models.affine()
    assert Path(second).read_bytes() == models.affine(1)


def test_an_old_version_that_nobody_uses_is_removed(tmp_path, cache):
    """Each process opens a version, and ends."""
    source = tmp_path / "model.onnx"
    code = "import sys; from ortmmap.engines import models, source\n"
    code += "print(models.fetch(source.Copied(sys.argv[1]), cache=sys.argv[2]))"
    for seed in (0, 1):
        source.write_bytes(models.affine(seed))
        path = run_python(code, source, cache).stdout.strip()
        assert Path(path).read_bytes() == models.affine(seed)
        assert fetched(cache) == [Path(path).parent.name]


def test_a_digest_that_differs_is_an_error(remote, onnx_file, cache):
    wanted = digest(REMOTE, cache=cache)
    assert digest(onnx_file) == wanted
    local_model(onnx_file, digest=wanted)
    remote.pipe("/bucket/model.onnx", models.affine(1))
    onnx_file.write_bytes(models.affine(1))
    for model in (REMOTE, onnx_file):
        with pytest.raises(ModelChangedError, match=f"the job was started with {wanted}"):
            local_model(model, cache=cache, digest=wanted)


@pytest.mark.parametrize(
    ("model", "cls", "said"),
    [
        ("memory://bucket/absent.onnx", NoSuchFile, "there is no such file"),
        ("nosuchthing://bucket/model.onnx", MappingError, "nosuchthing"),
    ],
)
def test_a_model_that_cannot_be_fetched_is_an_error_that_names_it(model, cls, said, cache):
    with pytest.raises(cls, match=f"{model}: cannot be fetched.*{said}"):
        local_model(model, cache=cache)
    assert not (cache / "models").exists() or fetched(cache) == leftovers(cache) == []


def test_a_failing_file_system_leaves_nothing(remote, cache, monkeypatch):
    class Failing:
        def __init__(self):
            self.reads = 0

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def read(self, _count):
            self.reads += 1
            if self.reads > 1:
                raise PermissionError("the token has expired")
            return b"half of it"

    with monkeypatch.context() as context:
        context.setattr(type(remote), "open", lambda *_, **__: Failing())
        with pytest.raises(MappingPermissionError, match="the token has expired"):
            local_model(REMOTE, cache=cache)
    assert fetched(cache) == leftovers(cache) == []
    assert Path(local_model(REMOTE, cache=cache)).read_bytes() == models.affine()


def test_a_model_replaced_while_it_is_fetched_is_an_error(remote, cache, monkeypatch):
    original = type(remote).open

    def replacing(system, path, *args, **kwargs):
        opened = original(system, path, *args, **kwargs)
        content = BytesIO(opened.read())
        opened.close()
        system.store[path] = type(opened)(system, path, models.affine(1))
        return content

    with monkeypatch.context() as context:
        context.setattr(type(remote), "open", replacing)
        with pytest.raises(MappingError, match="replaced while it was fetched"):
            local_model(REMOTE, cache=cache)
    assert fetched(cache) == leftovers(cache) == []


def test_too_little_room_is_an_error_that_names_the_variable(cache, monkeypatch):
    reason = "too little room"
    monkeypatch.setattr("ortmmap.cache.folder.CacheFolder.no_room", lambda *_: reason)
    with pytest.raises(MappingError, match=rf"{reason}; ORTMMAP_CACHE_DIR") as caught:
        local_model(REMOTE, cache=cache)
    assert caught.value.errno == errno.ENOSPC
    assert fetched(cache) == leftovers(cache) == []


def test_a_killed_fetch_leaves_nothing_that_is_taken_for_the_model(tmp_path, cache):
    source = tmp_path / "model.onnx"
    source.write_bytes(models.affine())
    code = """
import os, signal, sys
from ortmmap.engines import fetched, models, source
def die(path, names):
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[3] == "die":
    models._digest_of = die
print(models.fetch(source.Copied(sys.argv[1]), cache=sys.argv[2]))
"""
    killed = run_python(code, source, cache, "die", check=False)
    assert killed.returncode == -9
    assert len(leftovers(cache)) == len(fetched(cache)) == 1
    path = run_python(code, source, cache, "live").stdout.strip()
    assert Path(path).read_bytes() == models.affine()
    assert leftovers(cache) == []


def test_processes_that_start_at_once_fetch_once(served, model_file, cache):
    code = "import sys; from ortmmap.engines import local_model\n"
    code += "print(local_model(sys.argv[1], cache=sys.argv[2]))"
    environment = {**os.environ, "PYTHONPATH": str(Path(ortmmap.__file__).parent.parent)}
    command = [sys.executable, "-c", code, served.url, str(cache)]
    running = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    paths = {process.communicate(timeout=120)[0].strip() for process in running}
    assert [process.returncode for process in running] == [0] * 4
    (path,) = paths
    assert Path(path).read_bytes() == model_file.read_bytes()
    assert len(served.gets) == 1


def test_warming_a_node_fills_its_cache(remote, cache):
    remote.pipe("/bucket/model.onnx", models.weights(8, 512))
    warmed = warm_node(REMOTE, threads=1, cache=cache)
    assert warmed.state == "shared"
    assert warmed.digest == digest(REMOTE, cache=cache)
    assert warmed.warnings == ()
    with ortmmap.Session(warmed.path, cache=cache) as session:
        assert session.cached.state in ("shared", "filing")


def test_models_of_a_cache_survive_its_clearing(cache):
    from ortmmap.cache.store import Store

    path = local_model(REMOTE, cache=cache)
    Store(str(cache)).clear()
    assert Path(path).exists()
