"""System caches: which folders are trusted, and that nothing but baking ever writes there."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cache_entries import content_of, key_of, needs_root, put
from support import NOBODY, run_python

from ortmmap.cache import key as cache_key
from ortmmap.cache import system
from ortmmap.cache.bake import CannotBake, open_system_cache, publish, staging
from ortmmap.cache.folder import SYSTEM_TAG, SYSTEM_VARIABLE, CacheWarning, refusal
from ortmmap.cache.key import Key
from ortmmap.cache.store import Store, open_store

pytestmark = [pytest.mark.usefixtures("clean"), needs_root]

OTHER = 1001


@pytest.fixture
def folder(public_path: Path, monkeypatch: pytest.MonkeyPatch, clean: None) -> Path:  # noqa: ARG001
    """A system cache in a folder that every user may enter; the variable names it."""
    path = public_path / "volume" / "ortmmap"
    open_system_cache(str(path))
    monkeypatch.setenv(SYSTEM_VARIABLE, str(path))
    return path


@pytest.fixture
def model(public_path: Path) -> Path:
    path = public_path / "model.onnx"
    path.write_bytes(b"weights" * 1000)
    return path


def bake(folder: Path, *keys: Key, content: bytes = b"optimized") -> list[Path]:
    """Put an entry for each key into a system cache; return their folders."""
    cache = open_system_cache(str(folder))
    with staging(cache) as private:
        for key in keys:
            put(Store(private), key, content)
        return [Path(entry.folder) for entry in publish(private, cache)]


def tree(folder: Path) -> dict[str, tuple]:
    """Return what can be seen of every file below a folder, but for its time of access."""
    found = {}
    for path in (folder, *folder.rglob("*")):
        each = path.lstat()
        found[str(path)] = (each.st_mode, each.st_uid, each.st_ino, each.st_mtime_ns, each.st_size)
    return found


def test_an_entry_is_found_after_the_users_own_and_makes_no_folder_of_the_users(
    folder, key, tmp_path
):
    bake(folder, key, content=b"baked")
    before = tree(folder)
    store = open_store(None)
    assert content_of(store, key) == b"baked"
    assert store.find(key, "model").cache == str(folder)
    assert not (tmp_path / "home").exists()
    assert tree(folder) == before
    store.prepare()
    put(store, key, b"own")
    assert content_of(open_store(None), key) == b"own"


def test_everybody_reads_what_is_baked_whatever_the_umask(public_path, key):
    previous = os.umask(0o077)
    try:
        bake(public_path / "a" / "b", key)
    finally:
        os.umask(previous)
    modes = {
        (path.is_dir(), path.stat().st_mode & 0o7777)
        for path in (public_path / "a", *(public_path / "a").rglob("*"))
    }
    assert modes == {(True, 0o755), (False, 0o644)}


def replace_by_link(path: Path) -> None:
    path.rename(path.with_name("real"))
    path.symlink_to("real")


# Each change makes the folder unusable; the reason names what is wrong.
REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "group writes": (lambda path: path.chmod(0o775), "members of group 0 may write"),
    "all write": (lambda path: path.chmod(0o777), "everybody may write"),
    "sticky is not enough": (lambda path: path.chmod(0o1777), "everybody may write"),
    "another's": (lambda path: os.chown(path, OTHER, 0), "belongs to user 1001"),
    "in another's": (lambda path: os.chown(path.parent, OTHER, 0), "volume belongs to user 1001"),
    "replaceable": (lambda path: path.parent.chmod(0o777), "everybody may write"),
    "replaceable by a group": (lambda path: path.parent.chmod(0o770), "members of group 0"),
    "fsGroup": (
        lambda path: (os.chown(path, 0, 2000), path.chmod(0o2775)),
        "members of group 2000 .*fsGroupChangePolicy",
    ),
    "in an fsGroup": (
        lambda path: (os.chown(path.parent, 0, 2000), path.parent.chmod(0o2775)),
        "members of group 2000 .*fsGroupChangePolicy",
    ),
    "a link": (replace_by_link, "leads over a link"),
    "below a link": (lambda path: replace_by_link(path.parent), "leads over a link"),
    "no tag": (lambda path: (path / SYSTEM_TAG).unlink(), "no system cache; make one"),
    "gone": (lambda path: path.rename(path.with_name("x")), "No such file.*make one"),
    "a file": (lambda path: (path.rename(path.with_name("x")), path.touch()), "no system cache"),
}


@pytest.mark.parametrize("how", REFUSED)
def test_a_folder_that_others_may_change_is_refused_with_one_warning(folder, key, how):
    change, reason = REFUSED[how]
    bake(folder, key)
    change(folder)
    with pytest.warns(CacheWarning, match=f"system cache is not used: .*{reason}") as caught:
        assert [content_of(open_store(None), key) for _ in range(2)] == [None, None]
    assert len(caught) == 1


@pytest.mark.parametrize("how", [name for name in REFUSED if "link" not in name])
def test_a_refusal_ends_with_a_command_that_mends_it(folder, how):
    """Commands for root are run; those that bake or name a folder are read."""
    REFUSED[how][0](folder)
    reason = system.refusal_of_system(str(folder))
    last = reason.rsplit(": ", 1)[1]
    if reason.rsplit("; ", 1)[1].startswith(("as root: ", "else as root: ")):
        subprocess.run(last, shell=True, check=True)
        reason = system.refusal_of_system(str(folder))
        assert reason is None, reason
    else:
        assert last == f"python -m ortmmap cache bake MODEL --into {folder}"


def test_a_link_is_refused_with_the_command_that_names_its_target(folder):
    replace_by_link(folder.parent)
    command = system.refusal_of_system(str(folder)).rsplit(": ", 1)[1]
    real = folder.parent.with_name("real") / folder.name
    assert command == f"export {SYSTEM_VARIABLE}={real}"
    assert system.refusal_of_system(str(real)) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.parent.chmod(0o1777),
        lambda path: (os.chown(path.parent, 0, 2000), path.parent.chmod(0o3775)),
        lambda path: path.chmod(0o555),
        lambda path: os.chown(path, 0, OTHER),
    ],
    ids=["sticky parent", "sticky volume of a group", "read-only", "a group that only reads"],
)
def test_a_folder_that_only_root_can_change_is_used(folder, key, change):
    bake(folder, key)
    change(folder)
    assert content_of(open_store(None), key) == b"optimized"


ENTRY_CHANGES = {
    "file of another's": lambda entry: os.chown(entry / "model.ort", OTHER, 0),
    "file that a group writes": lambda entry: (entry / "model.ort").chmod(0o664),
    "header of another's": lambda entry: os.chown(entry / "header", OTHER, 0),
    "header that all write": lambda entry: (entry / "header").chmod(0o666),
    "entry of another's": lambda entry: os.chown(entry, OTHER, 0),
    "entry that a group writes": lambda entry: entry.chmod(0o775),
    "file a link": lambda entry: replace_by_link(entry / "model.ort"),
    "entry a link": replace_by_link,
    "file changed": lambda entry: (entry / "model.ort").write_bytes(b"Optimized"),
    "file shorter": lambda entry: os.truncate(entry / "model.ort", 8),
    "header changed": lambda entry: os.truncate(entry / "header", 50),
}


@pytest.mark.parametrize("how", ENTRY_CHANGES)
def test_an_entry_that_is_not_as_it_was_baked_is_not_used_and_stays(folder, key, how):
    (entry,) = bake(folder, key)
    times = (entry / "model.ort").stat()
    ENTRY_CHANGES[how](entry)
    if how == "file changed":
        os.utime(entry / "model.ort", ns=(times.st_atime_ns, times.st_mtime_ns))
    before = tree(folder)
    with pytest.warns(CacheWarning, match="entry of the system cache .* is not used"):
        assert content_of(open_store(None), key) is None
    assert tree(folder) == before


MENDED = {
    "header that all write": "everybody may write {}/header (mode 666)",
    "file that a group writes": "members of group 0 may write {}/model.ort (mode 664)",
    "entry that a group writes": "members of group 0 may write {} (mode 775)",
    "file of another's": "{}/model.ort belongs to user 1001",
    "entry of another's": "{} belongs to user 1001",
}


@pytest.mark.parametrize("how", MENDED)
def test_an_entry_that_others_may_write_is_refused_with_the_command_that_mends_it(folder, key, how):
    (entry,) = bake(folder, key)
    ENTRY_CHANGES[how](entry)
    with pytest.warns(CacheWarning) as caught:
        assert content_of(open_store(None), key) is None
    reason = f"{MENDED[how].format(entry)}; as root: "
    before, _, command = str(caught[0].message).partition(reason)
    assert before == f"an entry of the system cache {folder} is not used: {entry.name}: "
    (found,) = Store(str(folder), system=True).entries()
    assert found.state == f"refused: {reason}{command}"
    subprocess.run(command, shell=True, check=True)
    assert content_of(open_store(None), key) == b"optimized"


@pytest.mark.parametrize("mode", [0o775, 0o777])
def test_the_command_for_a_folder_mends_its_entries_too(folder, key, mode):
    """As after `chmod -R g=u`, which images for any user of group 0 call for."""
    bake(folder, key)
    for path in (folder, *folder.rglob("*")):
        path.chmod(mode if path.is_dir() else mode & 0o666)
    command = system.refusal_of_system(str(folder)).rsplit(": ", 1)[1]
    subprocess.run(command, shell=True, check=True)
    assert content_of(open_store(None), key) == b"optimized"


def test_a_user_whose_own_folder_is_refused_or_cannot_exist_uses_it(folder, key, monkeypatch):
    bake(folder, key)
    monkeypatch.setattr("ortmmap.cache.folder._platform_folder", lambda: "~/.cache/ortmmap")
    assert content_of(open_store(None), key) == b"optimized"
    assert content_of(open_store("/proc/nothing/cache"), key) == b"optimized"
    assert content_of(open_store("/etc"), key) == b"optimized"


@pytest.mark.usefixtures("folder")
def test_a_refused_folder_of_the_users_is_warned_of_when_it_would_be_written(key):
    store = open_store("/etc")
    assert store.find(key, "model") is None
    with pytest.warns(CacheWarning, match="others may enter /etc"):
        assert store.prepare() is not None


def test_any_user_reads_it_and_it_belongs_to_root_or_to_that_user(folder, key, public_path):
    bake(folder, key)
    bake(public_path / "own", key)
    own = public_path / "own"
    for path in (own, *own.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    own.parent.chmod(0o1777)
    code = """
