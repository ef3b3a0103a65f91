"""Sessions start as many threads as the system grants to the process, where nobody has said."""

import contextlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path

import models
import pytest
from cache_entries import linux
from forking import PREAMBLE
from support import ask_python, run_python

from ortmmap.runtime import quota
from ortmmap.runtime.quota import Quotas, grant, granted_threads, threads_within

MOUNTED = Path("/sys/fs/cgroup")
PERIOD = 100_000  # microseconds
CPUS = os.cpu_count()

V2_MOUNT = "30 29 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
V1_MOUNTS = """31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
33 31 0:30 {top} /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset
32 31 0:29 {top} /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct
41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw"""
V1_CGROUPS = "4:cpuset:{path}\n3:cpu,cpuacct:{path}\n0::{path}\n"
V1_FOLDER = "/sys/fs/cgroup/cpu,cpuacct"


def found(root: Path, cgroups: str, mounts: str, files: dict[str, str]) -> float:
    """Return the quota of a process whose /proc and /sys have these files."""
    files = {**files, "/proc/self/cgroup": cgroups, "/proc/self/mountinfo": mounts}
    for name, text in files.items():
        path = Path(f"{root}{name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Quotas(str(root)).least()


@pytest.mark.parametrize(
    ("text", "processors"),
    [("max 100000\n", inf), ("150000 100000\n", 1.5), ("25000 50000\n", 0.5), ("800000 100000", 8)],
)
def test_a_quota_of_version_2(tmp_path, text, processors):
    files = {"/sys/fs/cgroup/pod/app/cpu.max": text}
    assert found(tmp_path, "0::/pod/app\n", V2_MOUNT, files) == processors


def test_the_least_quota_of_a_cgroup_and_those_above_it_holds(tmp_path):
    files = {
        "/sys/fs/cgroup/pod/app/cpu.max": "max 100000",
        "/sys/fs/cgroup/pod/cpu.max": "300000 100000",
        "/sys/fs/cgroup/cpu.max": "400000 100000",
    }
    assert found(tmp_path, "0::/pod/app\n", V2_MOUNT, files) == 3


def test_in_a_namespace_the_cgroup_is_the_root(tmp_path):
    files = {"/sys/fs/cgroup/cpu.max": "200000 100000"}
    assert found(tmp_path, "0::/\n", V2_MOUNT, files) == 2


@pytest.mark.parametrize("path", ["/", "/docker/0a1b", "/docker/0a1b/inner"])
def test_a_quota_of_version_1(tmp_path, path):
    """A container that has the host's namespace sees its own cgroup, by its path on the host."""
    folder = V1_FOLDER + path.replace("/docker/0a1b", "").rstrip("/")
    files = {f"{folder}/cpu.cfs_quota_us": "250000\n", f"{folder}/cpu.cfs_period_us": "100000\n"}
    mounts = V1_MOUNTS.format(top="/docker/0a1b" if "docker" in path else "/")
    assert found(tmp_path, V1_CGROUPS.format(path=path), mounts, files) == 2.5


def test_no_quota_of_version_1(tmp_path):
    files = {f"{V1_FOLDER}/app/cpu.cfs_quota_us": "-1\n", f"{V1_FOLDER}/cpu.cfs_quota_us": "-1\n"}
    cgroups, mounts = V1_CGROUPS.format(path="/app"), V1_MOUNTS.format(top="/")
    assert found(tmp_path, cgroups, mounts, files) == inf


def test_a_mount_of_other_cgroups_says_nothing(tmp_path):
    mounts = V1_MOUNTS.format(top="/docker/0a1b")
    files = {f"{V1_FOLDER}/cpu.cfs_quota_us": "5000", f"{V1_FOLDER}/cpu.cfs_period_us": "5000"}
    for path in ("/docker/0a1b2", "/docker", "/../0a1b"):
        assert found(tmp_path, V1_CGROUPS.format(path=path), mounts, files) == inf


def test_a_mount_point_with_a_space(tmp_path):
    mounts = V2_MOUNT.replace("/sys/fs/cgroup", r"/my\040cgroups")
    assert found(tmp_path, "0::/a b\n", mounts, {"/my cgroups/a b/cpu.max": "1000 1000"}) == 1


def test_without_proc_there_is_no_quota(tmp_path):
    assert Quotas(str(tmp_path)).least() == inf


def test_a_quota_that_changes_is_read_again(tmp_path):
    file = tmp_path / "sys/fs/cgroup/cpu.max"
    assert found(tmp_path, "0::/\n", V2_MOUNT, {"/sys/fs/cgroup/cpu.max": "max 100000"}) == inf
    quotas = Quotas(str(tmp_path))
    for text, processors in (("200000 100000", 2), ("100000 100000", 1), ("max 100000", inf)):
        file.write_text(text)
        assert quotas.least() == processors
    file.unlink()
    assert quotas.least() == inf


@pytest.mark.parametrize(
    ("granted", "affinity", "processors", "cores", "threads"),
    [
        (inf, 8, 8, 8, 0),
        (inf, 8, 8, 4, 0),
        (8, 8, 8, 8, 0),
        (6, 8, 8, 4, 0),  # ONNX Runtime starts a thread a core
        (3, 8, 8, 4, 3),
        (1, 8, 8, 8, 1),
        (0.1, 8, 8, 8, 1),
        (1.4, 8, 8, 8, 1),
        (1.5, 8, 8, 8, 2),
        (2.5, 8, 8, 8, 3),
        (inf, 1, 8, 8, 1),
        (inf, 6, 8, 8, 6),
        (inf, 6, 8, 4, 4),  # a number, though ONNX Runtime's: it would leave the mask
        (2, 6, 8, 8, 2),
        (7, 6, 8, 8, 6),
    ],
)
def test_as_many_threads_as_are_granted(granted, affinity, processors, cores, threads):
    assert threads_within(granted, affinity, processors, cores) == threads


def test_off_and_on(monkeypatch):
    monkeypatch.setattr(quota, "grant", lambda: quota.Grant(3, 3.0, 8, 8))
    assert granted_threads() == 3
    for text, threads in (("0", 0), (" OFF ", 0), ("1", 3), ("", 3)):
        monkeypatch.setenv(quota.VARIABLE, text)
        assert granted_threads() == threads


def test_other_systems_have_neither_quota_nor_mask(monkeypatch):
    monkeypatch.setattr(quota.sys, "platform", "darwin")
    here = grant()
    assert (here.threads, here.quota, here.affinity, here.processors) == (0, inf, CPUS, CPUS)


# Real cgroups and masks

COUNT = """
import json, os, sys
import ortmmap

def opened(*, entries=(), **settings):
    '''The session, and how many threads it has started.'''
    options = ortmmap.SessionOptions()
    for name, value in settings.items():
        setattr(options, name, value)
    for entry in entries:
        options.add_session_config_entry(*entry)
    before = threads()
    session = ortmmap.Session(sys.argv[1], options, cache=False)
    return session, threads() - before

def threads():
    return len(os.listdir("/proc/self/task"))

def report(**settings):
    print(json.dumps(opened(**settings)[1]))

one = ortmmap.SessionOptions()
one.intra_op_num_threads = 1
first = ortmmap.Session(sys.argv[1], one, cache=False)   # the environment's threads are made
"""


def narrow() -> None:
    """Leave this process one processor, a child before its program starts."""
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])


