"""Sessions in memory cgroups: what they need, and who pays for pages that they share."""

from dataclasses import replace
from pathlib import Path

import models
import pytest
from containers.image import Process
from containers.limits import MIB, Workers, copy_packages, drop_from_page_cache

from benchmarks.models import Store

# One of 4 workers on BERT-base is killed in this limit with onnxruntime, of all versions, even if
# they do not open at once; see docs/containers.md for the smallest limits.
TOO_LITTLE_FOR_ONNXRUNTIME = 1728 * MIB
OPEN = """
import sys
import ortmmap
from containers.inside import feeds, open_as, say, wait

ortmmap.get_version_string()
say("imported")
wait()
session = open_as(*sys.argv[1:3])
say([session.cached.state, session.memory()._asdict()])
wait()
session.run(None, feeds(session))
say("ran")
wait()
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory) -> Path:
    return copy_packages(tmp_path_factory.mktemp("packages"))


@pytest.fixture(scope="module")
def workers(tmp_path_factory, packages) -> Workers:
    """One worker on 128 MiB of weights, all of which are prepacked, with a filled cache."""
    folder = tmp_path_factory.mktemp("limits")
    (folder / "model.onnx").write_bytes(models.weights(32, 1024))
    one = Workers("ortmmap", folder / "model.onnx", folder / "cache", packages, 1)
    one.fill_cache()
    return one


@pytest.fixture(scope="module")
def bert(tmp_path_factory, packages) -> Workers:
    """Four workers on BERT-base with a filled cache."""
    folder = tmp_path_factory.mktemp("bert")
    model = Store(folder).onnx("bert_base")
    four = Workers("ortmmap", model, folder / "cache", packages, 4)
    four.fill_cache()
    return four


@pytest.fixture(autouse=True)
def _can_limit(group) -> None:
    """Skip the tests where no control group can be made."""


def test_an_opening_is_not_killed_within_what_memory_promises(workers, group):
    with workers.started(group, OPEN) as (process,):
        process.answer()
        before, _ = group.charged_by_kind()
        process.go_on()
        state, memory = process.answer()
    assert state == "shared"
    assert memory["private"] <= MIB
    # Beside what it promises: Python and the library as they are when imported, ONNX Runtime's
    # own objects, and pages of files that the kernel need not read again and again.
    limit = before + memory["private"] + 48 * MIB
    assert limit < workers.model.stat().st_size
    group.limit_memory(limit)
    drop_from_page_cache([workers.model, workers.cache, workers.packages])
    with workers.started(group, OPEN) as (process,):
        for _ in range(3):
            process.answer()
            process.go_on()
        assert process.end() == ""
    assert group.kills() == 0
    assert not replace(workers, module="onnxruntime").attempt(limit).completed


def test_the_first_to_touch_pays_for_pages_that_groups_share(workers, group, other_group):
    drop_from_page_cache([workers.model, workers.cache])
    size = workers.model.stat().st_size
    with workers.started(group, OPEN) as (first,):
        run(first)
        with workers.started(other_group, OPEN) as (second,):
            run(second)
            paid, free = (one.charged_by_kind()[1] for one in (group, other_group))
            assert paid >= size
            assert free <= size // 10
    assert group.charged_by_kind()[1] >= size  # also when its processes have ended


def test_pages_in_memory_volumes_are_charged_and_stay(group, tmp_path):
    """A tmpfs, such as an emptyDir of medium Memory; pages of a disk's file are given up."""
    for kind, folder in (("tmpfs", Path("/dev/shm")), ("disk", tmp_path)):
        path = folder / f"ortmmap-{tmp_path.name}"
        write = 'head -c 67108864 /dev/zero > "$0"; sync "$0"'
        try:
            assert Process(group.command(["sh", "-c", write, path])).end() == ""
            charged = group.charged_by_kind()[1]
            assert charged >= 64 * MIB
            drop_from_page_cache([path])
            left = group.charged_by_kind()[1]
            assert left >= charged - MIB if kind == "tmpfs" else left <= charged - 60 * MIB
        finally:
            path.unlink()


@pytest.mark.slow
def test_four_workers_complete_in_an_eighth_of_what_onnxruntime_needs(bert):
    assert bert.attempt(TOO_LITTLE_FOR_ONNXRUNTIME // 8).completed
    assert not replace(bert, module="onnxruntime").attempt(TOO_LITTLE_FOR_ONNXRUNTIME).completed


@pytest.mark.slow
def test_four_workers_run_from_memory_in_a_third_of_what_onnxruntime_needs(bert):
    """Little is read from disk then, so that runs are as fast as without a limit."""
    found = bert.attempt(540 * MIB, rounds=6)
    assert found.completed
    assert found.read <= bert.model.stat().st_size // 10


def run(process: Process) -> None:
    for _ in range(3):
        answer = process.answer()
        if answer != "ran":
            process.go_on()
