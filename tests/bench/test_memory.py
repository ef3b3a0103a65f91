"""The memory of processes, its peak, and the page cache."""

import mmap
import os
import threading
import time

import pytest

from benchmarks import memory, page_cache

WAIT_SECONDS = 30


def test_a_sampler_keeps_the_most():
    sizes = iter([3, 9, 4])
    ended = threading.Event()

    def read():
        size = next(sizes, None)
        if size is None:
            ended.set()
        return size

    with memory.sampled(read, 0.0) as peak:
        assert ended.wait(WAIT_SECONDS)
    assert peak.nbytes == 9


def test_a_sampler_samples_at_least_once():
    with memory.sampled(lambda: 5, 60.0) as peak:
        pass
    assert peak.nbytes == 5


def test_the_peak_of_memory_that_has_gone():
    nbytes = 1 << 26
    before = memory.not_of_files(os.getpid())
    if before is None:
        pytest.skip("this system does not count cheaply what is private")
    private = {}
    if hasattr(mmap, "MAP_PRIVATE"):
        private["flags"] = mmap.MAP_ANONYMOUS | mmap.MAP_PRIVATE
    # Not malloc's: that may give what is resident already, freed by whoever ran before.
    with memory.peak_private([os.getpid()]) as peak, mmap.mmap(-1, nbytes, **private) as held:
        held.write(b"1" * nbytes)
        deadline = time.monotonic() + WAIT_SECONDS
        while (peak.nbytes or 0) < before + nbytes // 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert peak.nbytes >= before + nbytes // 2


@pytest.mark.skipif(not hasattr(mmap, "MAP_PRIVATE"), reason="this system has no mmap(2)")
@pytest.mark.parametrize("private", [True, False])
def test_memory_is_private_unless_it_could_be_shared(private):
    nbytes = 1 << 26
    flags = mmap.MAP_ANONYMOUS | (mmap.MAP_PRIVATE if private else mmap.MAP_SHARED)
    before = memory.memory(os.getpid())
    with mmap.mmap(-1, nbytes, flags=flags) as held:
        held.write(b"1" * nbytes)
        after = memory.memory(os.getpid())
    added = after.private - before.private
    assert added >= nbytes // 2 if private else added < nbytes // 2
    assert after.rss >= nbytes
    if after.pss is not None:
        assert nbytes <= after.pss <= after.rss


def test_a_process_that_has_gone_has_no_sum():
    assert memory._total(memory.not_of_files, [2**22 + 1]) is None
    assert memory.total_pss([2**22 + 1]) is None


def test_page_faults_are_counted():
    before = memory.page_faults()
    with mmap.mmap(-1, 1 << 24) as held:
        held.write(b"1" * (1 << 24))
    assert memory.page_faults() > before


# The page cache


def cached(path):
    """Return whether a file's first page is in memory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.preadv(descriptor, [bytearray(1)], 0, os.RWF_NOWAIT) == 1
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)


@pytest.mark.skipif(not hasattr(os, "RWF_NOWAIT"), reason="preadv2(2) is Linux's")
def test_files_and_folders_are_dropped_and_read(tmp_path):
    (tmp_path / "folder").mkdir()
    paths = [tmp_path / "file", tmp_path / "folder" / "inside"]
    for path in paths:
        path.write_bytes(os.urandom(1 << 20))
    wanted = [tmp_path / "file", tmp_path / "folder", tmp_path / "missing"]
    page_cache.read(wanted)
    try:
        assert all(map(cached, paths))
    except OSError as error:
        pytest.skip(f"this file system does not tell: {error}")
    page_cache.drop(wanted)
    if any(map(cached, paths)):
        pytest.skip("this file system keeps its pages, as tmpfs does")
    page_cache.read(wanted)
    assert all(map(cached, paths))
