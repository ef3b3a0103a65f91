"""Which files are taken for the same: by exact identity, by place and samples, by content."""

import os
import shutil
from pathlib import Path

import pytest
from cache_entries import content_of, key_of, linux, needs_root, put, visible
from support import NOBODY

from ortmmap.cache.identity import SPACING, Source, is_same_time, samples_of_file
from ortmmap.cache.key import Key
from ortmmap.cache.store import Store

pytestmark = pytest.mark.usefixtures("clean")

SIZE = 8 * SPACING + 100
MOMENT = 1_700_000_000 * 10**9


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    write(path, {})
    return path


def write(path: Path, changes: dict[int, int], mtime_ns: int = MOMENT + 123) -> None:
    """Write a file of SIZE bytes with other bytes at some offsets, and set its time."""
    content = bytearray(SIZE)
    for offset, value in changes.items():
        content[offset] = value
    path.write_bytes(content)
    os.utime(path, ns=(mtime_ns, mtime_ns))


def copied_in_place(model: Path, mtime_ns: int = MOMENT + 123) -> None:
    """Put a copy of the model in its place: with another inode, and the time given."""
    copy = model.with_name("copy")
    shutil.copyfile(model, copy)
    os.utime(copy, ns=(mtime_ns, mtime_ns))
    copy.replace(model)


def found_without_reading(store: Store, key: Key, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Return whether an entry is found by a search that may read nothing in full."""
    with monkeypatch.context() as patch:
        patch.setattr(Key, "content", None)
        entry = store.find(key, "model", thorough=False)
    return entry is not None


@linux
@pytest.mark.parametrize(("device", "counts"), [(os.makedev(8, 1), True), (55, False)])
def test_a_device_number_that_a_mount_has_made_up_does_not_count(model, device, counts):
    source = Source.of(model)._replace(device=device)
    other = source._replace(device=device + 1)
    assert (source.exact() != other.exact()) is counts
    assert (source.exact() != source._replace(path="/elsewhere").exact()) is not counts


def test_a_copy_in_the_models_place_is_found_without_reading_it(store, model, monkeypatch):
    name = put(store, key_of(model))
    copied_in_place(model)
    key = key_of(model)
    assert key.name("model") != name
    assert found_without_reading(store, key, monkeypatch)
    assert Path(store.folder, f"{key.name('model')}.alias").exists()


def test_a_time_cut_to_the_second_is_the_same_and_another_fraction_is_not(
    store, model, monkeypatch
):
    put(store, key_of(model))
    copied_in_place(model, MOMENT)
    assert found_without_reading(store, key_of(model), monkeypatch)
    for other in (MOMENT + 124, MOMENT + 10**9, MOMENT - 10**9):
        copied_in_place(model, other)
        assert not found_without_reading(store, key_of(model), monkeypatch)
    assert content_of(store, key_of(model)) == b"optimized"  # by all its bytes


@pytest.mark.parametrize("offset", [0, 4095, 3 * SPACING + 7, SIZE - 1])
def test_another_model_of_the_same_path_size_and_time_is_not_found(
    store, model, monkeypatch, offset
):
    put(store, key_of(model))
    model.unlink()
    write(model, {offset: 1})
    assert not found_without_reading(store, key_of(model), monkeypatch)
    assert content_of(store, key_of(model)) is None


def test_a_model_at_another_path_is_found_by_its_bytes_only(store, model, monkeypatch, tmp_path):
    put(store, key_of(model))
    shutil.copy2(model, tmp_path / "other.onnx")
    assert not found_without_reading(store, key_of(tmp_path / "other.onnx"), monkeypatch)
    assert content_of(store, key_of(tmp_path / "other.onnx")) == b"optimized"


def test_each_file_of_external_data_is_sampled(store, model, monkeypatch, tmp_path):
    data = tmp_path / "data"
    write(data, {})
    put(store, key_of(model, data))
    copied_in_place(data)
    assert found_without_reading(store, key_of(model, data), monkeypatch)
    write(data, {SPACING: 1})
    copied_in_place(data)
    assert not found_without_reading(store, key_of(model, data), monkeypatch)


@needs_root
@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.chmod(0o664),
        lambda path: path.chmod(0o666),
        lambda path: os.chown(path, NOBODY, NOBODY),
        lambda path: path.parent.chmod(0o770),
        lambda path: os.chown(path.parent, NOBODY, NOBODY),
    ],
    ids=["group writes", "all write", "another's", "group replaces", "in another's folder"],
)
def test_a_file_that_others_may_have_changed_is_found_by_its_bytes_only(
    store, monkeypatch, change, tmp_path
):
    model = tmp_path / "models" / "model.onnx"
    model.parent.mkdir()
    write(model, {})
    put(store, key_of(model))
    copied_in_place(model)
    change(model)
    assert not found_without_reading(store, key_of(model), monkeypatch)
    assert content_of(store, key_of(model)) == b"optimized"


@needs_root
def test_a_file_that_is_mounted_read_only_is_trusted_whoever_owns_it(store, monkeypatch, mounted):
    place = mounted("-t", "tmpfs", "none")
    model = place / "model.onnx"
    write(model, {})
    model.chmod(0o666)
    put(store, key_of(model))
    copied_in_place(model)
    model.chmod(0o666)
    assert not found_without_reading(store, key_of(model), monkeypatch)
    mounted("-o", "remount,ro", point="mounted")
    assert found_without_reading(store, key_of(model), monkeypatch)


def test_samples_are_at_most_one_per_cent_and_all_of_a_small_file(tmp_path, monkeypatch):
    def digest(content: bytes) -> tuple[bytes, int]:
        path, read = tmp_path / "file", []
        path.write_bytes(content)
        real = os.pread
        with path.open("rb") as file, monkeypatch.context() as patch:
            patch.setattr(os, "pread", lambda *args: (read.append(args[1]), real(*args))[1])
            return samples_of_file(file.fileno(), len(content)), sum(read)

    assert digest(bytes(100 * SPACING))[1] < SPACING
    small = bytes(8192)
    assert digest(small)[0] != digest(b"\1" + small[1:])[0] != digest(small[:-1] + b"\1")[0]
    assert digest(b"")[0] != digest(b"\0")[0]


def test_times_are_the_same_if_equal_or_cut_to_the_second():
    assert is_same_time(MOMENT + 5, MOMENT + 5)
    assert is_same_time(MOMENT, MOMENT + 5)
    assert not is_same_time(MOMENT + 5, MOMENT)
    assert not is_same_time(MOMENT + 10**9, MOMENT + 5)


def test_a_search_that_may_not_read_leaves_copies_with_new_times_alone(store, model):
    name = put(store, key_of(model))
    file = Path(store.folder, name, "model.ort")
    os.utime(file, ns=(0, MOMENT))
    before = file.parent.stat()
    assert store.find(key_of(model), "model", thorough=False) is None
    assert name in visible(store)
    assert file.parent.stat().st_mtime_ns == before.st_mtime_ns
    assert content_of(store, key_of(model)) == b"optimized"
    assert store.find(key_of(model), "model", thorough=False) is not None  # compared once
