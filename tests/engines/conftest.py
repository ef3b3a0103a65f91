"""Paths and models for the tests with real engines."""

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import NamedTuple

import models
import numpy as np
import pytest
from support import onnxruntime_session

import ortmmap

WIDTH = 512  # 8 layers are 8 MiB


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with input h0 and output h8, both of shape (batch, 512)."""
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    path.write_bytes(models.weights(8, WIDTH))
    return path


@pytest.fixture(scope="session")
def rows() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((120, WIDTH), "f4")


@pytest.fixture(scope="session")
def answers(model_file: Path, rows: np.ndarray) -> np.ndarray:
    """onnxruntime's outputs for `rows`."""
    return onnxruntime_session(model_file).run(None, {"h0": rows})[0]


@pytest.fixture(scope="session")
def engine_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables with which an engine's processes find ortmmap, and a cache of their own."""
    repository = Path(ortmmap.__file__).parent.parent
    return {
        "PYTHONPATH": os.pathsep.join([str(repository), str(repository / "tests")]),
        "ORTMMAP_CACHE": "1",
        "ORTMMAP_CACHE_DIR": str(tmp_path_factory.mktemp("node") / "cache"),
        "ORT_DISABLE_TELEMETRY": "1",
    }


class Server(NamedTuple):
    """A web server of the folder of `model_file`, and the paths that it was asked for."""

    url: str
    gets: list[str]


@pytest.fixture
def served(model_file: Path) -> Iterator[Server]:
    pytest.importorskip("aiohttp", reason="fsspec needs aiohttp for a URL of the web")
    gets: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            gets.append(self.path)
            super().do_GET()

        def log_message(self, *_: object) -> None:
            pass

    folder = str(model_file.parent)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder))
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield Server(f"http://127.0.0.1:{server.server_port}/{model_file.name}", gets)
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="session")
def full_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file system of 1 MiB, which has no room for a model."""
    path = tmp_path_factory.mktemp("full")
    command = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", str(path)]
    if not sys.platform.startswith("linux") or subprocess.run(command, check=False).returncode:
        pytest.skip("a file system cannot be mounted")
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)
