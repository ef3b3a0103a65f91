"""``ortmmap doctor``: what is broken is a finding with a remedy, and an exit status."""

import ctypes
import json
import os
import re
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import models
import numpy
import pytest
from cache_entries import linux, needs_root
from click.testing import CliRunner
from support import NOBODY, REPOSITORY

import ortmmap
from ortmmap.cache import prepack
from ortmmap.cli.main import main
from ortmmap.doctor import examine, finding, installation, system

pytestmark = linux

UNKNOWN_USER = 54321  # without a passwd entry
RUN = "from ortmmap.__main__ import main; main()"
# The first examination imports what the user may not be able to read.
RUN_AS = """
import os, resource, sys
from ortmmap.__main__ import main
from ortmmap.doctor import examine
import ortmmap.cli.main

user, processes = map(int, sys.argv[1:3])
del sys.argv[1:3]
list(examine(*sys.argv[3:]))
os.setgroups([])
os.setgid(user)
os.setuid(user)
if processes:
    resource.setrlimit(resource.RLIMIT_NPROC, (processes, processes))
main()
"""
NEEDED = ("click", "filelock", "numpy", "numpy.libs", "xxhash")


class Report:
    """The findings of one run in a process of its own, by group and check."""

    def __init__(self, done: subprocess.CompletedProcess) -> None:
        assert "Traceback" not in done.stderr, done.stderr
        self.document = json.loads(done.stdout)
        self.exit_status = done.returncode
        assert self.document["exit_status"] == done.returncode
        self.findings = {(f["group"], f["check"]): f for f in self.document["findings"]}

    def status(self, group: str, check: str) -> str:
        return self.findings[group, check]["status"]

    def text(self, group: str, check: str) -> str:
        return self.findings[group, check]["text"]

    def remedy(self, group: str, check: str) -> str:
        return self.findings[group, check]["remedy"]


Doctor = Callable[..., Report]


@pytest.fixture
def doctor(public_path: Path) -> Doctor:
    """Run the command, with a home of its own, and return the report."""
    home = public_path / "home"
    home.mkdir()
    home.chmod(0o777)

    def run(
        *arguments: object,
        before: tuple[str, ...] = (),
        python: tuple[str, ...] = (),
        prepare: Callable[[], None] | None = None,
        user: int | None = None,
        processes: int = 0,
        **environment: str | None,
    ) -> Report:
        variables = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY), "HOME": str(home)}
        variables = {**variables, **environment}
        code = [RUN] if user is None else [RUN_AS, str(user), str(processes)]
        done = subprocess.run(
            [*before, sys.executable, *python, "-c", *code, "doctor", "--json", *arguments],
            env={name: value for name, value in variables.items() if value is not None},
            cwd="/",
            preexec_fn=prepare,
            capture_output=True,
            text=True,
            check=False,
        )
        return Report(done)

    return run


@pytest.fixture
def model(public_path: Path) -> Path:
    path = public_path / "model.onnx"
    path.write_bytes(models.weights(4, 1100))  # 18.5 MiB
    path.chmod(0o644)
    return path


# A sound system


def test_a_sound_system_has_no_complaints(doctor, model):
    report = doctor(model)
    complaints = [f for f in report.document["findings"] if f["status"] in ("warning", "failure")]
    assert complaints == []
    assert report.exit_status == 0
    assert report.text("installation", "library").startswith(ortmmap.get_version_string())
    assert report.status("cache", "folder") == "ok"
    assert report.text("model", "opening").startswith("in place, and written to the cache")
    assert "cache warm" in report.remedy("model", "entries")


def test_nothing_is_made_by_the_examination(doctor, model, public_path):
    doctor(model)
    assert not (public_path / "home/.cache").exists()


@pytest.mark.parametrize("kind", ["onnx", "external"])
def test_entries_of_the_model_are_found(doctor, model, public_path, kind):
    path = model if kind == "onnx" else models.external(public_path, 4, 1100)[0]
    cache = public_path / "cache"
    session = ortmmap.Session(path, cache=cache)
    session.cached.wait()
    report = doctor(path, ORTMMAP_CACHE_DIR=str(cache))
    assert report.exit_status == 0
    assert report.text("model", "entries") == f"model and pages in {cache}"
    assert report.text("model", "opening").startswith("from the cache")


