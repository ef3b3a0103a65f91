"""The store: room, descriptions, one writer at a time, several processes."""

import errno
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from cache_entries import ROOT, content_of, damage, key_of, linux, names_in, put, visible
from support import run_python

from ortmmap.cache import entry as cache_entry
from ortmmap.cache import folder as cache_folder
from ortmmap.cache import lock as cache_lock
from ortmmap.cache import store as cache
from ortmmap.cache.folder import CacheWarning
from ortmmap.cache.search import find_entry
from ortmmap.cache.store import Store, open_store

pytestmark = pytest.mark.usefixtures("clean")


# Making room


def test_the_least_recently_used_goes_first(store, model):
    keys = [key_of(model, level=level) for level in range(4)]
    for age, key in enumerate(keys):
        put(store, key, bytes(1000))
        os.utime(Path(store.folder, key.name("model")), (0, 1000 + age))
    assert store.find(keys[0], "model") is not None  # counts as a use
    assert store.prune(2500) == 2000
    left = {each.name for each in store.entries()}
    assert left == {keys[0].name("model"), keys[3].name("model")}


def test_writing_makes_room_but_keeps_the_new_entry(store, model):
    store.most_bytes = 2500
    keys = [key_of(model, level=level) for level in range(4)]
    for age, key in enumerate(keys):
        put(store, key, bytes(1000))
        os.utime(Path(store.folder, key.name("model")), (0, 1000 + age))
        assert key.name("model") in visible(store)
    assert visible(store) == {key.name("model") for key in keys[2:]}


def test_an_entry_in_use_stays(store, model):
    keys = [key_of(model, level=level) for level in range(2)]
    for key in keys:
        put(store, key)
    entry = store.find(keys[0], "model")
    assert [each.in_use for each in store.entries() if each.name == entry.name] == [True]
    assert store.prune(0) == 9
    assert visible(store) == {entry.name}
    entry.close()
    assert store.prune(0) == 9
    assert visible(store) == set()


@linux
def test_an_entry_in_use_by_another_process_stays(store, key):
    put(store, key)
    code = """
import sys
from ortmmap.cache.store import Key, Source, Store
entry = Store(sys.argv[1]).find(Key([Source.of(sys.argv[2])], {}), "model")
print("held", flush=True)
sys.stdin.read()
"""
    holder = subprocess.Popen(
        [sys.executable, "-c", code, store.folder, key.sources[0].path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(cache.__file__).parents[2])},
    )
    try:
        assert holder.stdout.readline() == b"held\n"
        assert store.prune(0) == 0
        assert content_of(store, key) == b"optimized"
    finally:
        holder.kill()
        holder.communicate()
    assert store.prune(0) == 9


@linux
def test_an_entry_that_somebody_holds_alone_for_ever_is_not_waited_for(store, key, monkeypatch):
    name = put(store, key)
    monkeypatch.setattr(cache_entry, "SHARE_ATTEMPTS", 3)
    held = cache_entry.hold(str(Path(store.folder, name)), alone=True)
    with pytest.warns(CacheWarning, match="cannot be read"):
        assert store.find(key, "model") is None
    os.close(held)
    assert content_of(store, key) == b"optimized"


def test_using_an_entry_is_noted_once_a_minute(store, key):
    name = put(store, key)
    folder = Path(store.folder, name)
    for moment in (1000, time.time() + 10**6):  # long ago, and before the clock went back
        os.utime(folder, (moment, moment))
        store.find(key, "model")
        assert abs(folder.stat().st_mtime - time.time()) < 1000
    recently = time.time() - 20
    os.utime(folder, (recently, recently))
    store.find(key, "model")
    assert folder.stat().st_mtime == pytest.approx(recently, abs=1e-3)


