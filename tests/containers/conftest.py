"""An image with a model, baked and unbaked; tests are skipped where nothing can be mounted."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import models
import pytest
from containers import cgroup, image
from containers.cgroup import Cgroup
from containers.image import Container, Image
from containers.inside import digest, feeds
from containers.openings import BAKE, CACHE, MODEL
from support import onnxruntime_session


@pytest.fixture(scope="session", autouse=True)
def _can_mount() -> None:
    if reason := image.denied():
        pytest.skip(reason)


@pytest.fixture(scope="session")
def weights() -> bytes:
    """A model of 40 MiB, whose kernels prepack all of it."""
    return models.weights(10, 1024)


@pytest.fixture(scope="session")
def expected(weights) -> str:
    """The result of onnxruntime."""
    session = onnxruntime_session(weights)
    return digest(session.run(None, feeds(session)))


@pytest.fixture(scope="session")
def unbaked(tmp_path_factory, weights) -> Image:
    """An image with the model, and without a cache."""
    folder = tmp_path_factory.mktemp("unbaked")
    (folder / "layer" / "models").mkdir(parents=True)
    (folder / "layer").chmod(0o755)
    (folder / "layer" / MODEL.lstrip("/")).write_bytes(weights)
    return Image.base(folder / "base").with_layer(folder / "layer")


@pytest.fixture(scope="session")
def baked(tmp_path_factory, unbaked) -> Image:
    """The image after ``RUN python -m ortmmap cache bake``, as it is pulled from a registry."""
    folder = tmp_path_factory.mktemp("baked")
    build = Container(unbaked, folder / "build")
    build.run(BAKE)
    built = unbaked.with_layer(build.upper).with_environment(ORTMMAP_SYSTEM_CACHE=CACHE)
    return built.pulled(folder / "pulled")


@pytest.fixture
def container(tmp_path) -> Callable[..., Container]:
    """Make a container of an image, with an upper layer of its own."""
    made = iter(range(100))

    def make(of: Image, **settings: object) -> Container:
        return Container(of, tmp_path / f"container-{next(made)}", **settings)

    return make


@pytest.fixture
def groups(tmp_path: Path) -> Iterator[tuple[Cgroup, Cgroup]]:
    """Two control groups of the test's own."""
    with ExitStack() as stack:
        name = f"ortmmap-{tmp_path.parent.name}-{tmp_path.name}"
        try:
            made = [stack.enter_context(cgroup.made(f"{name}-{index}")) for index in range(2)]
        except OSError as error:
            pytest.skip(f"no control group can be made: {error}")
        yield tuple(made)


@pytest.fixture
def group(groups: tuple[Cgroup, Cgroup]) -> Cgroup:
    return groups[0]


@pytest.fixture
def other_group(groups: tuple[Cgroup, Cgroup]) -> Cgroup:
    return groups[1]