def test_a_damaged_entry_that_is_removed_is_a_warning(doctor, model, public_path):
    cache = public_path / "cache"
    ortmmap.Session(model, cache=cache).cached.wait()
    (pages,) = cache.glob("pages-*/pages")
    os.truncate(pages, 8)
    report = doctor(model, ORTMMAP_CACHE_DIR=str(cache))
    assert report.status("model", "entries") == "warning"
    assert "an entry of the cache was removed" in report.text("model", "entries")
    assert "cache warm" in report.remedy("model", "entries")


def test_findings_have_stable_keys(doctor):
    report = doctor()
    assert set(report.document) == {"exit_status", "findings"}
    for found in report.document["findings"]:
        assert set(found) == {"group", "check", "status", "text", "remedy"}
        assert found["status"] in ("ok", "note", "warning", "failure")


def test_text_is_printed_with_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setenv("ORTMMAP_CACHE", "0")
    monkeypatch.setenv("ORTMMAP_CACHE_DIR", str(tmp_path / "cache"))
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 1
    assert "-> unset ORTMMAP_CACHE" in result.output
    assert "1 warning" in result.output.splitlines()[-1]


# The model


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda _path: None, "No such file"),
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: path.touch(), "is empty"),
        (os.mkfifo, "no regular file"),
        (lambda path: path.symlink_to(path), "symbolic links"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_failure(doctor, public_path, make, text):
    path = public_path / "bad.onnx"
    make(path)
    report = doctor(path)
    assert report.exit_status == 2
    assert report.status("model", "file") == "failure"
    assert text in report.text("model", "file")


@pytest.mark.parametrize(
    ("content", "text"),
    [(b"hello, this is text", "which is text"), (models.affine()[:-9], "truncated")],
)
def test_a_file_that_is_no_model_is_a_failure(doctor, public_path, content, text):
    path = public_path / "bad.onnx"
    path.write_bytes(content)
    report = doctor(path)
    assert report.exit_status == 2
    assert text in report.text("model", "format")


@needs_root
def test_a_file_of_another_user_is_a_failure(doctor, model):
    model.chmod(0o600)
    report = doctor(model, user=NOBODY)
    assert report.exit_status == 2
    assert "may not be read" in report.text("model", "file")
    assert "chmod a+r" in report.remedy("model", "file")


def test_missing_external_data_is_a_failure(doctor, public_path):
    path, data = models.external(public_path, 4, 1100)
    data.unlink()
    report = doctor(path)
    assert report.exit_status == 2
    found = [f for f in report.document["findings"] if f["status"] == "failure"]
    assert any(data.name in f["text"] for f in found)


def test_external_data_needs_room_too(doctor, public_path):
    path, _ = models.external(public_path, 4, 1100)
    report = doctor(path, ORTMMAP_CACHE_LIMIT="10MiB")
    assert report.status("cache", "room") == "warning"
    assert "the limit is below 18" in report.text("cache", "room")


def test_a_file_that_others_may_write_is_noted(doctor, model):
    model.chmod(0o666)
    report = doctor(model)
    assert report.status("model", "permissions") == "note"
    assert report.exit_status == 0


def test_a_small_model_opens_without_the_cache(doctor, public_path):
    path = public_path / "small.onnx"
    path.write_bytes(models.affine())
    report = doctor(path)
    assert report.status("model", "cache") == "note"
    assert report.text("model", "opening").startswith("in place")


def test_a_model_in_ort_format_is_described(doctor, public_path, affine):
    path = public_path / "model.ort"
    path.write_bytes(affine)
    assert doctor(path).text("model", "format").startswith("ORT")


def test_a_model_in_memory_is_a_warning(doctor, model):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        report = doctor(shutil.copy(model, folder))
    assert report.status("model", "file system") == "warning"
    assert report.exit_status == 1


# The cache


@pytest.mark.parametrize(
    ("name", "value", "check"),
    [
        ("ORTMMAP_CACHE", "0", "switch"),
        ("ORTMMAP_CACHE", "perhaps", "switch"),
        ("ORTMMAP_CACHE_LIMIT", "much", "room"),
        ("ORTMMAP_CACHE_LIMIT", "1MiB", "room"),
    ],
)
def test_a_setting_that_keeps_models_out_of_the_cache_is_a_warning(
    doctor, model, name, value, check
):
    report = doctor(model, **{name: value})
    assert report.status("cache", check) == "warning"
    assert report.remedy("cache", check)
    assert report.exit_status == 1


def test_a_cache_that_is_switched_off_is_not_used_for_the_model(doctor, model):
    report = doctor(model, ORTMMAP_CACHE="0")
    assert report.status("model", "cache") == "warning"
    assert ("model", "entries") not in report.findings


def test_a_folder_that_others_may_enter_is_refused(doctor, model, public_path):
    folder = public_path / "cache"
    folder.mkdir(mode=0o755)
    report = doctor(model, ORTMMAP_CACHE_DIR=str(folder))
    assert report.status("cache", "folder") == "warning"
    assert report.remedy("cache", "folder").endswith(f"chmod -R go-rwx {folder}")
    assert report.status("model", "opening") == "warning"


def test_a_cache_in_memory_is_a_warning(doctor):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        report = doctor(ORTMMAP_CACHE_DIR=f"{folder}/cache")
    assert report.status("cache", "file system") == "warning"
    assert "tmpfs" in report.text("cache", "file system")


@needs_root
def test_a_folder_of_another_user_is_refused(doctor, public_path):
    folder = public_path / "cache"
    folder.mkdir(mode=0o700)
    report = doctor(user=NOBODY, ORTMMAP_CACHE_DIR=str(folder))
    assert report.status("cache", "folder") == "warning"
    assert f"not to {NOBODY}" in report.text("cache", "folder")


@needs_root
def test_a_folder_that_cannot_be_made_is_refused(doctor, public_path):
    report = doctor(user=NOBODY, ORTMMAP_CACHE_DIR=str(public_path / "cache"))
    assert report.status("cache", "folder") == "warning"
    assert "cannot be made" in report.text("cache", "folder")
    assert not {("cache", "file system"), ("cache", "file locks")} & set(report.findings)
    assert "export ORTMMAP_CACHE_DIR=" in report.remedy("cache", "folder")


@needs_root
@pytest.mark.parametrize("made", [True, False])
def test_a_read_only_folder_is_a_warning(doctor, public_path, made):
    folder = public_path / "volume/cache"
    folder.parent.mkdir(mode=0o700)
    if made:
        folder.mkdir(mode=0o700)
    volume = folder.parent
    script = f'mount --bind {volume} {volume}; mount -o remount,bind,ro {volume}; exec "$@"'
    before = ("unshare", "--mount", "sh", "-c", script, "sh")
    report = doctor(before=before, ORTMMAP_CACHE_DIR=str(folder))
    assert report.status("cache", "folder") == "warning"
    assert report.remedy("cache", "folder")


@needs_root
def test_a_user_without_a_home_needs_a_named_folder(doctor):
    report = doctor(user=UNKNOWN_USER, HOME=None)
    assert report.status("cache", "folder") == "warning"
    assert "no home" in report.text("cache", "folder")
    assert "export ORTMMAP_CACHE_DIR=" in report.remedy("cache", "folder")


@pytest.fixture
def baked(model: Path, public_path: Path) -> Path:
    """A system cache that has the model's entries."""
    folder = public_path / "baked"
    command = [sys.executable, "-m", "ortmmap", "cache", "bake", str(model), "--into", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    subprocess.run(command, check=True, env=environment, capture_output=True)
    return folder


def test_entries_of_a_system_cache_are_found_without_a_folder_of_the_users_own(
    doctor, model, baked
):
    report = doctor(model, ORTMMAP_SYSTEM_CACHE=str(baked))
    assert report.text("cache", "system cache") == str(baked)
    assert report.text("model", "entries") == f"model and pages in {baked}"
    assert report.text("model", "opening").startswith("from the cache")


def test_an_entry_of_a_system_cache_that_others_may_write_is_a_warning(doctor, model, baked):
    (entry,) = baked.glob("pages-*")
    (entry / "pages").chmod(0o666)
    report = doctor(model, ORTMMAP_SYSTEM_CACHE=str(baked))
    assert report.status("cache", "system cache") == "warning"
    assert f"everybody may write {entry}/pages (mode 666)" in report.text("cache", "system cache")
    assert report.remedy("cache", "system cache") == f"as root: chmod -R go-w {baked}"


@needs_root
def test_baked_entries_of_a_model_that_others_may_change_are_a_warning(doctor, model, baked):
    renew(model)
    model.chmod(0o664)
    named = {"ORTMMAP_SYSTEM_CACHE": str(baked), "ORTMMAP_CACHE_DIR": str(model.parent / "own")}
    report = doctor(model, user=NOBODY, **named)
    assert report.status("cache", "system cache") == "ok"
    text = f"those in {baked} are not used: members of group 0 may write {model}"
    assert report.text("model", "entries").startswith(text)
    assert report.remedy("model", "entries") == f"as root: chmod go-w {model}"
    assert "see the entries" in report.remedy("model", "opening")


def renew(model: Path) -> None:
    """Put a copy that keeps the times in a file's place."""
    copy = shutil.copy2(model, model.with_name("copy"))
    Path(copy).replace(model)


def test_a_system_cache_that_is_refused_is_a_warning(doctor, public_path):
    folder = public_path / "baked"
    folder.mkdir()
    report = doctor(ORTMMAP_SYSTEM_CACHE=str(folder))
    assert report.status("cache", "system cache") == "warning"
    assert report.remedy("cache", "system cache")


# The system


@needs_root
def test_a_limit_of_processes_is_a_warning(doctor):
    report = doctor(user=UNKNOWN_USER, processes=1)
    assert report.status("system", "threads") == "warning"
    assert "ulimit -u" in report.remedy("system", "threads")


@pytest.mark.parametrize(
    ("name", "value", "check"),
    [("RLIMIT_AS", 8 << 30, "address space"), ("RLIMIT_NOFILE", 64, "open files")],
)
def test_a_limit_is_a_warning(doctor, name, value, check):
    limit = getattr(resource, name)
    report = doctor(prepare=lambda: resource.setrlimit(limit, (value, value)))
    assert report.status("system", check) == "warning"
    assert report.remedy("system", check).startswith("ulimit")
    assert report.exit_status == 1


def test_the_least_address_space_is_that_of_the_cache():
    assert system.LEAST_ADDRESS_SPACE == 4 * prepack.LEAST_ADDRESS_SPACE


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one processor")
@pytest.mark.parametrize("quota", [None, "0"])
def test_processors_that_may_not_be_used_are_known(doctor, quota):
    def narrow() -> None:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

    report = doctor(prepare=narrow, ORTMMAP_QUOTA=quota)
    assert report.text("system", "processors").startswith("1 of ")
    assert report.status("system", "processors") == ("ok" if quota is None else "warning")
    assert (report.exit_status == 0) == (quota is None)


@needs_root
def test_without_inotify_it_is_noted(doctor):
    script = 'echo 0 > /proc/sys/user/max_inotify_instances; exec "$@"'
    before = ("unshare", "--user", "--map-root-user", "sh", "-c", script, "sh")
    report = doctor(before=before)
    assert report.status("system", "inotify") == "note"


def deny_memfd() -> None:
    """Make memfd_create fail, as a container's seccomp profile may."""
    number = {"x86_64": 319, "aarch64": 279}[os.uname().machine]
    code = [
        (0x20, 0, 0, 0),
        (0x15, 0, 1, number),
        (0x06, 0, 0, 0x00050001),
        (0x06, 0, 0, 0x7FFF0000),
    ]
    filters = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in code))
    program = struct.pack("HxxxxxxQ", len(code), ctypes.addressof(filters))
    library = ctypes.CDLL(None, use_errno=True)
    assert library.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
    assert library.prctl(22, 2, ctypes.c_char_p(program), 0, 0) == 0  # PR_SET_SECCOMP


