"""Reading ahead: what is read into the page cache, what is not, and what a fork leaves."""

import os
import sys
import time
from pathlib import Path

import pytest
from support import descriptors, run_python

import ortmmap.runtime.memory_room
from benchmarks import page_cache
from ortmmap.model.mapping import Mapping
from ortmmap.model.read_ahead import read_ahead

SIZE = 48 << 20

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="whether a file is in memory shows on Linux alone"
)


def on_disk(path: Path, size: int = SIZE) -> Path:
    """Make a file of which no page is in memory."""
    path.write_bytes(os.urandom(1 << 20) * (size >> 20))
    page_cache.drop([path])
    with Mapping(path) as mapping:
        if mapping.resident():
            pytest.skip("the file system keeps files in memory")
    return path


def resident(path: Path) -> int:
    with Mapping(path) as mapping:
        return mapping.resident()


def sized(*paths: Path) -> list[tuple[str, int]]:
    return [(str(path), path.stat().st_size) for path in paths]


def wait_for(condition, seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def test_files_on_the_disk_are_read_and_closed(tmp_path):
    paths = [on_disk(tmp_path / name) for name in ("one", "two")]
    assert read_ahead(sized(*paths))
    assert wait_for(lambda: [resident(path) for path in paths] == [SIZE, SIZE])
    assert wait_for(lambda: not {*map(str, paths)} & set(descriptors()))
    assert not read_ahead(sized(*paths))  # they are in memory


def test_small_files_and_files_that_cannot_be_opened_are_left_out(tmp_path):
    small = on_disk(tmp_path / "small", 2 << 20)
    others = [(str(tmp_path / "missing"), SIZE), (str(tmp_path), SIZE)]
    assert not read_ahead([*sized(small), *others])
    assert resident(small) < 1 << 20
    assert str(small) not in descriptors()


def test_nothing_is_read_without_room(tmp_path, monkeypatch):
    path = on_disk(tmp_path / "file")
    monkeypatch.setattr(ortmmap.runtime.memory_room, "memory_room", lambda: 2 * SIZE - 1)
    assert not read_ahead(sized(path))
    assert resident(path) < SIZE // 2
    assert str(path) not in descriptors()
    monkeypatch.setattr(ortmmap.runtime.memory_room, "memory_room", lambda: 2 * SIZE)
    assert read_ahead(sized(path))
    assert wait_for(lambda: resident(path) == SIZE)


FORKED = """
import os, sys, warnings
from ortmmap.model.read_ahead import read_ahead

assert read_ahead([(sys.argv[1], 1 << 28)])
assert not read_ahead([(sys.argv[2], 1 << 28)])  # the thread is at work
warnings.simplefilter("ignore")  # Python 3.12 warns of any thread
child = os.fork()
if child == 0:
    open_files = {os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")}
    os._exit(sys.argv[1] in open_files or not read_ahead([(sys.argv[2], 1 << 28)]))
sys.exit(os.waitpid(child, 0)[1])
"""


def test_a_child_has_a_thread_of_its_own(tmp_path):
    paths = [on_disk(tmp_path / name, 256 << 20) for name in ("one", "two")]
    run_python(FORKED, *paths)
