"""A processor is idle where fewer threads run than the machine has processors."""

import os

import pytest
from cache_entries import linux

from ortmmap.runtime.idle_processor import has_idle_processor

pytestmark = linux


@pytest.mark.parametrize(
    ("running", "processors", "allowed"), [(1, 2, 2), (9, 64, 4), (63, 64, 64)]
)
def test_a_processor_is_idle(tmp_path, monkeypatch, running, processors, allowed):
    assert is_idle(tmp_path, monkeypatch, running, processors, allowed)


@pytest.mark.parametrize(
    ("running", "processors", "allowed"), [(2, 2, 2), (70, 64, 64), (1, 2, 1), (1, 1, 1)]
)
def test_no_processor_is_idle(tmp_path, monkeypatch, running, processors, allowed):
    assert not is_idle(tmp_path, monkeypatch, running, processors, allowed)


def is_idle(folder, patch, running, processors, allowed):
    path = folder / "loadavg"
    path.write_text(f"0.12 3.45 6.78 {running}/321 4567\n")
    patch.setattr(os, "cpu_count", lambda: processors)
    patch.setattr(os, "sched_getaffinity", lambda _: set(range(allowed)))
    return has_idle_processor(str(path))


def test_without_proc_none_is(tmp_path):
    assert has_idle_processor(str(tmp_path / "missing")) is False


@pytest.mark.parametrize("text", ["", "0.12 3.45 6.78", "0.12 3.45 6.78 some 4567"])
def test_of_a_file_that_says_nothing_none_is(tmp_path, text):
    path = tmp_path / "loadavg"
    path.write_text(text)
    assert has_idle_processor(str(path)) is False


def test_this_machine_can_be_asked():
    assert has_idle_processor() in (True, False)
