"""The Dockerfile and the Kubernetes manifest of ``examples/containers``, as far as they are played.

The Dockerfile's instructions are executed, and the service is started in a container with the
manifest's user, groups, read-only root, variables, volumes and limits.
"""

import json
import os
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import models
import numpy as np
import pytest
import yaml
from containers import dockerfile
from containers.cgroup import Cgroup
from containers.image import REPOSITORY, Container, Image
from support import onnxruntime_session, wait_for_server

EXAMPLES = REPOSITORY / "examples" / "containers"
NEEDED = ("fastapi", "uvicorn")
_UNITS = {"Mi": 1 << 20, "Gi": 1 << 30}


@pytest.fixture(scope="module")
def content() -> bytes:
    """A model of 32 MiB with the input that the service feeds."""
    random = np.random.default_rng(0)
    wide = [random.standard_normal(shape, "f4") for shape in ((512, 8192), (8192, 512))]
    return models.build(
        [models.node("MatMul", "input u", "h"), models.node("MatMul", "h v", "output")],
        [models.tensor("input", shape=["batch", 512])],
        [models.tensor("output", shape=["batch", 512])],
        [models.constant(name, value) for name, value in zip("uv", wide, strict=True)],
    )


@pytest.fixture(scope="module")
def service(tmp_path_factory, content) -> Image:
    for name in NEEDED:
        pytest.importorskip(name)
    folder = tmp_path_factory.mktemp("service")
    context = folder / "context"
    context.mkdir()
    (context / "model.onnx").write_bytes(content)
    (context / "app.py").write_bytes((EXAMPLES / "app.py").read_bytes())
    built = dockerfile.built(EXAMPLES / "Dockerfile", context, folder / "build")
    return built.pulled(folder / "pulled")


def pod_of(manifest: dict, image: Image, folder: Path, group: Cgroup) -> Container:
    """Make the container that a Deployment's pods have."""
    pod = manifest["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    security = pod["securityContext"] | container["securityContext"]
    limits = container["resources"]["limits"]
    memory = limits["memory"]
    group.limit_memory(int(memory[:-2]) * _UNITS[memory[-2:]])
    group.limit_cpu(float(limits["cpu"]))
    volumes = {}
    for mount in container["volumeMounts"]:
        volume = folder / mount["name"]
        volume.mkdir(parents=True)
        os.chown(volume, 0, security["fsGroup"])
        volume.chmod(0o2775)
        volumes[volume] = mount["mountPath"]
    return Container(
        image,
        folder / "container",
        user=f"{security['runAsUser']}:{security['runAsGroup']}",
        groups=str(security["fsGroup"]),
        read_only=security["readOnlyRootFilesystem"],
        passwd=False,
        environment={one["name"]: one["value"] for one in container["env"]},
        volumes=volumes,
        cgroup=group,
    )


@contextmanager
def started(container: Container) -> Iterator[str]:
    """Start the command of the container's image on a free port, and yield its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = container.start(container.image.command, UVICORN_PORT=str(port))
    try:
        wait_for_server(port, process.child, process.errors)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()


def asked(url: str, body: object = None) -> object:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def test_the_image_runs_as_the_manifest_says(service, content, tmp_path, groups):
    manifest = yaml.safe_load((EXAMPLES / "deployment.yaml").read_text())
    numbers = np.linspace(-1, 1, 512, dtype="f4")
    session = onnxruntime_session(content)
    (expected,) = session.run(None, {"input": numbers[np.newaxis]})
    for index, group in enumerate(groups):
        pod = pod_of(manifest, service, tmp_path / str(index), group)
        with started(pod) as url:
            assert asked(f"{url}/ready") == {"cache": "shared"}
            found = asked(f"{url}/run", {"numbers": numbers.tolist()})
            assert np.array(found, "f4").tolist() == expected[0].tolist()
        assert group.kills() == 0
