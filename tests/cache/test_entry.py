"""Entries: found as they were written, or removed; copies, aliases, damage."""

import os
import shutil
from pathlib import Path

import pytest
from cache_entries import DAMAGES, content_of, damage, key_of, needs_root, put, visible
from support import NOBODY

from ortmmap.cache import entry as cache_entry
from ortmmap.cache.draft import identify
from ortmmap.cache.folder import CacheWarning
from ortmmap.cache.header import NO_CONTENT
from ortmmap.cache.store import Store

pytestmark = pytest.mark.usefixtures("clean")


def test_a_written_entry_is_found(store, key):
    assert store.find(key, "model") is None
    name = put(store, key, b"optimized")
    with store.write(key, "pages") as draft:
        Path(draft.path("blocks")).write_bytes(b"pages")
        draft.describe(note="x")
    entry = store.find(key, "model")
    assert (entry.name, entry.kind, entry.nbytes) == (name, "model", 9)
    assert Path(entry.path()).read_bytes() == b"optimized"
    assert entry.description["sources"][0][0] == key.sources[0].path
    assert draft.entry.key == draft.key
    assert draft.entry.description["note"] == "x"
    fd = draft.entry.open()
    assert os.read(fd, 9) == b"pages"
    assert not os.get_inheritable(fd)
    os.close(fd)


def test_an_entry_may_have_several_files_or_none(store, key):
    with store.write(key, "model") as draft:
        Path(draft.path("model.onnx")).write_bytes(b"a")
        Path(draft.path("model.onnx.data")).write_bytes(b"bb")
    assert [file.name for file in draft.entry.files] == ["model.onnx", "model.onnx.data"]
    assert Path(draft.entry.path("model.onnx.data")).read_bytes() == b"bb"
    with store.write(key, "pages") as draft:
        pass
    assert store.find(key, "pages").files == ()


def test_files_are_their_owners_alone(store, key):
    put(store, key)
    entry = store.find(key, "model")
    assert Path(entry.folder).stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in Path(entry.folder).iterdir()} == {0o600}


def test_a_whole_entry_is_not_replaced(store, key):
    put(store, key, b"first")
    put(store, key, b"second")
    assert content_of(store, key) == b"first"
    assert len(visible(store)) == 1


def test_the_same_bytes_under_another_identity_are_the_same_model(store, key, model, tmp_path):
    name = put(store, key)
    copy = tmp_path / "copy.onnx"
    shutil.copy(model, copy)
    again = key_of(copy)
    assert again.identity != key.identity
    assert store.find(again, "model").name == name
    assert Path(store.folder, f"{again.name('model')}.alias").exists()
    again = key_of(copy)
    assert store.find(again, "model").name == name
    assert again._content is None  # the alias saved reading it


def test_an_entry_serves_the_model_before_it_is_identified_and_its_copies_after(
    store, key, model, tmp_path
):
    with store.write(key, "model") as draft:
        Path(draft.path("model.ort")).write_bytes(b"optimized")
    copy = tmp_path / "copy.onnx"
    shutil.copy(model, copy)
    assert draft.entry.content == NO_CONTENT
    assert content_of(store, key) == b"optimized"
    assert store.find(key_of(copy), "model") is None
    identify(store, key)
    assert store.find(key, "model").content == key.content()
    assert content_of(store, key_of(copy)) == b"optimized"
    assert store.verify(draft.name) is None


def test_a_changed_model_is_not_identified(store, key, model):
    with store.write(key, "model"):
        pass
    model.write_bytes(b"another" * 1000)
    identify(store, key)
    assert store.find(key, "model").content == NO_CONTENT


def test_an_entry_that_was_replaced_is_not_identified_by_the_header_of_the_old_one(store, key):
    put(store, key)
    old = store.find(key, "model")
    store.remove(old.name)
    put(store, key, b"another")
    old.replace_header(old.header._replace(content=bytes(range(32))))
    assert store.find(key, "model").content == key.content()
    assert content_of(store, key) == b"another"


def test_other_bytes_of_the_same_size_are_another_model(store, key, model, tmp_path):
    put(store, key)
    other = tmp_path / "other.onnx"
    other.write_bytes(model.read_bytes()[:-1] + b"!")
    assert store.find(key_of(other), "model") is None
    model.write_bytes(other.read_bytes())  # replaced between two starts
    assert store.find(key_of(model), "model") is None