def test_aliases_go_with_their_entries_and_when_there_are_many(
    store, key, model, tmp_path, monkeypatch
):
    monkeypatch.setattr(cache, "YOUNG_SECONDS", 0)
    monkeypatch.setattr(cache, "MOST_ALIASES", 2)
    put(store, key)
    for number in range(4):
        shutil.copy(model, tmp_path / f"{number}.onnx")
        assert store.find(key_of(tmp_path / f"{number}.onnx"), "model") is not None
    store.prune()
    assert len(visible(store)) == 1 + 2
    store.prune(0)
    store.prune(0)
    assert visible(store) == set()


def test_entries_are_described(store, key, model):
    put(store, key)
    (found,) = store.entries()
    assert (found.kind, found.nbytes, found.state, found.in_use) == ("model", 9, "ok", False)
    assert found.sources == ((str(model), 7000, model.stat().st_mtime_ns),)
    model.write_bytes(b"x")
    assert store.entries()[0].state == "source changed"
    model.unlink()
    assert store.entries()[0].state == "source gone"
    damage(Path(store.folder, found.name), "header empty")
    assert store.entries()[0].state.startswith("damaged")


# One writer at a time


def test_a_turn_is_for_one(store, key):
    with store.lock(key) as first, store.lock(key, timeout=0) as second:
        assert (first, second) == (True, False)
    with store.lock(key, timeout=0) as third:
        assert third


def test_after_a_writer_has_failed_those_that_wait_do_not_try_again(store, key, monkeypatch):
    looked = threading.Event()
    turns = []
    real = cache_lock.modified

    def look(path):
        found = real(path)
        looked.set()
        return found

    def wait():
        with store.lock(key) as turn:
            turns.append(turn)

    monkeypatch.setattr(cache_lock, "modified", look)
    thread = threading.Thread(target=wait)
    with store.lock(key) as mine:
        assert mine
        os.utime(store.lock_path(key), (0, 0))
        thread.start()
        looked.wait()
        with pytest.warns(CacheWarning), store.write(key, "model"):
            raise OSError(errno.ENOSPC, "full")
    thread.join()
    assert turns == [False]


@pytest.mark.parametrize("text", ["soon", "-1", "nan"])
def test_a_wait_that_is_no_number_warns(store, key, monkeypatch, text):
    monkeypatch.setenv("ORTMMAP_CACHE_WAIT", text)
    with pytest.warns(CacheWarning, match="seconds"), store.lock(key) as turn:
        assert turn


def test_locks_are_few_and_stay(store, model):
    for level in range(300):
        with store.lock(key_of(model, level=level)):
            pass
    locks = names_in(store.folder, "locks")
    store.clear()
    assert names_in(store.folder, "locks") == locks
    assert len(locks) <= cache_folder.LOCKS


# Several processes


def run_all(target: Callable, *args: object, count: int) -> list:
    context = multiprocessing.get_context("fork")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads
        with context.Pool(count) as pool:
            return pool.starmap(target, [(*args, number) for number in range(count)], chunksize=1)


def build_counted(folder: str, model: Path, log: Path, number: int) -> bytes:
    store, key = Store(folder), key_of(model)

    def fill(draft):
        with log.open("ab", buffering=0) as file:
            file.write(b"%d\n" % number)
        time.sleep(0.1)
        Path(draft.path("model.ort")).write_bytes(b"optimized" * 1000)

    entry = store.build(key, "model", fill)
    return Path(entry.path()).read_bytes()


@pytest.mark.slow
def test_of_many_that_start_together_one_builds(store, model, tmp_path):
    results = run_all(build_counted, store.folder, model, tmp_path / "log", count=50)
    assert results == [b"optimized" * 1000] * 50
    assert len((tmp_path / "log").read_text().splitlines()) == 1


def churn(folder: str, model: Path, number: int) -> int:
    """Write, find, prune and verify; return how often something was found."""
    import random

    random_ = random.Random(number)
    store = Store(folder, 60_000)
    found = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(60):
            level = random_.randrange(6)
            key = key_of(model, level=level)
            expected = bytes([level]) * 20_000
            match random_.randrange(5):
                case 0:
                    with store.write(key, "model") as draft:
                        Path(draft.path("model.ort")).write_bytes(expected)
                case 1:
                    store.prune(20_000)
                case 2:
                    assert store.verify(key.name("model")) is None
                case 3 if number == 0:
                    store.clear()
                case _:
                    entry = store.find(key, "model")
                    if entry is not None:
                        found += 1
                        try:
                            assert Path(entry.path()).read_bytes() == expected
                        except FileNotFoundError:  # removed by clear()
                            found -= 1
    return found


