import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

os.environ["ORTMMAP_CACHE"] = "0"  # tests of the cache name a folder
os.environ["ORTMMAP_SYSTEM_CACHE"] = ""  # the machine's is no part of the tests
sys.path.insert(0, str(Path(__file__).parent))  # models and support
sys.path.append(str(Path(__file__).parent.parent))  # benchmarks

import models
from support import to_ort

from ortmmap import errors

pytest_plugins = ["emulation", "installed"]


@pytest.fixture(autouse=True)
def _nothing_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each test see the warnings that a process issues once."""
    monkeypatch.setattr(errors, "_warned", set())


@pytest.fixture(scope="session")
def affine() -> bytes:
    """y = relu(x @ w + b), in ORT format."""
    return to_ort(models.affine())


@pytest.fixture
def ort_file(tmp_path: Path, affine: bytes) -> Path:
    path = tmp_path / "model.ort"
    path.write_bytes(affine)
    return path


@pytest.fixture
def onnx_file(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(models.affine())
    return path


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write bytes to a file of this test, and return its path."""

    def write_bytes(content: bytes, name: str = "other.ort") -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write_bytes


@pytest.fixture
def public_path() -> Iterator[Path]:
    """A folder that every user may enter, unlike pytest's own."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    yield path
    path.chmod(0o755)
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def big_ort_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of 64 MiB of weights, in ORT format."""
    path = tmp_path_factory.mktemp("big") / "big.ort"
    path.write_bytes(to_ort.__wrapped__(models.weights(16, 1024)))
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return path
