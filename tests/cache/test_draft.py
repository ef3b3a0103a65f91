"""Entries being written: complete or not there, whatever fails."""

import errno
import gc
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cache_entries import content_of, key_of, linux, needs_root, put, visible
from support import NOBODY, run_python

from ortmmap.cache import draft as cache_draft
from ortmmap.cache import store as cache
from ortmmap.cache.entry import is_entry
from ortmmap.cache.folder import CacheWarning
from ortmmap.cache.store import Store, open_store
from ortmmap.errors import Fail

pytestmark = pytest.mark.usefixtures("clean")


def failing(error: BaseException | type[BaseException]) -> Callable:
    def fill(draft):
        Path(draft.path("model.ort")).write_bytes(b"half")
        raise error

    return fill


def writing(content: bytes) -> Callable:
    return lambda draft: Path(draft.path("model.ort")).write_bytes(content)


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), Fail("cannot be saved")])
def test_a_failure_leaves_nothing_and_warns_once(store, key, error):
    with pytest.warns(CacheWarning, match=str(error)[-6:]) as caught:
        assert [store.build(key, "model", failing(error)) for _ in range(3)] == [None] * 3
    assert len(caught) == 1
    assert visible(store) == set()


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError, SystemExit])
def test_another_exception_goes_on_and_leaves_nothing(store, key, error):
    with pytest.raises(error):
        store.build(key, "model", failing(error))
    assert visible(store) == set()


@pytest.mark.parametrize("stage", ["fsync", "rename", "fchmod", "listdir"])
@pytest.mark.parametrize("error", [OSError(errno.EDQUOT, "quota"), KeyboardInterrupt()])
def test_a_failure_at_any_stage_of_the_end_leaves_nothing(store, key, monkeypatch, stage, error):
    def fail(*_args):
        raise error

    draft = store.write(key, "model")
    draft.__enter__()
    Path(draft.path("model.ort")).write_bytes(b"optimized")
    monkeypatch.setattr(os, stage, fail)
    if isinstance(error, OSError):
        with pytest.warns(CacheWarning, match="quota"):
            assert draft.__exit__(None, None, None)
    else:
        with pytest.raises(KeyboardInterrupt):
            draft.__exit__(None, None, None)
    monkeypatch.undo()
    assert draft.entry is None
    store.prune()
    assert not any(name.startswith("model") for name in visible(store))
    assert stage == "listdir" or visible(store) == set()


def test_an_entry_without_room_is_not_begun(tmp_path, key):
    store = Store(open_store(tmp_path / "cache").folder, 1 << 20)
    with pytest.warns(CacheWarning) as caught:
        assert store.write(key, "model", expect=3 << 20) is None
    reason = "an entry of 3.0 MiB is more than the cache may hold (1.0 MiB)"
    said = (
        f"the cache is not written for {key.sources[0].path}: {reason}; raise ORTMMAP_CACHE_LIMIT"
    )
    assert str(caught[0].message) == said
    assert store.build(key, "pages", writing(bytes(2 << 20)), expect=10) is None
    assert len(caught) == 1
    assert visible(store) == set()


def test_a_full_disk_is_noticed_before(store, key, monkeypatch):
    monkeypatch.setattr(store, "most_bytes", 1 << 62)
    with pytest.warns(CacheWarning, match="too little room"):
        assert store.write(key, "model", expect=1 << 60) is None


@needs_root
@linux
def test_a_full_disk_leaves_nothing(mounted, key):
    folder = mounted("-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs")
    store = open_store(folder)
    with pytest.warns(CacheWarning, match="No space left"):
        assert store.build(key, "model", writing(bytes(4 << 20))) is None
    assert visible(store) == set()
    put(store, key)  # there is room again


def test_a_limit_on_file_sizes_leaves_nothing(store, key):
    code = """
import resource, signal, sys, warnings
from pathlib import Path
from ortmmap.cache.store import Key, Source, Store
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store, key = Store(sys.argv[1]), Key([Source.of(sys.argv[2])], {})
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    with store.write(key, "model") as draft:
        Path(draft.path("model.ort")).write_bytes(bytes(1 << 20))
assert draft.entry is None and len(caught) == 1, caught
"""
    run_python(code, store.folder, key.sources[0].path)
    assert visible(store) == set()


READ_ONLY = """
import sys, warnings
from pathlib import Path
from ortmmap.cache.store import Key, Source, open_store
from support import drop_privileges
import xxhash, filelock
if sys.argv[3] == "drop":
    drop_privileges()
key = Key([Source.of(sys.argv[2])], {})
other = Key([Source.of(sys.argv[2])], {"level": 1})
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    store = open_store(sys.argv[1])
    entry = store.find(key, "model")
    assert Path(entry.path()).read_bytes() == b"optimized"
    assert store.find(other, "model") is None
    with store.lock(other) as turn:
        assert not turn
    for kind in ("model", "pages"):
        with store.write(other, kind) as draft:
            Path(draft.path("model.ort")).write_bytes(b"x")
        assert draft.entry is None
    store.prune(0)
assert len(caught) == 1, [str(w.message) for w in caught]
"""


@needs_root
@linux
def test_a_read_only_mount_is_read_and_not_written(mounted, model, key):
    folder = mounted("-t", "tmpfs", "-o", "mode=700", "tmpfs")
    store = open_store(folder)
    put(store, key)
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    run_python(READ_ONLY, folder, model, "stay")
    assert len(visible(store)) == 1