def test_a_filter_that_denies_sharing_is_a_warning(doctor):
    report = doctor(prepare=deny_memfd)
    assert report.status("system", "page exchange") == "warning"
    assert "memfd_create" in report.text("system", "page exchange")
    assert "seccomp" in report.remedy("system", "page exchange")
    assert report.status("system", "seccomp") == "note"


@needs_root
def test_without_proc_it_is_a_warning(doctor, model):
    before = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc; exec "$@"', "sh")
    report = doctor(model, before=before)
    assert report.status("system", "/proc") == "warning"
    assert report.exit_status == 1


def test_strict_overcommit_is_a_warning(monkeypatch):
    # The setting is the whole machine's.
    monkeypatch.setattr(system, "read_text", lambda _path: "2\n")
    assert system.overcommit().status == "warning"


# The installation


@pytest.fixture
def packages(public_path: Path) -> Path:
    """A folder with ortmmap and the packages that it needs, but for onnxruntime."""
    site = Path(numpy.__file__).parent.parent
    folder = public_path / "packages"
    folder.mkdir()
    for name in NEEDED:
        (folder / name).symlink_to(site / name)
    (folder / "ortmmap").symlink_to(Path(ortmmap.__file__).parent)
    return folder


def test_without_onnxruntime_it_is_a_failure(doctor, packages, model):
    report = doctor(model, python=("-S",), PYTHONPATH=str(packages))
    assert report.exit_status == 2
    assert report.status("installation", "library") == "failure"
    assert "pip install" in report.remedy("installation", "library")
    assert report.status("model", "format") == "ok"


