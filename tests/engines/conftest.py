"""Paths and models for the tests with real engines."""

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import models
import numpy as np
import pytest
from support import onnxruntime_session

import ortmmap

WIDTH = 512  # 8 layers are 8 MiB
STORE_BYTES = 80 << 20  # of a node of Ray, about the least that it takes


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
        # Fewer processes of Ray: no statistics, and no workers before there is work.
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_prestart_worker_first_driver": "0",
    }


class Raylets:
    """A Ray cluster of two nodes, each with a cache of its own."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        from ray.cluster_utils import Cluster

        self.folder = folder
        self._environment = environment
        self._cluster = Cluster()
        for name in ("first", "second"):
            self.add(name)
        self.address = self._cluster.address

    def cache(self, name: str) -> Path:
        return self.folder / name / "cache"

    def add(self, name: str, cache: Path | None = None) -> Any:
        """Add a node of two CPUs, and of a resource that is called as the node is."""
        variables = {"NODE": name, "ORTMMAP_CACHE_DIR": str(cache or self.cache(name))}
        return self._cluster.add_node(
            num_cpus=2,
            object_store_memory=STORE_BYTES,
            resources={name: 100},
            include_dashboard=False,
            include_log_monitor=False,
            no_monitor=True,  # it would add nodes
            env_vars={**self._environment, **variables},
        )

    def remove(self, node: Any) -> None:
        self._cluster.remove_node(node)

    def shutdown(self) -> None:
        self._cluster.shutdown()


@pytest.fixture(scope="session")
def ray_cluster(tmp_path_factory, engine_environment) -> Iterator[Raylets]:
    """A cluster for all tests with Ray, whose drivers are this process and programs of tests."""
    pytest.importorskip("ray.data", reason="ray's data is not installed")
    patient = {"RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60"}  # of a busy machine
    made = Raylets(tmp_path_factory.mktemp("nodes"), {**engine_environment, **patient})
    yield made
    made.shutdown()


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
