"""Children that a process forks."""

import os
import time

import pytest

from benchmarks import forks

WAIT_SECONDS = 30

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


def test_children_work_and_hold_until_the_block_ends():
    with forks.forked(lambda index: [index, os.getpid()], 3) as results:
        assert [index for index, _ in results] == [0, 1, 2]
        pids = {pid for _, pid in results}
        assert len(pids | {os.getpid()}) == 4
        for pid in pids:
            os.kill(pid, 0)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_child_that_hangs_ends_or_fails_has_no_result(monkeypatch, capfd):
    monkeypatch.setattr(forks, "_LONGEST_SECONDS", WAIT_SECONDS)

    def fail(_index):
        raise ValueError("its own reason")

    with forks.forked(fail, 1) as results:
        assert results == [None]
    assert "its own reason" in capfd.readouterr().err
    with forks.forked(lambda _: os._exit(3), 1) as results:
        assert results == [None]
    monkeypatch.setattr(forks, "_LONGEST_SECONDS", 0.05)
    with forks.forked(lambda _: time.sleep(WAIT_SECONDS), 1) as results:
        assert results == [None]
