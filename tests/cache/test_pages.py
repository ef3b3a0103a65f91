"""The file of prepacked blocks: what is written comes back, and nothing else is accepted."""

import operator
import os
import struct
from _blake2 import blake2b
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ortmmap.cache.entry import Damaged, Entry
from ortmmap.cache.key import Key
from ortmmap.cache.pages import (
    ALIGNMENT,
    BadPages,
    read_table,
    read_unfinished_table,
    write_pages,
)
from ortmmap.cache.store import Store, open_store
from ortmmap.cache.unfinished import claim, is_claimed

KEY = bytes(range(32))
SIZES = (65536, 1, 200_000, 65537)
FUZZ = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
HEADER = 64 + 16 * len(SIZES) + 16


def blocks_of(sizes: tuple[int, ...], seed: int = 0) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [generator.integers(0, 256, size, "u1") for size in sizes]


def written(path: Path, blocks: list, key: bytes = KEY) -> Path:
    with path.open("wb", buffering=0) as file:
        assert write_pages(file.fileno(), key, blocks) == os.fstat(file.fileno()).st_size
    return path


def table_of(path: Path, key: bytes = KEY) -> list[tuple[int, int]]:
    with path.open("rb") as file:
        return read_table(file.fileno(), key)


def read_back(path: Path) -> list[bytes]:
    raw = path.read_bytes()
    return [raw[offset : offset + size] for offset, size in table_of(path)]


def bytes_of(blocks: list[np.ndarray]) -> list[bytes]:
    return [block.tobytes() for block in blocks]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return written(tmp_path_factory.mktemp("pages") / "good", blocks_of(SIZES)).read_bytes()


@pytest.fixture
def changed(good: bytes, tmp_path: Path) -> Callable[..., Path]:
    def change(edit: Callable[[bytearray], object], *, resealed: bool = False) -> Path:
        raw = bytearray(good)
        edit(raw)
        if resealed:
            raw[HEADER - 16 : HEADER] = blake2b(raw[: HEADER - 16], digest_size=16).digest()
        path = tmp_path / "changed"
        path.write_bytes(raw)
        return path

    return change


@FUZZ
@given(st.lists(st.integers(1, 3 * ALIGNMENT), min_size=1, max_size=12), st.integers(0, 9))
def test_blocks_come_back(tmp_path, sizes, seed):
    blocks = blocks_of(tuple(sizes), seed)
    path = written(tmp_path / "pages", blocks)
    table = table_of(path)
    assert [size for _, size in table] == sizes
    assert all(offset % ALIGNMENT == 0 for offset, _ in table)
    assert read_back(path) == bytes_of(blocks)


def test_a_block_larger_than_a_write_comes_back(tmp_path, monkeypatch):
    monkeypatch.setattr("ortmmap.cache.pages.WRITE_BYTES", 1 << 17)
    blocks = blocks_of((1_000_003, 70_000))
    path = written(tmp_path / "pages", blocks)
    assert read_back(path) == bytes_of(blocks)


def test_writes_that_the_system_cuts_short_are_continued(tmp_path, monkeypatch):
    whole = os.writev

    def short(fd, pieces):
        return whole(fd, [memoryview(b"".join(pieces))[:40_001]])

    monkeypatch.setattr(os, "writev", short)
    path = written(tmp_path / "pages", blocks_of(SIZES))
    monkeypatch.undo()
    assert read_back(path) == bytes_of(blocks_of(SIZES))


def test_the_header_can_be_read_while_the_rest_is_written(tmp_path):
    path, found = tmp_path / "pages", []

    def read() -> None:
        with path.open("rb") as file:
            assert is_claimed(file.fileno())
            found.append(read_unfinished_table(file.fileno(), KEY))
            with pytest.raises(BadPages, match="its header says"):
                read_table(file.fileno(), KEY)

    with path.open("wb", buffering=0) as file:
        claim(file.fileno())
        size = write_pages(file.fileno(), KEY, blocks_of(SIZES), begun=read)
    assert found == [(table_of(path), size)]
    with path.open("rb") as file:
        assert not is_claimed(file.fileno())


def test_writes_are_large_and_one_after_another(tmp_path, monkeypatch):
    sizes = []
    whole = os.writev

    def counted(fd, pieces):
        sizes.append(whole(fd, pieces))
        return sizes[-1]

    monkeypatch.setattr(os, "writev", counted)
    written(tmp_path / "pages", [np.zeros(3_000_000, "u1")] * 20)
    header, *blocks = sizes
    assert header == ALIGNMENT  # other processes may read it before the rest is written
    assert all(size >= 8 << 20 for size in blocks[:-1])


def test_any_buffer_is_a_block(tmp_path):
    written(tmp_path / "pages", [b"a", bytearray(b"bc"), np.ones((3, 5), "f4")])
    assert [size for _, size in table_of(tmp_path / "pages")] == [1, 2, 60]


@pytest.mark.parametrize("blocks", [[b""], [b"a", b""]], ids=["an empty one", "last"])
def test_blocks_must_have_bytes(tmp_path, blocks):
    with pytest.raises(ValueError, match="none empty"):
        written(tmp_path / "pages", blocks)