def test_a_model_that_changes_while_it_is_opened_is_not_cached(store, key, model):
    def fill(draft):
        Path(draft.path("model.ort")).write_bytes(b"optimized")
        model.write_bytes(b"another" * 1000)

    with pytest.warns(CacheWarning, match="has changed"):
        assert store.build(key, "model", fill) is None
    assert visible(store) == set()


def test_an_alias_that_names_something_else_is_ignored(store, key, model, tmp_path):
    put(store, key)
    other = put(store, key_of(model, level=1), b"another level")
    copy = tmp_path / "copy.onnx"
    shutil.copy(model, copy)
    again = key_of(copy)
    alias = Path(store.folder, f"{again.name('model')}.alias")
    for text in (other, "../../etc/passwd", "", "x" * 200):
        alias.write_text(text)
        assert content_of(store, again) == b"optimized"
    alias.unlink()
    alias.symlink_to("/dev/zero")
    assert content_of(store, again) == b"optimized"


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_entry_is_removed_with_one_warning_and_built_anew(store, key, how):
    name = put(store, key)
    damage(Path(store.folder, name), how)
    with pytest.warns(CacheWarning, match="removed") as caught:
        assert store.find(key, "model") is None
    assert len(caught) == 1
    assert visible(store) == set()
    assert put(store, key) == name
    assert content_of(store, key) == b"optimized"


@needs_root
def test_an_entry_of_another_user_is_removed(store, key):
    name = put(store, key)
    os.chown(Path(store.folder, name, "model.ort"), NOBODY, NOBODY)
    with pytest.warns(CacheWarning, match="belongs to user"):
        assert store.find(key, "model") is None
    assert visible(store) == set()


def test_a_link_in_an_entrys_place_is_removed_and_its_target_left_alone(store, key, tmp_path):
    name = put(store, key)
    target = tmp_path / "target"
    Path(store.folder, name).rename(target)
    Path(store.folder, name).symlink_to(target)
    with pytest.warns(CacheWarning, match="link"):
        assert store.find(key, "model") is None
    assert visible(store) == set()
    assert (target / "model.ort").read_bytes() == b"optimized"


def test_an_entry_under_anothers_name_is_removed(store, key, model):
    name = put(store, key)
    other = key_of(model, level=1)
    Path(store.folder, name).rename(Path(store.folder, other.name("model")))
    with pytest.warns(CacheWarning, match="another's"):
        assert store.find(other, "model") is None
    assert visible(store) == set()


def test_a_copied_folder_is_compared_once_and_then_trusted(store, key, tmp_path, monkeypatch):
    name = put(store, key)
    copied = tmp_path / "copied"
    shutil.copytree(store.folder, copied)
    copied.chmod(0o700)
    other = Store(str(copied))
    assert other.entries()[0].state == "unverified"
    assert content_of(other, key) == b"optimized"
    assert other.entries()[0].state == "ok"
    monkeypatch.setattr(cache_entry.Entry, "verify", None)  # must not be called any more
    assert other.find(key, "model").name == name


def test_an_entry_without_header_is_not_there_and_gives_way(store, key):
    folder = Path(store.folder, key.name("model"))
    folder.mkdir(0o700)
    (folder / "model.ort").write_bytes(b"half")
    assert store.find(key, "model") is None
    put(store, key)
    assert content_of(store, key) == b"optimized"


def test_a_mapping_outlives_its_entry(store, key):
    import mmap

    put(store, key)
    entry = store.find(key, "model")
    with Path(entry.path()).open("rb") as file:
        mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    assert store.clear() == 9
    assert store.find(key, "model") is None
    assert mapping[:] == b"optimized"
    mapping.close()


def test_verify_finds_a_change_that_opening_trusts(store, key):
    name = put(store, key)
    file = Path(store.folder, name, "model.ort")
    seen = []
    assert store.verify(name, seen.append) is None
    assert sum(seen) == 9
    with file.open("r+b") as opened:
        opened.write(b"O")
    assert "model.ort" in store.verify(name)
    assert visible(store) == set()
    assert store.verify(name) is None  # removed


def test_verify_reads_the_table_of_pages(store, key):
    from ortmmap.cache.pages import write_pages

    def fill(draft):
        with Path(draft.path("pages")).open("wb", buffering=0) as file:
            write_pages(file.fileno(), draft.key, [b"block"])

    entry = store.build(key, "pages", fill)
    assert store.verify(entry.name) is None
    store.remove(entry.name)
    assert put(store, key, b"no pages", "pages") == entry.name
    assert "too early" in store.verify(entry.name)