needs_cores = pytest.mark.skipif(CPUS < 2, reason="one processor cannot be withheld")


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("quota") / "m.onnx"
    path.write_bytes(models.weights(3, 64))
    return path


class Cgroup:
    """A cgroup of this test, with a quota of processor time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def limit(self, processors: float) -> None:
        """Set the quota; infinite: none."""
        microseconds = -1 if processors == inf else int(processors * PERIOD)
        if (self.folder / "cpu.max").exists():
            text = "max" if microseconds < 0 else str(microseconds)
            (self.folder / "cpu.max").write_text(f"{text} {PERIOD}")
        else:
            (self.folder / "cpu.cfs_period_us").write_text(str(PERIOD))
            (self.folder / "cpu.cfs_quota_us").write_text(str(microseconds))

    def join(self) -> None:
        """Move this process, a child before its program starts."""
        (self.folder / "cgroup.procs").write_text(str(os.getpid()))


@contextmanager
def made_in(parent: Path) -> Iterator[Cgroup]:
    folder = parent / f"ortmmap_{os.getpid()}"
    folder.mkdir()
    try:
        yield Cgroup(folder)
    finally:
        for _ in range(100):  # a process that has ended leaves a moment later
            with contextlib.suppress(OSError):
                folder.rmdir()
                break
            time.sleep(0.05)


@pytest.fixture
def cgroup() -> Iterator[Cgroup]:
    unified = (MOUNTED / "cgroup.controllers").exists()
    try:
        if unified:
            (MOUNTED / "cgroup.subtree_control").write_text("+cpu")
        with made_in(MOUNTED if unified else MOUNTED / "cpu") as made:
            made.limit(inf)
            yield made
    except OSError as error:
        pytest.skip(f"no cgroup can be made: {error}")


def granted_in(cgroup: Cgroup, code: str, *args: object, **kwargs: object) -> object:
    return ask_python(COUNT + code, *args, preexec_fn=cgroup.join, **kwargs)


@linux
@needs_cores
def test_a_session_in_a_cgroup_has_the_threads_of_its_quota(cgroup, onnx_file):
    """The thread that runs the session is one of them."""
    cgroup.limit(CPUS)
    unlimited = granted_in(cgroup, "report()", onnx_file)
    assert unlimited > 0  # one for each further core
    cgroup.limit(1)
    assert granted_in(cgroup, "report()", onnx_file) == 0
    assert granted_in(cgroup, "report(intra_op_num_threads=2)", onnx_file) == 1
    off = granted_in(cgroup, "report()", onnx_file, env={quota.VARIABLE: "0"})
    assert off == unlimited


@linux
@needs_cores
def test_a_quota_of_a_cgroup_above_holds_too(cgroup, onnx_file):
    cgroup.limit(1)
    with made_in(cgroup.folder) as inner:
        assert granted_in(inner, "report()", onnx_file) == 0


@linux
@needs_cores
def test_each_opening_reads_the_quota(cgroup, onnx_file):
    code = """