def test_a_key_has_32_bytes(tmp_path):
    with pytest.raises(ValueError, match="32 bytes"):
        written(tmp_path / "pages", [b"a"], b"short")


def test_another_key_is_refused(changed):
    with pytest.raises(BadPages, match="key"):
        table_of(changed(bytes), bytes(32))


@pytest.mark.parametrize(
    "at", [0, 8, 12, 16, 23, 32, 63, 64, 71, 72, 80, HEADER - 17, HEADER - 16, HEADER - 1]
)
def test_any_changed_bit_of_the_header_is_refused(changed, at):
    def flip(raw):
        raw[at] ^= 1

    with pytest.raises(BadPages):
        table_of(changed(flip))


FORGERIES = {
    "magic": (0, b"ORTMPAGF"),
    "version 0": (8, struct.pack("<I", 0)),
    "version 1": (8, struct.pack("<I", 1)),
    "version 3": (8, struct.pack("<I", 3)),
    "no blocks": (12, struct.pack("<I", 0)),
    "too many blocks": (12, struct.pack("<I", (1 << 32) - 1)),
    "one block less": (12, struct.pack("<I", len(SIZES) - 1)),
    "reserved": (24, b"\1"),
    "another size": (16, struct.pack("<Q", 1 << 40)),
    "first block in the header": (64, struct.pack("<Q", 0)),
    "first block not aligned": (64, struct.pack("<Q", ALIGNMENT + 4096)),
    "first block later": (64, struct.pack("<Q", 2 * ALIGNMENT)),
    "overlap": (64 + 16, struct.pack("<Q", ALIGNMENT)),
    "empty block": (64 + 8, struct.pack("<Q", 0)),
    "block beyond the end": (64 + 16 * 3 + 8, struct.pack("<Q", 1 << 30)),
    "block that wraps around": (64 + 16 * 3 + 8, struct.pack("<Q", (1 << 64) - 1)),
    "shorter block": (64 + 16 * 3 + 8, struct.pack("<Q", 3)),
}


@pytest.mark.parametrize("case", FORGERIES)
def test_a_header_that_breaks_a_rule_is_refused_though_its_checksum_is_right(changed, case):
    at, bytes_ = FORGERIES[case]

    def forge(raw):
        raw[at : at + len(bytes_)] = bytes_

    with pytest.raises(BadPages):
        table_of(changed(forge, resealed=True))


@FUZZ
@given(st.data())
def test_every_truncation_and_extension_is_refused(changed, good, data):
    near = st.sampled_from([0, 1, 63, 64, HEADER - 1, HEADER, ALIGNMENT, len(good) - 1])
    size = data.draw(near | st.integers(0, len(good) - 1))
    shorter = operator.methodcaller("__delitem__", slice(size, None))
    longer = operator.methodcaller("extend", bytes(size))
    for edit in (shorter, longer):
        path = changed(edit)
        if path.stat().st_size != len(good):
            with pytest.raises(BadPages):
                table_of(path)


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    """An entry of the cache that holds the file."""
    store = open_store(tmp_path / "cache")

    def fill(draft):
        written(Path(draft.path("pages")), blocks_of(SIZES), draft.key)

    return store.build(Key([], {}), "pages", fill)


@FUZZ
@given(st.data())
def test_corruption_is_refused_or_harmless(entry, data):
    path = Path(entry.path())
    good = path.read_bytes()
    at = data.draw(st.integers(0, HEADER) | st.integers(0, len(good) - 1))
    noise = data.draw(st.binary(min_size=1, max_size=64))[: len(good) - at]
    raw = good[:at] + noise + good[at + len(noise) :]
    path.write_bytes(raw)
    try:
        table = table_of(path, entry.key)
        entry.verify()
    except (BadPages, Damaged):
        assert raw != good
        return
    finally:
        path.write_bytes(good)
    for offset, size in table:
        assert raw[offset : offset + size] == good[offset : offset + size]


@FUZZ
@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_refused(tmp_path, raw):
    path = tmp_path / "noise"
    for content in (raw, b"ORTMPAGE\2\0\0\0" + raw):
        path.write_bytes(content)
        with pytest.raises(BadPages):
            table_of(path)


def test_verify_finds_a_changed_byte_of_any_block_and_reports_its_progress(entry):
    store, path = Store(str(Path(entry.folder).parent)), Path(entry.path())
    entry.close()
    seen = []
    assert store.verify(entry.name, seen.append) is None
    assert sum(seen) == path.stat().st_size
    good = path.read_bytes()
    for offset, size in table_of(path, entry.key):
        spoilt = bytearray(good)
        spoilt[offset + size // 2] ^= 0x80
        path.write_bytes(spoilt)
        assert table_of(path, entry.key)  # the header is valid
        with pytest.raises(Damaged, match="pages"):
            Entry(store.folder, entry.name).verify()
    assert "pages" in store.verify(entry.name)
    assert store.entries() == []


def test_reading_leaves_the_position_alone(changed):
    with changed(bytes).open("rb", buffering=0) as file:
        file.seek(5)
        read_table(file.fileno(), KEY)
        assert file.tell() == 5
