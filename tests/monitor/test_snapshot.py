"""The models that processes hold, and their memory, by the kernel's own counts."""

import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import models
import numpy as np
import onnx
import pytest
from cache_entries import linux, needs_root
from monitor_workers import worker
from support import NOBODY, REPOSITORY, ask_python, run_python, smaps_rollup

from ortmmap.monitor import Model, Snapshot, snapshot
from ortmmap.monitor.model_files import EXTERNAL, GRAPH, MODEL, PAGES

pytestmark = linux

MIB = 1 << 20
WEIGHTS = models.weights(4, 1024)  # 16 MiB


def model_of(found: Snapshot, path: Path) -> Model:
    (model,) = (model for model in found.models if model.path == str(path))
    return model


def pids(model: Model) -> set[int]:
    return {holding.process.pid for holding in model.holdings}


@pytest.fixture
def weights_file(tmp_path: Path) -> Path:
    path = tmp_path / "weights.onnx"
    path.write_bytes(WEIGHTS)
    return path


def test_workers_share_one_copy_and_onnxruntime_has_its_own(tmp_path, weights_file):
    with ExitStack() as stack:
        shared = {stack.enter_context(worker(weights_file, tmp_path / "cache")) for _ in range(3)}
        uncached = stack.enter_context(worker(weights_file))
        other = stack.enter_context(worker(weights_file, kind="onnxruntime"))
        found = snapshot()
        rollups = {pid: smaps_rollup(pid) for pid in (*shared, uncached, other)}

    model = model_of(found, weights_file)
    assert pids(model) == {*shared, uncached}
    assert model.size == len(WEIGHTS)
    assert not model.deleted
    assert {file.kind for file in model.files} == {MODEL, PAGES}

    cached = [each.sizes for each in model.holdings if each.process.pid in shared]
    assert all(sizes.shared > 15 * MIB for sizes in cached)
    assert all(sizes.private < MIB for sizes in cached)
    assert all(sizes.mapped >= sizes.resident == sizes.shared + sizes.private for sizes in cached)
    copy = max(sizes.resident for sizes in cached)
    assert sum(sizes.proportional for sizes in cached) < 1.1 * copy
    assert model.unshared > 2.9 * copy
    assert model.physical == sum(each.sizes.proportional for each in model.holdings)

    alone = next(process for process in found.without_model if process.pid == other)
    assert alone.runtimes == ("onnxruntime",)
    assert alone.sizes.anonymous > 15 * MIB

    for process in found.processes:
        rollup = rollups.get(process.pid)
        if rollup is None:
            continue
        sizes = process.sizes
        assert sizes.resident == sizes.shared + sizes.private
        assert sizes.anonymous == pytest.approx(rollup["Anonymous"], rel=0.02)
        # The kernel drops pages of files meanwhile, and others map and unmap the same libraries.
        private = rollup["Private_Clean"] + rollup["Private_Dirty"]
        assert sizes.resident == pytest.approx(rollup["Rss"], abs=16 * MIB)
        assert sizes.proportional == pytest.approx(rollup["Pss"], abs=16 * MIB)
        assert sizes.private == pytest.approx(private, abs=16 * MIB)


def test_a_process_is_described(weights_file):
    with worker(weights_file) as pid:
        found = snapshot()
    (process,) = (each for each in found.processes if each.pid == pid)
    assert process.uid == os.geteuid()
    assert process.runtimes == ("ortmmap",)
    assert process.command.endswith(f"ortmmap {weights_file}")
    assert not process.is_elsewhere


def test_a_process_without_the_library_is_not_listed():
    code = "from ortmmap.monitor import snapshot; print([p.pid for p in snapshot().processes])"
    assert ask_python(f"import os, ortmmap; {code}; print(os.getpid())") not in ask_python(code)


def test_external_data_belongs_to_its_model(tmp_path):
    path, data = tmp_path / "sum.onnx", tmp_path / "weights.bin"
    added = models.constant("w", np.ones((512, 512), "f4"))  # no kernel prepacks it
    shape = [512, 512]
    content = models.build(
        [models.node("Add", "x w", "y")],
        [models.tensor("x", shape=shape)],
        [models.tensor("y", shape=shape)],
        [added],
    )
    proto = onnx.load_model_from_string(content)
    onnx.save_model(proto, path, save_as_external_data=True, location=data.name)
    with worker(path) as pid:
        found = snapshot()
    model = model_of(found, path)
    assert pids(model) == {pid}
    assert [(file.path, file.kind) for file in model.files] == [(str(data), EXTERNAL)]
    assert model.size == path.stat().st_size