@pytest.mark.slow
def test_processes_that_write_find_and_prune_at_once_see_whole_entries_only(store, model):
    assert sum(run_all(churn, store.folder, model, count=8)) > 0
    for each in store.entries():
        assert each.state == "ok"
        assert store.verify(each.name) is None
    assert not [name for name in visible(store) if name.startswith("tmp-")]


def test_two_users_do_not_see_each_other(public_path):
    if not ROOT:
        pytest.skip("only root may")
    model = public_path / "model.onnx"
    model.write_bytes(b"weights")
    public_path.chmod(0o777)
    store = open_store(public_path / "cache")
    put(store, key_of(model))
    code = """
import sys, warnings
from support import drop_privileges
from ortmmap.cache import store as cache
drop_privileges()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    assert cache.open_store(sys.argv[1]).prepare() is not None
assert len(caught) == 1 and "belongs to user 0" in str(caught[0].message), caught
"""
    run_python(code, store.folder)


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list:
    """The keys' names that a folder is searched for."""
    seen = []

    def counted(store, key, kind, *, thorough):
        seen.append(key.name(kind))
        return find_entry(store, key, kind, thorough=thorough)

    monkeypatch.setattr("ortmmap.cache.search.find_entry", counted)
    return seen


def age_by(seconds: float, folder: str) -> None:
    os.utime(folder, (0, time.time() - seconds))


def test_what_was_searched_for_in_vain_is_not_until_the_folder_changes(store, model, searches):
    key, other = key_of(model), key_of(model, level=1)
    put(store, other)
    age_by(1, store.folder)
    for _ in range(3):
        assert store.find(key, "model", thorough=False) is None
    assert searches == [key.name("model")]
    assert store.find(key, "model") is None  # in full
    assert store.find(key, "pages", thorough=False) is None
    assert len(searches) == 3
    Path(store.path(other.name("model"))).rename(store.path("elsewhere"))
    assert store.find(key, "model", thorough=False) is None
    assert len(searches) == 4
    put(store, key)
    assert store.find(key, "model", thorough=False) is not None


def test_a_folder_that_has_just_changed_is_searched_again(store, model, searches):
    """What appears a moment later may not change its time."""
    put(store, key_of(model, level=1))
    key = key_of(model)
    for seconds in (0, -3600):  # a server's clock may be ahead
        age_by(seconds, store.folder)
        searches.clear()
        for _ in range(2):
            assert store.find(key, "model", thorough=False) is None
        assert len(searches) == (2 if seconds == 0 else 1)


def test_an_alias_that_appears_is_found(store, model, tmp_path):
    """Another process has left it: it found the copied model's entry by its content."""
    put(store, key_of(model))
    copy = tmp_path / "elsewhere.onnx"
    shutil.copy(model, copy)
    age_by(1, store.folder)
    assert store.find(key_of(copy), "model", thorough=False) is None
    assert Store(store.folder).find(key_of(copy), "model") is not None
    assert store.find(key_of(copy), "model", thorough=False) is not None


def test_looking_is_quick_to_import():
    code = """
import sys
import ortmmap.cache.store
slow = {"filelock", "platformdirs", "psutil", "hashlib", "json", "pathlib", "subprocess", "xxhash"}
from ortmmap._core import Session
before = set(sys.modules)
from ortmmap.cache.store import Key, Source, open_store
store = open_store(sys.argv[1])
assert store.find(Key([Source.of(__import__("os").__file__)], {}), "model") is None
print(sorted(slow & (set(sys.modules) - before)))
"""
    with tempfile.TemporaryDirectory() as folder:
        assert run_python(code, folder).stdout.strip() == "[]"