import json, os, sys, warnings
from support import drop_privileges
from cache_entries import content_of, key_of
from pathlib import Path
from ortmmap.cache import bake, store as cache, search, system, trust
import xxhash
drop_privileges()
warnings.simplefilter("error")
for folder in sys.argv[2:]:
    os.environ["ORTMMAP_SYSTEM_CACHE"] = folder
    assert content_of(cache.open_store(None), key_of(Path(sys.argv[1]))) == b"optimized", folder
"""
    env = {"HOME": "/proc/nothing", "XDG_CACHE_HOME": None}
    run_python(code, key.sources[0].path, folder, own, env=env)


def test_folders_are_searched_in_the_order_of_the_variable(
    folder, key, model, public_path, monkeypatch
):
    second = public_path / "second"
    bake(folder, key, content=b"first")
    bake(second, key, key_of(model, level=1), content=b"second")
    monkeypatch.setenv(SYSTEM_VARIABLE, f"{folder}{os.pathsep}{second}")
    assert content_of(open_store(None), key) == b"first"
    assert content_of(open_store(None), key_of(model, level=1)) == b"second"
    assert [path for path, _ in system.folders()] == [str(folder), str(second)]


def test_an_empty_variable_means_none_and_an_unset_one_the_default(monkeypatch, folder, key):
    bake(folder, key)
    monkeypatch.setattr(system, "DEFAULT_FOLDER", str(folder))
    monkeypatch.setenv(SYSTEM_VARIABLE, "")
    assert system.folders() == []
    monkeypatch.delenv(SYSTEM_VARIABLE)
    assert system.folders() == [(str(folder), None)]
    assert content_of(open_store(None), key) == b"optimized"
    monkeypatch.setattr(system, "DEFAULT_FOLDER", str(folder / "missing"))
    assert system.folders() == []


def test_a_system_cache_named_as_the_users_own_is_refused_with_the_variable(folder):
    reason = refusal(str(folder), named=True)
    assert reason.endswith(f"export {SYSTEM_VARIABLE}={folder}")


def test_entries_of_several_classes_of_cpu_lie_side_by_side(folder, key, model, monkeypatch):
    bake(folder, key, content=b"here")
    with monkeypatch.context() as patch:
        patch.setattr(cache_key, "_machine", "another CPU")
        there = key_of(model)
        bake(folder, there, content=b"there")
    assert content_of(open_store(None), there) == b"there"
    assert content_of(open_store(None), key) == b"here"


def test_what_is_baked_already_stays_unless_it_is_damaged(folder, key):
    (entry,) = bake(folder, key, content=b"first")
    before = tree(entry)
    assert bake(folder, key, content=b"other") == [entry]
    assert tree(entry) == before
    (entry / "model.ort").write_bytes(b"damaged")
    with pytest.warns(CacheWarning, match="is not used"):
        assert bake(folder, key, content=b"again") == [entry]
    assert content_of(open_store(None), key) == b"again"
    (entry / "model.ort").write_bytes(b"AGAIN")  # it would have to be read
    assert bake(folder, key, content=b"last") == [entry]
    assert content_of(open_store(None), key) == b"last"


def test_the_epoch_of_a_reproducible_build_is_the_time_of_what_is_baked(folder, key, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    (entry,) = bake(folder, key)
    assert (entry / "model.ort").stat().st_mtime == 1_000_000_000
    assert content_of(open_store(None), key) == b"optimized"


def test_a_folder_of_other_files_does_not_become_a_system_cache(public_path):
    (public_path / "file").touch()
    with pytest.raises(CannotBake, match="other files"):
        open_system_cache(str(public_path))
    assert not (public_path / SYSTEM_TAG).exists()
    (public_path / "volume" / "lost+found").mkdir(parents=True)
    assert open_system_cache(str(public_path / "volume"))


def test_a_folder_in_anothers_hands_does_not_become_a_system_cache(public_path):
    os.chown(public_path, OTHER, OTHER)
    with pytest.raises(CannotBake, match="belongs to user 1001"):
        open_system_cache(str(public_path / "new" / "cache"))
    assert list(public_path.iterdir()) == []


def test_what_a_killed_baker_has_left_is_removed_and_a_living_ones_stays(folder):
    cache = open_system_cache(str(folder))
    left = folder / f"tmp-{'0' * 16}"
    left.mkdir()
    (left / "file").touch()
    with staging(cache) as first, staging(cache) as second:
        assert not left.exists()
        assert Path(first).is_dir()
        assert Path(second).is_dir()
    assert {path.name for path in folder.iterdir()} == {SYSTEM_TAG}


def copy_in_place(parent: Path, command: str) -> None:
    """Put a copy made by a command in the place of the volume and the model."""
    script = f"set -e; mkdir moved; mv volume model.onnx moved; {command}; rm -r moved"
    subprocess.run(script, shell=True, check=True, cwd=parent)


@pytest.mark.parametrize(
    "command",
    [
        "cp -a moved/* .",
        "tar -C moved -c . | tar -xp",
        "tar -C moved --format=pax -c . | tar -xp",
        "cp -a moved/* .; find . -type f -exec sh -c 'touch -d @$(stat -c %Y $1) $1' - {} ';'",
    ],
    ids=["cp", "tar", "pax", "whole seconds"],
)
def test_a_copy_of_model_and_cache_is_found_without_reading_it(folder, model, command, monkeypatch):
    key = key_of(model)
    bake(folder, key)
    copy_in_place(model.parent, command)
    again = key_of(model)
    assert again.identity != key.identity
    monkeypatch.setattr(Key, "content", None)
    monkeypatch.setattr("ortmmap.cache.entry._file_checksum", None)
    store = open_store(None)
    assert store.find(again, "model", thorough=False) is not None
    assert [each.state for each in Store(str(folder), system=True).entries()] == ["ok"]


@pytest.mark.parametrize("other", [False, True])
def test_explaining_says_that_a_model_is_not_trusted_if_it_was_baked(folder, model, other):
    key = key_of(model)
    bake(folder, key_of(model, level=1) if other else key)
    copy_in_place(model.parent, "cp -a moved/* .")
    model.chmod(0o664)
    system_cache = open_store(None).explain(key_of(model), ("model",))[1]
    assert system_cache.kinds == ()
    if other:
        assert system_cache.refusal is None
    else:
        assert f"members of group 0 may write {model}" in system_cache.refusal


def test_explaining_names_each_folder_what_it_has_and_why_it_is_not_used(
    folder, key, public_path, monkeypatch
):
    bake(folder, key)
    refused = public_path / "refused"
    refused.mkdir(mode=0o777)
    refused.chmod(0o777)
    monkeypatch.setenv(SYSTEM_VARIABLE, f"{refused}{os.pathsep}{folder}")
    own, second, third = open_store_quietly().explain(key, ("model", "pages"))
    assert (own.kinds, own.refusal, own.system) == ((), None, False)
    assert (second.folder, second.kinds) == (str(refused), ())
    assert "everybody may write" in second.refusal
    assert (third.kinds, third.refusal, third.system) == (("model",), None, True)


def open_store_quietly() -> Store:
    with pytest.warns(CacheWarning):
        return open_store(None)