def test_an_optimized_graph_belongs_to_its_model(tmp_path):
    path = tmp_path / "convolution.onnx"
    path.write_bytes(models.large_convolution())
    with worker(path, tmp_path / "cache"):
        pass
    with worker(path, tmp_path / "cache") as pid:
        found = snapshot()
    model = model_of(found, path)
    assert pids(model) == {pid}
    assert GRAPH in {file.kind for file in model.files}


def test_a_link_to_a_model_is_the_model(tmp_path, weights_file):
    link = tmp_path / "link.onnx"
    link.symlink_to(weights_file)
    with worker(weights_file, tmp_path / "cache") as first, worker(link, tmp_path / "cache") as pid:
        found = snapshot()
    assert pids(model_of(found, weights_file)) == {first, pid}


def test_a_replaced_model_is_another_model(tmp_path, weights_file):
    cache = tmp_path / "cache"
    with worker(weights_file, cache) as old:
        new = tmp_path / "new"
        content = bytearray(weights_file.read_bytes())
        content[len(content) // 2] ^= 1  # in a weight: a copy would share the old one's pages
        new.write_bytes(content)
        new.replace(weights_file)
        with worker(weights_file, cache) as young:
            found = [model for model in snapshot().models if model.path == str(weights_file)]
    assert {(model.deleted, *pids(model)) for model in found} == {(True, old), (False, young)}


def test_a_removed_cache_leaves_the_pages_with_their_model(tmp_path, weights_file):
    cache = tmp_path / "cache"
    with worker(weights_file, cache) as pid:
        shutil.rmtree(cache)
        model = model_of(snapshot(), weights_file)
    assert pids(model) == {pid}
    assert PAGES in {file.kind for file in model.files}


@needs_root
def test_paths_of_another_mount_namespace_name_the_same_model(tmp_path, weights_file):
    inside = tmp_path / "inside"
    inside.mkdir()
    script = f'mount --bind {tmp_path} {inside}; exec "$@"'
    contained = ("unshare", "--mount", "sh", "-c", script, "sh")
    cache = tmp_path / "cache"
    with (
        worker(weights_file, cache) as pid,
        worker(inside / weights_file.name, cache, before=contained) as other,
    ):
        found = snapshot()
    model = model_of(found, weights_file)
    assert pids(model) == {pid, other}
    assert {each.process.pid for each in model.holdings if each.process.is_elsewhere} == {other}
    assert model.physical < 1.1 * max(each.sizes.resident for each in model.holdings)


@needs_root
def test_containers_of_one_image_hold_one_model(tmp_path, ort_file):
    image = tmp_path / "image"
    image.mkdir()
    shutil.copy(ort_file, image / "model.ort")

    def contained(name: str) -> tuple[str, ...]:
        work = tmp_path / name
        layers = f"lowerdir={image},upperdir={work}/upper,workdir={work}/work"
        script = (
            f"mkdir -p {work}/upper {work}/work {tmp_path}/root; "
            f'mount -t overlay overlay -o {layers} {tmp_path}/root && exec "$@"'
        )
        return ("unshare", "--mount", "sh", "-c", script, "sh")

    path = tmp_path / "root/model.ort"
    with (
        worker(path, before=contained("one")) as first,
        worker(path, before=contained("two")) as second,
    ):
        found = snapshot()
    (model,) = (model for model in found.models if first in pids(model))
    assert pids(model) == {first, second}
    assert all(each.process.is_elsewhere for each in model.holdings)


@needs_root
def test_an_ordinary_user_sees_his_own_processes(public_path, weights_file):
    path = public_path / "model.onnx"
    shutil.copy(weights_file, path)
    user = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    if subprocess.run([*user, sys.executable, "-c", ""], check=False).returncode != 0:
        pytest.skip("other users may not read this interpreter's files")
    code = """
import json
from ortmmap.monitor import snapshot
from support import drop_privileges

drop_privileges()
found = snapshot()
print(json.dumps([[process.pid for process in found.processes], found.unreadable]))
"""
    with worker(weights_file) as roots, worker(path, before=user) as own:
        seen, unreadable = ask_python(code)
    assert own in seen
    assert roots not in seen
    assert unreadable > 0


def test_without_proc_it_raises(monkeypatch):
    monkeypatch.setattr(os, "listdir", lambda _path: (_ for _ in ()).throw(FileNotFoundError(2)))
    with pytest.raises(OSError):  # noqa: PT011 - whichever
        snapshot()


def test_importing_ortmmap_does_not_import_the_monitor():
    run_python("import sys, ortmmap; assert 'ortmmap.monitor' not in sys.modules")
    assert (REPOSITORY / "ortmmap/monitor").is_dir()
