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

from ortmmap.cache.pages import ALIGNMENT, BadPages, read_ahead, read_table, verify, write_pages

KEY = bytes(range(32))
SIZES = (65536, 1, 200_000, 65537)
FUZZ = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
HEADER = 64 + 24 * len(SIZES) + 16


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


def verified(path: Path) -> None:
    with path.open("rb") as file:
        verify(file.fileno())


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
    raw = path.read_bytes()
    table = table_of(path)
    assert [size for _, size in table] == sizes
    for block, (offset, size) in zip(blocks, table, strict=True):
        assert offset % ALIGNMENT == 0
        assert raw[offset : offset + size] == block.tobytes()
    verified(path)


def test_a_block_larger_than_a_write_comes_back(tmp_path, monkeypatch):
    monkeypatch.setattr("ortmmap.cache.pages.WRITE_BYTES", 1 << 17)
    blocks = blocks_of((1_000_003, 70_000))
    path = written(tmp_path / "pages", blocks)
    (first, size), _ = table_of(path)
    assert path.read_bytes()[first : first + size] == blocks[0].tobytes()
    verified(path)


def test_writes_that_the_system_cuts_short_are_continued(tmp_path, monkeypatch):
    whole = os.writev

    def short(fd, pieces):
        return whole(fd, [memoryview(b"".join(pieces))[:40_001]])

    monkeypatch.setattr(os, "writev", short)
    path = written(tmp_path / "pages", blocks_of(SIZES))
    monkeypatch.undo()
    verified(path)


def test_writes_are_large_and_one_after_another(tmp_path, monkeypatch):
    sizes = []
    whole = os.writev

    def counted(fd, pieces):
        sizes.append(whole(fd, pieces))
        return sizes[-1]

    monkeypatch.setattr(os, "writev", counted)
    written(tmp_path / "pages", [np.zeros(3_000_000, "u1")] * 20)
    assert all(size >= 8 << 20 for size in sizes[:-1])


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
    "version 2": (8, struct.pack("<I", 2)),
    "no blocks": (12, struct.pack("<I", 0)),
    "too many blocks": (12, struct.pack("<I", (1 << 32) - 1)),
    "one block less": (12, struct.pack("<I", len(SIZES) - 1)),
    "reserved": (24, b"\1"),
    "another size": (16, struct.pack("<Q", 1 << 40)),
    "first block in the header": (64, struct.pack("<Q", 0)),
    "first block not aligned": (64, struct.pack("<Q", ALIGNMENT + 4096)),
    "first block later": (64, struct.pack("<Q", 2 * ALIGNMENT)),
    "overlap": (64 + 24, struct.pack("<Q", ALIGNMENT)),
    "empty block": (64 + 8, struct.pack("<Q", 0)),
    "block beyond the end": (64 + 24 * 3 + 8, struct.pack("<Q", 1 << 30)),
    "block that wraps around": (64 + 24 * 3 + 8, struct.pack("<Q", (1 << 64) - 1)),
    "shorter block": (64 + 24 * 3 + 8, struct.pack("<Q", 3)),
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


@FUZZ
@given(st.data())
def test_corruption_is_refused_or_harmless(changed, good, data):
    at = data.draw(st.integers(0, HEADER) | st.integers(0, len(good) - 1))
    noise = data.draw(st.binary(min_size=1, max_size=64))

    def spoil(raw):
        raw[at : at + len(noise)] = noise[: len(raw) - at]

    path = changed(spoil)
    try:
        table = table_of(path)
        verified(path)
    except BadPages:
        return
    raw = path.read_bytes()
    for offset, size in table:
        assert raw[offset : offset + size] == good[offset : offset + size]


@FUZZ
@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_refused(tmp_path, raw):
    path = tmp_path / "noise"
    for content in (raw, b"ORTMPAGE\1\0\0\0" + raw):
        path.write_bytes(content)
        with pytest.raises(BadPages):
            table_of(path)


def test_verify_names_the_block_and_tells_its_progress(changed):
    seen = []
    with changed(bytes).open("rb") as file:
        verify(file.fileno(), seen.append)
    assert sum(seen) == sum(SIZES)

    def spoil(raw):
        raw[ALIGNMENT + 7] ^= 0x80

    path = changed(spoil)
    assert table_of(path)  # the header is whole
    with pytest.raises(BadPages, match=str(ALIGNMENT)):
        verified(path)


def test_reading_leaves_the_position_alone(changed):
    with changed(bytes).open("rb", buffering=0) as file:
        file.seek(5)
        read_ahead(file.fileno())
        read_table(file.fileno(), KEY)
        verify(file.fileno())
        assert file.tell() == 5
