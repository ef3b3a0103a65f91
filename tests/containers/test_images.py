"""Sessions in containers of an image: another user, a read-only root, no home, no /proc."""

import os
from pathlib import Path

import models
import numpy as np
import onnx
import pytest
from containers.inside import digest, feeds
from containers.openings import (
    BAKE,
    CACHE,
    MODEL,
    OPEN,
    SHARED,
    Opening,
    complaints,
    opened,
    opened_on_the_host,
)
from support import onnxruntime_session

RESTRICTED = {"user": "1001:0", "read_only": True}
BARE = {"passwd": False, "proc": False}


@pytest.fixture(scope="module")
def host(tmp_path_factory, weights) -> tuple[Path, Path]:
    """A model on the host, and its filled cache."""
    folder = tmp_path_factory.mktemp("host")
    (folder / "model.onnx").write_bytes(weights)
    paths = folder / "model.onnx", folder / "cache"
    with opened_on_the_host(*paths):
        return paths


@pytest.fixture(scope="module")
def most_read(host, weights) -> int:
    """Two per cent of the model more than the host reads for an opening from a filled cache."""
    with opened_on_the_host(*host) as opening:
        assert opening.cached == SHARED
        return opening.read + len(weights) // 50


@pytest.mark.parametrize("settings", [RESTRICTED, {}, RESTRICTED | BARE, BARE], ids=str)
def test_a_baked_model_is_shared_and_not_read_by_any_container(
    baked, container, settings, expected, most_read
):
    for _ in range(2):
        with opened(container(baked, **settings)) as opening:
            assert opening.cached == SHARED
            assert opening.result == expected
            assert opening.read <= most_read


def test_sessions_write_nothing_into_a_container_of_a_baked_image(baked, container):
    one = container(baked, environment={"HOME": "/root"})
    with opened(one) as opening:
        assert opening.cached == SHARED
    assert [path for path in one.upper.rglob("*") if path.is_file()] == []


def test_every_user_finds_what_root_has_baked(baked, container):
    for user in ("0:0", "1001:0", "1000650000:0", "1001:1001"):
        with opened(container(baked, user=user, groups="2000")) as opening:
            assert opening.cached == SHARED


def test_containers_of_one_image_hold_what_processes_on_the_host_hold(baked, container, host):
    first, second = (container(baked, **RESTRICTED) for _ in range(2))
    with (
        opened(first) as one,
        opened(second) as two,
        opened_on_the_host(*host) as three,
        opened_on_the_host(*host) as four,
    ):
        inside, outside = (
            sum(opening.process.pss() for opening in pair) for pair in ((one, two), (three, four))
        )
        assert inside <= 1.1 * outside


def test_a_model_that_replaces_another_of_equal_size_and_time_is_computed_itself(
    baked, container, tmp_path, weights
):
    """As builds do that set all times to one moment, ``SOURCE_DATE_EPOCH``."""
    layer = tmp_path / "layer"
    replaced = layer / MODEL.lstrip("/")
    replaced.parent.mkdir(parents=True)
    model = onnx.load_model_from_string(weights)
    retrained = model.graph.initializer[4]
    retrained.raw_data = (-np.frombuffer(retrained.raw_data, "f4")).tobytes()
    other = model.SerializeToString()
    assert len(other) == len(weights)
    replaced.write_bytes(other)
    (original,) = (path for one in baked.layers if (path := one / MODEL.lstrip("/")).exists())
    time = original.stat().st_mtime_ns
    os.utime(replaced, ns=(time, time))
    session = onnxruntime_session(other)
    with opened(container(baked.with_layer(layer).pulled(tmp_path / "pulled"))) as opening:
        assert opening.result == digest(session.run(None, feeds(session)))


def test_baking_again_makes_nothing(baked, container):
    build = container(baked)
    build.run(BAKE)
    made = [path for path in build.upper.rglob("*") if path.is_file()]
    assert made == []


def test_a_cache_that_its_user_has_warmed_in_the_image_is_not_read_either(
    unbaked, container, tmp_path, expected, most_read
):
    """``USER`` and ``cache warm`` in a Dockerfile, and a container that runs as the same user."""
    build = container(unbaked, environment={"HOME": "/tmp"}, user="1001:0")
    build.run(["python", "-m", "ortmmap", "cache", "--dir", "/tmp/cache", "warm", MODEL])
    image = unbaked.with_layer(build.upper).pulled(tmp_path / "pulled")
    image = image.with_environment(ORTMMAP_CACHE_DIR="/tmp/cache")
    for read_only in (True, False):
        with opened(container(image, user="1001:0", read_only=read_only)) as opening:
            assert opening.cached == SHARED
            assert opening.result == expected
            assert opening.read <= most_read


@pytest.mark.parametrize("build", [models.large_convolution, models.transformer])
def test_without_proc_nothing_is_logged_as_an_error(unbaked, container, tmp_path, build):
    """Of models whose weights the optimizer reads, too."""
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "model.onnx").write_bytes(build())
    session = onnxruntime_session(build())
    started = container(unbaked, **BARE, volumes={volume: "/volume"})
    opening = Opening(started.python(OPEN, "ortmmap", "/volume/model.onnx"))
    assert [line for line in complaints(opening.end()) if "[E:onnxruntime" in line] == []
    assert opening.result == digest(session.run(None, feeds(session)))


def test_a_cache_is_refused_where_anybody_may_write(baked, container, expected):
    """With a warning that names it; the session opens from the model."""
    spoil = f'chmod 0777 {CACHE}; exec python -c "$0" ortmmap {MODEL}'
    opening = Opening(container(baked, passwd=False).start(["sh", "-c", spoil, OPEN]))
    assert opening.cached["state"] != "shared"
    assert opening.result == expected
    assert CACHE in opening.end()