def test_without_numpy_it_is_a_failure(doctor, packages):
    (packages / "numpy").unlink()
    report = doctor(python=("-S",), PYTHONPATH=str(packages))
    assert report.exit_status == 2
    assert report.remedy("installation", "numpy") == "pip install numpy"


def test_without_native_modules_it_is_a_failure(doctor, packages, model):
    package = (packages / "ortmmap").resolve()
    (packages / "ortmmap").unlink()
    shutil.copytree(package, packages / "ortmmap", ignore=shutil.ignore_patterns("*.so"))
    report = doctor(model, python=("-S",), PYTHONPATH=str(packages))
    assert report.exit_status == 2
    assert "native modules" in report.text("installation", "ortmmap")


@pytest.mark.parametrize("content", [None, b"no library"])
def test_a_library_that_cannot_be_opened_is_a_failure(doctor, public_path, content):
    path = public_path / "libonnxruntime.so"
    if content is not None:
        path.write_bytes(content)
    report = doctor(ORTMMAP_ONNXRUNTIME=str(path))
    assert report.exit_status == 2
    assert report.status("installation", "library") == "failure"


def test_two_packages_of_onnxruntime_are_a_warning(doctor, public_path):
    metadata = public_path / "onnxruntime_gpu-1.32.0.dist-info/METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: onnxruntime-gpu\nVersion: 1.32.0\n")
    report = doctor(PYTHONPATH=f"{REPOSITORY}{os.pathsep}{public_path}")
    assert report.status("installation", "onnxruntime") == "warning"
    assert "onnxruntime-gpu 1.32.0" in report.text("installation", "onnxruntime")


