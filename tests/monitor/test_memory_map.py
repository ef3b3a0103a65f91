"""Regions of a process, as smaps has them."""

import mmap
import os

from cache_entries import linux

from ortmmap.monitor.memory_map import Sizes, mapped_paths, regions, total

pytestmark = linux

PAGE = mmap.PAGESIZE


def test_a_mapped_file_is_found_with_its_sizes(tmp_path):
    path = tmp_path / "a name (deleted)\nwith a line: 1-2 r-xp"
    path.write_bytes(bytes(4 * PAGE))
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE) as mapped:
        mapped[0] = mapped[PAGE]
        assert str(path) in mapped_paths(os.getpid())
        (region,) = (each for each in regions(os.getpid()) if each.path == str(path))
        assert region.inode == path.stat().st_ino
        assert not region.deleted
        assert region.permissions == "rw-p"
        assert region.sizes.mapped == 4 * PAGE
        assert 2 * PAGE <= region.sizes.resident <= 4 * PAGE
        assert region.sizes.anonymous == PAGE
        assert region.sizes.shared + region.sizes.private == region.sizes.resident


def test_a_file_without_a_name_is_marked(tmp_path):
    path = tmp_path / "gone"
    path.write_bytes(bytes(PAGE))
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ):
        path.unlink()
        (region,) = (each for each in regions(os.getpid()) if each.path == str(path))
        assert region.deleted


def test_sizes_are_added_field_by_field():
    assert total([Sizes(1, 2, 3, 4, 5, 6, 7), Sizes(mapped=10)]) == Sizes(11, 2, 3, 4, 5, 6, 7)
