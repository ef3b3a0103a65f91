"""Containers that share a volume: what they file, and what they hold in memory together."""

import os
from pathlib import Path

import pytest
from containers.image import Container
from containers.openings import MODEL, OPEN


@pytest.fixture
def volume(tmp_path):
    """A folder of the node that containers mount, and the variables that name it."""
    folder = tmp_path / "volume"
    folder.mkdir()
    settings = {
        "volumes": {folder: "/cache"},
        "environment": {"ORTMMAP_CACHE_DIR": "/cache/ortmmap"},
    }
    return folder, settings


def entries(folder: Path) -> list[str]:
    return sorted(path.name.split("-")[0] for path in folder.glob("ortmmap/*-*") if path.is_dir())


def opened_together(containers: list[Container]) -> list[str]:
    """Open in all containers at once, and return the states, once all have written."""
    processes = [one.python(OPEN, "ortmmap", MODEL) for one in containers]
    try:
        assert [process.answer() for process in processes] == ["imported"] * len(processes)
        for process in processes:
            process.go_on()
        states = [process.answer()["state"] for process in processes]
        for process in processes:
            process.go_on()
            process.answer()
            process.go_on()
            assert process.end() == ""
        return states
    finally:
        for process in processes:
            process.kill()


def test_containers_that_start_together_file_one_entry_and_share_it(unbaked, container, volume):
    folder, settings = volume
    states = opened_together([container(unbaked, **settings) for _ in range(2)])
    assert states == ["shared", "shared"]
    assert entries(folder) == ["model", "pages"]


def test_a_container_that_starts_later_finds_the_entry(unbaked, container, volume):
    folder, settings = volume
    opened_together([container(unbaked, **settings)])
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("graph.onnx")}
    assert opened_together([container(unbaked, **settings)]) == ["shared"]
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("graph.onnx")} == before
    assert entries(folder) == ["model", "pages"]


def test_a_user_files_into_a_volume_that_a_group_may_write(unbaked, container, volume):
    """As Kubernetes makes them for an ``fsGroup``: of root, the group's, mode 2775."""
    folder, settings = volume
    os.chown(folder, 0, 2000)
    folder.chmod(0o2775)
    restricted = {"user": "1001:0", "groups": "2000", "read_only": True, "passwd": False}
    containers = [container(unbaked, **restricted, **settings) for _ in range(2)]
    assert opened_together(containers) == ["shared", "shared"]
    assert entries(folder) == ["model", "pages"]
