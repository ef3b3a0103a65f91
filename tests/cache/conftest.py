import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cache_entries import key_of

from ortmmap.cache import folder as cache_folder
from ortmmap.cache.store import Key, Store, open_store


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Forget earlier warnings, and leave the user's own cache alone."""
    monkeypatch.setattr(cache_folder, "_warned", set())
    names = ("CACHE", "CACHE_LIMIT", "CACHE_WAIT", "CACHE_DIR", "SYSTEM_CACHE")
    for name in (f"ORTMMAP_{each}" for each in names):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "cache")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"weights" * 1000)
    return path


@pytest.fixture
def key(model: Path) -> Key:
    return key_of(model)


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mount in-memory file systems, and unmount them after the test."""
    points = []

    def mount(*options: str, point: str = "mounted") -> Path:
        path = tmp_path / point
        path.mkdir(exist_ok=True)
        subprocess.run(["mount", *options, path], check=True, capture_output=True)
        points.append(path)
        return path

    yield mount
    for path in reversed(points):
        subprocess.run(["umount", "--lazy", path], check=False)