report()
folder = sys.argv[2]
name = "cpu.max" if os.path.exists(f"{folder}/cpu.max") else "cpu.cfs_quota_us"
with open(f"{folder}/{name}", "w") as file:
    file.write("100000")
made = opened()[1]
assert first.get_session_options().intra_op_num_threads == 1
print(json.dumps([made, opened()[0].get_session_options().intra_op_num_threads]))
"""
    assert granted_in(cgroup, code, onnx_file, cgroup.folder) == [0, 0]


@linux
@needs_cores
def test_threads_between_nodes_are_limited_too(cgroup, onnx_file):
    parallel = "execution_mode=ortmmap.ExecutionMode.ORT_PARALLEL"
    cgroup.limit(1)
    assert granted_in(cgroup, f"report({parallel})", onnx_file) == 0
    both = f"report({parallel}, inter_op_num_threads=3)"
    assert granted_in(cgroup, both, onnx_file) == 2  # and the caller


@linux
@needs_cores
def test_a_session_in_a_cgroup_of_one_processor_survives_a_fork(cgroup, onnx_file):
    code = """
session = ortmmap.Session(sys.argv[1], cache=False)
opened = session._opened()
def work():
    assert is_inherited()
run_in_child(work)
"""
    cgroup.limit(1)
    run_python(PREAMBLE + code, onnx_file, preexec_fn=cgroup.join, timeout=60)
    cgroup.limit(CPUS)
    code = code.replace("assert is", "assert not is")
    run_python(PREAMBLE + code, onnx_file, preexec_fn=cgroup.join, timeout=60)


@linux
@needs_cores
def test_the_environments_pools_are_limited_unless_their_sizes_are_set(cgroup, onnx_file):
    code = """
import sys, os, json
import ortmmap
ortmmap.set_global_thread_pool_sizes(SIZES)
before = len(os.listdir("/proc/self/task"))
options = ortmmap.SessionOptions()
options.use_per_session_threads = False
session = ortmmap.Session(sys.argv[1], options, cache=False)
print(len(os.listdir("/proc/self/task")) - before)
"""
    cgroup.limit(1)

    def counted(sizes: str) -> object:
        return ask_python(code.replace("SIZES", sizes), onnx_file, preexec_fn=cgroup.join)

    none, set_by_user = counted("0, 0"), counted("3, 1")
    assert set_by_user == none + 2


@linux
@needs_cores
def test_a_session_has_as_many_threads_as_its_mask_has_processors(onnx_file):
    """ONNX Runtime binds each of its threads to a core, outside of the mask as well."""
    assert ask_python(COUNT + "report()", onnx_file, preexec_fn=narrow) == 0
    off = {quota.VARIABLE: "0"}
    assert ask_python(COUNT + "report()", onnx_file, preexec_fn=narrow, env=off) > 0


@linux
@needs_cores
def test_affinities_of_the_users_are_left_alone(onnx_file):
    """ONNX Runtime wants one for each of its threads."""
    code = """
affinities = ";".join(str(index + 1) for index in range(os.cpu_count()) if index)
report(entries=[("session.intra_op_thread_affinities", affinities)])
"""
    assert ask_python(COUNT + code, onnx_file, preexec_fn=narrow) == CPUS - 1


@linux
@needs_cores
@pytest.mark.parametrize("name", ["intra_op_num_threads", "use_per_session_threads"])
def test_an_entry_with_the_name_of_an_attribute_has_no_effect(onnx_file, name):
    """As in onnxruntime; the C API of 1.32 would set the attribute by it."""
    code = f"report(intra_op_num_threads=1, entries=[('session.{name}', '4')])"
    assert ask_python(COUNT + code, onnx_file) == 0