@needs_root
@linux
def test_a_containers_layers_serve_a_cache_that_was_warmed_when_they_were_built(mounted, model):
    """Overlayfs has device numbers of its own, and cannot rename a folder of a lower layer."""
    image = mounted("-t", "tmpfs", "-o", "mode=755", "tmpfs", point="image")
    for name in ("layer", "upper", "work"):
        (image / name).mkdir()
    warmed = image / "layer" / "model.onnx"
    shutil.copy(model, warmed)
    built = open_store(image / "layer" / "cache")
    name = put(built, key_of(warmed))
    layers = ",".join(
        f"{which}dir={image / folder}"
        for which, folder in (("lower", "layer"), ("upper", "upper"), ("work", "work"))
    )
    try:
        started = mounted("-t", "overlay", "-o", layers, "overlay", point="container")
    except subprocess.CalledProcessError:
        pytest.skip("no overlayfs here")
    store = open_store(started / "cache")
    key = key_of(started / "model.onnx")
    assert key.name("model") != name
    assert content_of(store, key) == b"optimized"
    assert content_of(store, key) == b"optimized"
    assert store.verify(name) is None
    other = key_of(started / "model.onnx", level=1)
    put(store, other)
    gc.collect()
    assert store.prune(0) == 18
    assert not any(is_entry(each) for each in visible(store))
    put(store, other)
    assert content_of(store, other) == b"optimized"
    assert content_of(built, key_of(warmed)) == b"optimized"  # the image is unchanged


@needs_root
def test_a_folder_that_its_owner_may_not_write_is_read(public_path):
    model = public_path / "model.onnx"
    model.write_bytes(b"weights")
    store = open_store(public_path / "cache")
    put(store, key_of(model))
    for root, folders, files in os.walk(store.folder, topdown=False):
        for name in (*folders, *files, "."):
            os.chown(Path(root, name), NOBODY, NOBODY)
    Path(store.folder).chmod(0o500)
    # Changing the owner has changed the times too: the bytes are compared, and trusted.
    run_python(READ_ONLY, store.folder, model, "drop")


@pytest.mark.slow
@pytest.mark.parametrize(
    "stage", ["writing", "commit", "header", "published", "removing", "pruning"]
)
def test_a_killed_process_leaves_nothing_half_written(store, key, stage, monkeypatch):
    code = """
import os, signal, sys
from pathlib import Path
from ortmmap.cache import draft as cache_draft
from ortmmap.cache import folder as cache_folder
from ortmmap.cache import store as cache
store, key = cache.Store(sys.argv[1]), cache.Key([cache.Source.of(sys.argv[2])], {})
stage = sys.argv[3]
def die(*_args, **_more): os.kill(os.getpid(), signal.SIGKILL)
with store.lock(key) as turn:
    assert turn
    with store.write(key, "model") as draft:
        Path(draft.path("model.ort")).write_bytes(b"optimized")
        if stage == "writing": die()
        if stage == "commit": cache_draft.record = die
        if stage == "header": cache_draft.sync_folder = die
        if stage == "published":
            cache_draft.sync_folder = lambda path: path == store.folder and die()
        if stage == "pruning": store.prune = die
    if stage == "removing":
        cache_folder.delete = die
        store.remove(draft.name)
"""
    done = run_python(code, store.folder, key.sources[0].path, stage, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    entry = store.find(key, "model")
    assert (entry is not None) is (stage in ("published", "pruning"))
    with store.lock(key, timeout=0) as turn:
        assert turn  # the kernel frees a killed owner's lock
        if entry is None:
            put(store, key)
    monkeypatch.setattr(cache, "YOUNG_SECONDS", 0)
    store.prune()
    assert visible(store) == {key.name("model")}
    assert content_of(store, key) == b"optimized"


def test_what_a_killed_builder_has_left_goes_before_the_next_entry_is_written(store, key, model):
    code = """
import os, signal, sys
from pathlib import Path
from ortmmap.cache import store as cache
store, key = cache.Store(sys.argv[1]), cache.Key([cache.Source.of(sys.argv[2])], {})
with store.lock(key), store.write(key, "model") as draft:
    Path(draft.path("model.ort")).write_bytes(b"optimized")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = run_python(code, store.folder, key.sources[0].path, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    (left,) = visible(store)
    assert left.startswith("tmp-")
    with store.write(key_of(model, level=1), "model") as draft:
        assert left not in visible(store)
        Path(draft.path("model.ort")).write_bytes(b"optimized")
    assert visible(store) == {draft.name}


def test_an_entry_being_written_is_not_removed(store, key, model, monkeypatch):
    monkeypatch.setattr(cache, "YOUNG_SECONDS", 0)
    with store.write(key, "model") as draft:
        Path(draft.path("model.ort")).write_bytes(b"optimized")
        put(store, key_of(model, level=1))
        store.prune(0)
        assert Path(draft.folder).exists()
    assert content_of(store, key) == b"optimized"


def test_a_folder_cleared_before_it_is_locked_is_made_again(store, key, monkeypatch):
    real = cache_draft.hold

    def late(folder):
        monkeypatch.setattr(cache_draft, "hold", real)
        store.clear()
        return real(folder)

    monkeypatch.setattr(cache_draft, "hold", late)
    put(store, key)
    assert visible(store) == {key.name("model")}


def test_only_files_of_the_cache_are_removed(store, key, monkeypatch):
    monkeypatch.setattr(cache, "YOUNG_SECONDS", 0)
    put(store, key)
    kept = {"notes.txt", "tmp-mine", "model-x-y", "model-of-mine.alias", "tmp-" + "z" * 16}
    for name in kept:
        Path(store.folder, name).write_text("mine")
    Path(store.folder, "tmp-0123456789abcdef").mkdir()
    store.prune(0)
    store.clear()
    assert visible(store) == kept