def test_a_misspelt_variable_is_noted(doctor):
    report = doctor(ORTMMAP_CASHE="0")
    assert "ORTMMAP_CASHE" in report.text("installation", "environment")
    assert report.status("installation", "environment") == "note"


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("CACHE_WAIT", "abc", "'abc' is not a number of seconds"),
        ("CACHE_WAIT", "-1", "'-1' is not a number of seconds"),
        ("CACHE_EXIT_WAIT", "nan", "'nan' is not a number of seconds"),
        ("FORK", "x", "'x' has no effect"),
        ("PATCH_THRESHOLD", "1MB", "'1MB' is not a number of bytes"),
        ("QUOTA", "off?", "'off?' is neither 0 nor 1"),
        ("STANDINS", "no", "'no' is neither 0 nor 1"),
    ],
)
def test_a_value_that_is_not_understood_is_a_warning(monkeypatch, name, value, text):
    monkeypatch.setenv(f"ORTMMAP_{name}", value)
    found = installation.variables()
    assert found.status == "warning"
    assert found.text.startswith(f"ORTMMAP_{name}: {text}")
    assert found.remedy == f"unset ORTMMAP_{name}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("CACHE_WAIT", "0"), ("CACHE_EXIT_WAIT", "1.5"), ("FORK", "reopen"), ("FORK", "")),
        *(("PATCH_THRESHOLD", "0"), ("QUOTA", "Off"), ("QUOTA", "1"), ("STANDINS", "0")),
    ],
)
def test_a_value_that_is_understood_is_listed(monkeypatch, name, value):
    monkeypatch.setenv(f"ORTMMAP_{name}", value)
    assert installation.variables().status == "ok"


def test_every_variable_is_known():
    package = REPOSITORY / "ortmmap"
    sources = [*package.rglob("*.py"), *package.rglob("*.pyx")]
    code = "".join(path.read_text() for path in sources if path.parent.name != "doctor")
    named = set(re.findall(r'^[A-Z_]*VARIABLE = "(ORTMMAP_\w+)"', code, re.MULTILINE))
    assert named == installation.VARIABLES


# The checks themselves


def test_a_check_that_raises_is_a_finding(monkeypatch):
    def broken() -> None:
        raise ZeroDivisionError("by accident")

    monkeypatch.setattr(installation, "CHECKS", (("broken", broken),))
    (found,) = (found for group, name, found in examine() if name == "broken")
    assert found.status == finding.WARNING
    assert "by accident" in found.text


@pytest.mark.parametrize(
    ("statuses", "status"),
    [([], 0), (["ok", "note"], 0), (["warning", "ok"], 1), (["warning", "failure"], 2)],
)
def test_the_worst_finding_is_the_exit_status(statuses, status):
    assert finding.exit_status(statuses) == status
