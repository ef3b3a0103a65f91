"""The store: keys, folders, entries that are whole or not there, faults, several processes."""

import errno
import gc
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from support import NOBODY, run_python

import ortmmap
from ortmmap.cache import draft as cache_draft
from ortmmap.cache import entry as cache_entry
from ortmmap.cache import folder as cache_folder
from ortmmap.cache import is_used
from ortmmap.cache import key as cache_key
from ortmmap.cache import store as cache
from ortmmap.cache.entry import is_entry
from ortmmap.cache.folder import CacheWarning, is_network, parse_size
from ortmmap.cache.store import Key, Source, Store, options_signature, store_for
from ortmmap.errors import Fail
from ortmmap.options import GraphOptimizationLevel, SessionOptions

ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not ROOT, reason="only root may")
linux = pytest.mark.skipif(not Path("/proc/self/mountinfo").exists(), reason="Linux only")


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Forget earlier warnings; keep out of the user's own cache."""
    monkeypatch.setattr(cache_folder, "_warned", set())
    for name in ("ORTMMAP_CACHE", "ORTMMAP_CACHE_LIMIT", "ORTMMAP_CACHE_WAIT", "ORTMMAP_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return store_for(tmp_path / "cache", model_bytes=0)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"weights" * 1000)
    return path


@pytest.fixture
def key(model: Path) -> Key:
    return key_of(model)


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mount file systems of the kernel's own, and unmount them."""
    points = []

    def mount(*options: str, point: str = "mounted") -> Path:
        path = tmp_path / point
        path.mkdir(exist_ok=True)
        subprocess.run(["mount", *options, path], check=True, capture_output=True)
        points.append(path)
        return path

    yield mount
    for path in reversed(points):
        subprocess.run(["umount", "--lazy", path], check=False)


def key_of(*paths: Path, **settings: object) -> Key:
    return Key([Source.of(path) for path in paths], settings)


def put(store: Store, key: Key, content: bytes = b"optimized", kind: str = "model") -> str:
    """Write an entry, and return its name."""
    with store.write(key, kind) as draft:
        Path(draft.path("model.ort")).write_bytes(content)
    assert draft.entry is not None
    draft.entry.close()
    return draft.entry.name


def content_of(store: Store, key: Key, kind: str = "model") -> bytes | None:
    entry = store.find(key, kind)
    return None if entry is None else Path(entry.path()).read_bytes()


def names_in(*folder: str) -> set[str]:
    return {path.name for path in Path(*folder).iterdir()}


def visible(store: Store) -> set[str]:
    """Return the names in the folder, other than what is always there."""
    return names_in(store.folder) - {"CACHEDIR.TAG", "locks"}


# Keys


def test_a_key_is_the_same_each_time(model):
    assert repr(key_of(model, a=1, b={"x": 1, "y": 2})) == repr(
        key_of(model, b={"y": 2, "x": 1}, a=1)
    )


def test_a_key_does_not_depend_on_the_process(model):
    code = """
import sys
from ortmmap.cache.store import Key, Source
print(Key([Source.of(sys.argv[1])], {"level": 99}))
"""
    assert run_python(code, model).stdout.strip() == repr(key_of(model, level=99))


def test_two_paths_of_a_file_are_one_source(model):
    link = model.with_name("link.onnx")
    link.symlink_to(model)
    assert repr(key_of(link)) == repr(key_of(model))


@pytest.mark.parametrize("field", ["device", "inode", "size", "mtime_ns", "ctime_ns"])
def test_every_part_of_a_files_identity_counts(model, field):
    source = Source.of(model)
    other = source._replace(**{field: getattr(source, field) + 1})
    assert repr(Key([source], {})) != repr(Key([other], {}))


def test_external_data_counts(model, tmp_path):
    data = tmp_path / "data"
    data.write_bytes(b"1")
    before = key_of(model, data)
    assert repr(before) != repr(key_of(model))
    assert repr(before) != repr(key_of(data, model))
    data.write_bytes(b"2")
    assert repr(before) != repr(key_of(model, data))


def test_settings_the_machine_and_the_format_count(model, monkeypatch):
    found = {repr(key_of(model)), repr(key_of(model, version="1.23.2"))}
    monkeypatch.setattr(cache_key, "_machine", "another CPU")
    found.add(repr(key_of(model)))
    monkeypatch.setattr(cache_key, "FORMAT", 0)
    found.add(repr(key_of(model)))
    assert len(found) == 4


@linux
def test_the_machine_is_described_by_what_kernels_are_chosen_by():
    assert any(word in cache_key.machine() for word in ("flags=", "Features="))
    assert "MHz" not in cache_key.machine()


def configured(**changes: object) -> SessionOptions:
    options = SessionOptions()
    for name, value in changes.items():
        setattr(options, name, value)
    return options


def with_config(key: str, value: str = "1") -> SessionOptions:
    options = SessionOptions()
    options.add_session_config_entry(key, value)
    return options


def with_dimension(size: int) -> SessionOptions:
    options = SessionOptions()
    options.add_free_dimension_override_by_name("batch", size)
    return options


@pytest.mark.parametrize(
    "options",
    [
        configured(graph_optimization_level=GraphOptimizationLevel.ORT_ENABLE_BASIC),
        configured(execution_mode=1),
        configured(use_deterministic_compute=True),
        with_config("session.disable_prepacking"),
        with_config("optimization.disable_specified_optimizers", "GeluFusion"),
        with_config("something.that.nobody.knows.yet"),
        with_dimension(1),
        with_dimension(2),
    ],
)
def test_options_that_change_the_graph_or_the_kernels_count(options):
    assert options_signature(options) != options_signature(SessionOptions())


@pytest.mark.parametrize(
    "options",
    [
        configured(intra_op_num_threads=3, inter_op_num_threads=2),
        configured(logid="a", log_severity_level=0, enable_profiling=True),
        configured(enable_cpu_mem_arena=False, enable_mem_pattern=False),
        with_config("session.intra_op.allow_spinning", "0"),
        with_config("session.use_ort_model_bytes_directly"),
    ],
)
def test_other_options_do_not(options):
    assert options_signature(options) == options_signature(SessionOptions())


def test_a_library_of_custom_operators_counts_by_its_identity(tmp_path):
    library = tmp_path / "ops.so"
    library.write_bytes(b"1")
    options = SessionOptions()
    options.register_custom_ops_library(str(library))
    before = options_signature(options)
    library.write_bytes(b"22")
    assert options_signature(options) != before
    options = SessionOptions()
    options.register_custom_ops_library("libops.so")  # the loader will search
    assert options_signature(options)["custom_ops"] == [("libops.so",)]


def test_a_runtime_is_described_by_version_and_build():
    signature = cache.runtime_signature()
    assert signature["version"] == ortmmap.get_version_string()
    assert signature["build"] == ortmmap.get_build_info()


# Which store


SMALL, LARGE = (16 << 20) - 1, 16 << 20


@pytest.mark.parametrize(
    ("setting", "variable", "model_bytes_and_cpu_only", "used"),
    [
        (None, None, (LARGE, True), True),
        (None, None, (SMALL, True), False),
        (None, None, (LARGE, False), False),
        (None, "0", (LARGE, True), False),
        (None, "off", (LARGE, True), False),
        (None, "1", (SMALL, False), True),
        (True, "0", (SMALL, False), True),
        (False, "1", (LARGE, True), False),
    ],
)
def test_who_decides(monkeypatch, setting, variable, model_bytes_and_cpu_only, used):
    model_bytes, cpu_only = model_bytes_and_cpu_only
    if variable is not None:
        monkeypatch.setenv("ORTMMAP_CACHE", variable)
    found = store_for(setting, model_bytes=model_bytes, cpu_only=cpu_only)
    assert (found is not None) is used
    assert is_used(setting, model_bytes=model_bytes, cpu_only=cpu_only) is used


def with_library(path: object) -> SessionOptions:
    options = SessionOptions()
    options.register_custom_ops_library(str(path))
    return options


def with_initializer() -> SessionOptions:
    options = SessionOptions()
    options.add_initializer("w", ortmmap.OrtValue.ortvalue_from_numpy(np.zeros(1, "f4")))
    return options


def with_files_in_memory() -> SessionOptions:
    options = SessionOptions()
    options.add_external_initializers_from_files_in_memory(["data"], [b"weights"], [7])
    return options


def selecting_providers() -> SessionOptions:
    options = SessionOptions()
    options.set_provider_selection_policy(ortmmap.OrtExecutionProviderDevicePolicy.PREFER_CPU)
    return options


@pytest.mark.parametrize(
    ("options", "used"),
    [
        (SessionOptions, True),
        (lambda: configured(optimized_model_filepath="saved.onnx"), False),
        (lambda: with_config("session.model_external_initializers_file_folder_path", "."), False),
        (selecting_providers, False),
        (with_initializer, False),
        (with_files_in_memory, False),
        (lambda: with_library(__file__), True),
        (lambda: with_library("libops.so"), False),  # the loader will search
    ],
)
def test_only_options_that_a_key_can_name_are_cacheable(options, used):
    for setting in (True, None, "folder"):
        assert is_used(setting, options(), model_bytes=LARGE) is used


def test_a_small_model_asks_without_importing_more_of_the_cache():
    code = """
import sys
from ortmmap.cache import is_used
from ortmmap.options import SessionOptions
assert not is_used(None, SessionOptions(), model_bytes=1)
print([name for name in sys.modules if name.startswith("ortmmap.cache.")])
"""
    printed = run_python(code, env={"ORTMMAP_CACHE": None}).stdout.strip()
    assert printed == "['ortmmap.cache.prepack']"


def test_a_folder_is_made_for_its_owner_alone(tmp_path):
    previous = os.umask(0)
    try:
        store = store_for(tmp_path / "new" / "cache", model_bytes=0)
    finally:
        os.umask(previous)
    assert Path(store.folder).stat().st_mode & 0o777 == 0o700
    assert Path(store.folder, "CACHEDIR.TAG").read_bytes().startswith(b"Signature: 8a477f59")


def test_the_variables_name_the_folder(monkeypatch, tmp_path):
    assert store_for(True, model_bytes=0).folder == str(tmp_path / "home" / "ortmmap")
    monkeypatch.setenv("ORTMMAP_CACHE_DIR", str(tmp_path / "other"))
    assert store_for(True, model_bytes=0).folder == str(tmp_path / "other")


@linux
def test_the_default_folder_is_that_of_platformdirs(monkeypatch, tmp_path):
    from platformdirs import user_cache_dir

    for base in (str(tmp_path), "", None):
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        if base is not None:
            monkeypatch.setenv("XDG_CACHE_HOME", base)
        assert cache_folder.default_folder() == user_cache_dir("ortmmap")


def test_a_variable_that_is_no_switch_warns_and_is_ignored(monkeypatch):
    monkeypatch.setenv("ORTMMAP_CACHE", "perhaps")
    with pytest.warns(CacheWarning, match="perhaps"):
        assert store_for(None, model_bytes=LARGE) is not None


def refused(folder: Path, reason: str) -> None:
    """Ask for a folder three times: no store, and one warning, which blames this file."""
    with pytest.warns(CacheWarning, match=reason) as caught:
        assert all(store_for(folder, model_bytes=0) is None for _ in range(3))
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_a_folder_that_others_may_enter_is_not_used(tmp_path):
    (tmp_path / "open").mkdir(mode=0o755)
    refused(tmp_path / "open", "chmod 700")


def test_a_link_to_a_folder_is_not_used(tmp_path):
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    refused(tmp_path / "link", "link")


def test_a_link_to_nothing_is_not_used(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    refused(tmp_path / "link", "link")


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").touch()
    refused(tmp_path / "file", "no folder")
    refused(tmp_path / "file" / "below", "cannot be made")


@needs_root
def test_a_folder_of_another_user_is_not_used(tmp_path):
    (tmp_path / "theirs").mkdir(mode=0o700)
    os.chown(tmp_path / "theirs", NOBODY, NOBODY)
    refused(tmp_path / "theirs", "belongs to user")


def test_no_home_is_a_warning(monkeypatch):
    monkeypatch.setattr(cache_folder, "_platform_folder", lambda: "~/.cache/ortmmap")
    with pytest.warns(CacheWarning, match="no home"):
        assert store_for(None, model_bytes=LARGE) is None


@needs_root
def test_a_user_without_home_goes_without():
    code = """
import os, sys, warnings
from support import drop_privileges
import ortmmap.cache.store as cache, xxhash
drop_privileges()
os.environ["HOME"] = "/proc/nothing"
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    assert cache.store_for(True, model_bytes=0) is None
assert [str(w.message) for w in caught] and "cannot be made" in str(caught[0].message)
"""
    run_python(code, env={"XDG_CACHE_HOME": None})


MOUNTS = """\
21 1 8:1 / / rw - ext4 /dev/vda rw
22 21 0:30 / /home rw - nfs4 server:/home rw
23 22 8:2 / /home/local rw - xfs /dev/vdb rw
24 21 0:31 / /mnt/a\\040b rw - fuse.sshfs host: rw
25 21 0:32 / /mnt/over rw - fuse.fuse-overlayfs fuse rw
26 21 0:33 / /mnt/hidden rw - cifs //x/y rw
27 21 8:3 / /mnt/hidden rw shared:5 - ext4 /dev/vdc rw
"""


@linux
@pytest.mark.parametrize(
    ("folder", "network"),
    [
        ("/var/cache", False),
        ("/homes", False),
        ("/home", True),
        ("/home/a/.cache/ortmmap", True),
        ("/home/local/a", False),
        ("/mnt/a b/c", True),
        ("/mnt/over/c", False),
        ("/mnt/hidden/c", False),
    ],
)
def test_network_file_systems_are_known(monkeypatch, tmp_path, folder, network):
    (tmp_path / "mountinfo").write_text(MOUNTS)
    real = open
    monkeypatch.setattr(
        "builtins.open",
        lambda path, *args: real(
            tmp_path / "mountinfo" if path == "/proc/self/mountinfo" else path, *args
        ),
    )
    monkeypatch.setattr(os.path, "realpath", lambda path: path)
    assert is_network(folder) is network


def test_a_network_file_system_is_used_only_where_it_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(cache_folder, "is_network", lambda _folder: True)
    with pytest.warns(CacheWarning, match="network"):
        assert store_for(True, model_bytes=0) is None
    assert store_for(tmp_path / "named", model_bytes=0) is not None
    monkeypatch.setenv("ORTMMAP_CACHE_DIR", str(tmp_path / "named too"))
    assert store_for(None, model_bytes=LARGE) is not None


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1024", 1024),
        ("10GiB", 10 << 30),
        ("10 gib", 10 << 30),
        ("1.5K", 1536),
        ("500MB", 500_000_000),
        ("2T", 2 << 40),
        ("7B", 7),
    ],
)
def test_sizes_are_read_with_their_units(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "x", "-1", "GiB", "1 XB", "1e400", "nan", "1zib"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ValueError, match="size"):
        parse_size(text)


def test_a_limit_that_is_no_size_warns_and_is_the_default(monkeypatch, tmp_path):
    monkeypatch.setenv("ORTMMAP_CACHE_LIMIT", "much")
    with pytest.warns(CacheWarning, match="much"):
        store = store_for(tmp_path / "cache", model_bytes=0)
    assert store.most_bytes == 10 << 30


# Entries


def test_what_was_written_is_found(store, key):
    assert store.find(key, "model") is None
    name = put(store, key, b"optimized")
    with store.write(key, "pages") as draft:
        Path(draft.path("blocks")).write_bytes(b"pages")
        draft.describe(note="x")
    entry = store.find(key, "model")
    assert (entry.name, entry.kind, entry.nbytes) == (name, "model", 9)
    assert Path(entry.path()).read_bytes() == b"optimized"
    assert entry.description["sources"][0][0] == key.sources[0].path
    assert draft.entry.key == draft.key
    assert draft.entry.description["note"] == "x"
    fd = draft.entry.open()
    assert os.read(fd, 9) == b"pages"
    assert not os.get_inheritable(fd)
    os.close(fd)


def test_an_entry_may_have_several_files_or_none(store, key):
    with store.write(key, "model") as draft:
        Path(draft.path("model.onnx")).write_bytes(b"a")
        Path(draft.path("model.onnx.data")).write_bytes(b"bb")
    assert [file.name for file in draft.entry.files] == ["model.onnx", "model.onnx.data"]
    assert Path(draft.entry.path("model.onnx.data")).read_bytes() == b"bb"
    with store.write(key, "pages") as draft:
        pass
    assert store.find(key, "pages").files == ()


def test_files_are_their_owners_alone(store, key):
    put(store, key)
    entry = store.find(key, "model")
    assert Path(entry.folder).stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in Path(entry.folder).iterdir()} == {0o600}


def test_a_whole_entry_is_not_replaced(store, key):
    put(store, key, b"first")
    put(store, key, b"second")
    assert content_of(store, key) == b"first"
    assert len(visible(store)) == 1


def test_the_same_bytes_under_another_identity_are_the_same_model(store, key, model, tmp_path):
    name = put(store, key)
    copy = tmp_path / "copy.onnx"
    shutil.copy(model, copy)
    again = key_of(copy)
    assert again.identity != key.identity
    assert store.find(again, "model").name == name
    assert Path(store.folder, f"{again.name('model')}.alias").exists()
    again = key_of(copy)
    assert store.find(again, "model").name == name
    assert again._content is None  # this time nothing was read


def test_other_bytes_of_the_same_size_are_another_model(store, key, model, tmp_path):
    put(store, key)
    other = tmp_path / "other.onnx"
    other.write_bytes(model.read_bytes()[:-1] + b"!")
    assert store.find(key_of(other), "model") is None
    model.write_bytes(other.read_bytes())  # replaced between two starts
    assert store.find(key_of(model), "model") is None


def test_a_model_that_changes_while_it_is_opened_is_not_cached(store, key, model):
    def fill(draft):
        Path(draft.path("model.ort")).write_bytes(b"optimized")
        model.write_bytes(b"another" * 1000)

    with pytest.warns(CacheWarning, match="has changed"):
        assert store.build(key, "model", fill) is None
    assert visible(store) == set()


def test_an_alias_that_names_something_else_is_ignored(store, key, model, tmp_path):
    put(store, key)
    other = put(store, key_of(model, level=1), b"another level")
    copy = tmp_path / "copy.onnx"
    shutil.copy(model, copy)
    again = key_of(copy)
    alias = Path(store.folder, f"{again.name('model')}.alias")
    for text in (other, "../../etc/passwd", "", "x" * 200):
        alias.write_text(text)
        assert content_of(store, again) == b"optimized"
    alias.unlink()
    alias.symlink_to("/dev/zero")
    assert content_of(store, again) == b"optimized"


def flip_and_keep_time(file: Path, _header: Path) -> None:
    times = file.stat()
    file.write_bytes(b"Optimized")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


def flip_in_header(_file: Path, header: Path) -> None:
    raw = bytearray(header.read_bytes())
    raw[40] ^= 1
    header.write_bytes(raw)


def become_link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def become_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def become_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


DAMAGES = {
    "truncated": lambda file, _: os.truncate(file, 8),
    "longer": lambda file, _: os.truncate(file, 10),
    "flipped": lambda file, _: file.write_bytes(b"Optimized"),
    "flipped, its time put back": flip_and_keep_time,
    "missing": lambda file, _: file.unlink(),
    "a link": lambda file, _: become_link(file),
    "a folder": lambda file, _: become_folder(file),
    "a pipe": lambda file, _: become_pipe(file),
    "others may write": lambda file, _: file.chmod(0o666),
    "header truncated": lambda _, header: os.truncate(header, 50),
    "header empty": lambda _, header: os.truncate(header, 0),
    "header flipped": flip_in_header,
    "header a link": lambda _, header: become_link(header),
    "header a folder": lambda _, header: become_folder(header),
    "header a pipe": lambda _, header: become_pipe(header),
    "a foreign header": lambda _, header: header.write_bytes(b"something else"),
}


def damage(folder: Path, how: str) -> None:
    DAMAGES[how](folder / "model.ort", folder / "header")


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_entry_is_removed_with_one_warning_and_built_anew(store, key, how):
    name = put(store, key)
    damage(Path(store.folder, name), how)
    with pytest.warns(CacheWarning, match="removed") as caught:
        assert store.find(key, "model") is None
    assert len(caught) == 1
    assert visible(store) == set()
    assert put(store, key) == name
    assert content_of(store, key) == b"optimized"


@needs_root
def test_an_entry_of_another_user_is_removed(store, key):
    name = put(store, key)
    os.chown(Path(store.folder, name, "model.ort"), NOBODY, NOBODY)
    with pytest.warns(CacheWarning, match="belongs to user"):
        assert store.find(key, "model") is None
    assert visible(store) == set()


def test_a_link_in_an_entrys_place_is_removed_and_its_target_left_alone(store, key, tmp_path):
    name = put(store, key)
    target = tmp_path / "target"
    Path(store.folder, name).rename(target)
    Path(store.folder, name).symlink_to(target)
    with pytest.warns(CacheWarning, match="link"):
        assert store.find(key, "model") is None
    assert visible(store) == set()
    assert (target / "model.ort").read_bytes() == b"optimized"


def test_an_entry_under_anothers_name_is_removed(store, key, model):
    name = put(store, key)
    other = key_of(model, level=1)
    Path(store.folder, name).rename(Path(store.folder, other.name("model")))
    with pytest.warns(CacheWarning, match="another's"):
        assert store.find(other, "model") is None
    assert visible(store) == set()


def test_a_copied_folder_is_compared_once_and_then_trusted(store, key, tmp_path, monkeypatch):
    name = put(store, key)
    copied = tmp_path / "copied"
    shutil.copytree(store.folder, copied)
    copied.chmod(0o700)
    other = Store(str(copied))
    assert other.entries()[0].state == "unverified"
    assert content_of(other, key) == b"optimized"
    assert other.entries()[0].state == "ok"
    monkeypatch.setattr(cache_entry.Entry, "verify", None)  # nothing calls it any more
    assert other.find(key, "model").name == name


def test_an_entry_without_header_is_not_there_and_gives_way(store, key):
    folder = Path(store.folder, key.name("model"))
    folder.mkdir(0o700)
    (folder / "model.ort").write_bytes(b"half")
    assert store.find(key, "model") is None
    put(store, key)
    assert content_of(store, key) == b"optimized"


def test_a_mapping_outlives_its_entry(store, key):
    import mmap

    put(store, key)
    entry = store.find(key, "model")
    with Path(entry.path()).open("rb") as file:
        mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    assert store.clear() == 9
    assert store.find(key, "model") is None
    assert mapping[:] == b"optimized"
    mapping.close()


def test_verify_finds_what_opening_trusts(store, key):
    name = put(store, key)
    file = Path(store.folder, name, "model.ort")
    seen = []
    assert store.verify(name, seen.append) is None
    assert sum(seen) == 9
    with file.open("r+b") as opened:
        opened.write(b"O")
    assert "model.ort" in store.verify(name)
    assert visible(store) == set()
    assert store.verify(name) is None  # it is gone


def test_verify_reads_the_table_of_pages(store, key):
    from ortmmap.cache.pages import write_pages

    def fill(draft):
        with Path(draft.path("pages")).open("wb", buffering=0) as file:
            write_pages(file.fileno(), draft.key, [b"block"])

    entry = store.build(key, "pages", fill)
    assert store.verify(entry.name) is None
    store.remove(entry.name)
    assert put(store, key, b"no pages", "pages") == entry.name
    assert "too early" in store.verify(entry.name)


# Faults while writing


def failing(error: BaseException | type[BaseException]) -> Callable:
    def fill(draft):
        Path(draft.path("model.ort")).write_bytes(b"half")
        raise error

    return fill


def writing(content: bytes) -> Callable:
    return lambda draft: Path(draft.path("model.ort")).write_bytes(content)


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), Fail("cannot be saved")])
def test_a_failure_leaves_nothing_and_warns_once(store, key, error):
    with pytest.warns(CacheWarning, match=str(error)[-6:]) as caught:
        assert [store.build(key, "model", failing(error)) for _ in range(3)] == [None] * 3
    assert len(caught) == 1
    assert visible(store) == set()


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError, SystemExit])
def test_another_exception_goes_on_and_leaves_nothing(store, key, error):
    with pytest.raises(error):
        store.build(key, "model", failing(error))
    assert visible(store) == set()


@pytest.mark.parametrize("stage", ["fsync", "rename", "fchmod", "listdir"])
@pytest.mark.parametrize("error", [OSError(errno.EDQUOT, "quota"), KeyboardInterrupt()])
def test_a_failure_at_any_stage_of_the_end_leaves_nothing(store, key, monkeypatch, stage, error):
    def fail(*_args):
        raise error

    draft = store.write(key, "model")
    draft.__enter__()
    Path(draft.path("model.ort")).write_bytes(b"optimized")
    monkeypatch.setattr(os, stage, fail)
    if isinstance(error, OSError):
        with pytest.warns(CacheWarning, match="quota"):
            assert draft.__exit__(None, None, None)
    else:
        with pytest.raises(KeyboardInterrupt):
            draft.__exit__(None, None, None)
    monkeypatch.undo()
    assert draft.entry is None
    store.prune()
    assert not any(name.startswith("model") for name in visible(store))
    assert stage == "listdir" or visible(store) == set()


def test_what_has_no_room_is_not_begun(tmp_path, key):
    store = Store(store_for(tmp_path / "cache", model_bytes=0).folder, 1000)
    with pytest.warns(CacheWarning, match="1001 bytes") as caught:
        assert store.write(key, "model", expect=1001) is None
    assert store.build(key, "pages", writing(bytes(2000)), expect=10) is None  # it said less
    assert len(caught) == 1
    assert visible(store) == set()


def test_a_full_disk_is_noticed_before(store, key, monkeypatch):
    monkeypatch.setattr(store, "most_bytes", 1 << 62)
    with pytest.warns(CacheWarning, match="too little room"):
        assert store.write(key, "model", expect=1 << 60) is None


@needs_root
@linux
def test_a_full_disk_leaves_nothing(mounted, key):
    folder = mounted("-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs")
    store = store_for(folder, model_bytes=0)
    with pytest.warns(CacheWarning, match="No space left"):
        assert store.build(key, "model", writing(bytes(4 << 20))) is None
    assert visible(store) == set()
    put(store, key)  # there is room again


def test_a_limit_on_file_sizes_leaves_nothing(store, key):
    code = """
import resource, signal, sys, warnings
from pathlib import Path
from ortmmap.cache.store import Key, Source, Store
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store, key = Store(sys.argv[1]), Key([Source.of(sys.argv[2])], {})
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    with store.write(key, "model") as draft:
        Path(draft.path("model.ort")).write_bytes(bytes(1 << 20))
assert draft.entry is None and len(caught) == 1, caught
"""
    run_python(code, store.folder, key.sources[0].path)
    assert visible(store) == set()


READ_ONLY = """
import sys, warnings
from pathlib import Path
from ortmmap.cache.store import Key, Source, store_for
from support import drop_privileges
import xxhash, filelock
if sys.argv[3] == "drop":
    drop_privileges()
key = Key([Source.of(sys.argv[2])], {})
other = Key([Source.of(sys.argv[2])], {"level": 1})
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    store = store_for(sys.argv[1], model_bytes=0)
    entry = store.find(key, "model")
    assert Path(entry.path()).read_bytes() == b"optimized"
    assert store.find(other, "model") is None
    with store.lock(other) as turn:
        assert not turn
    for kind in ("model", "pages"):
        with store.write(other, kind) as draft:
            Path(draft.path("model.ort")).write_bytes(b"x")
        assert draft.entry is None
    store.prune(0)
assert len(caught) == 1, [str(w.message) for w in caught]
"""


@needs_root
@linux
def test_a_read_only_mount_is_read_and_not_written(mounted, model, key):
    folder = mounted("-t", "tmpfs", "-o", "mode=700", "tmpfs")
    store = store_for(folder, model_bytes=0)
    put(store, key)
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    run_python(READ_ONLY, folder, model, "stay")
    assert len(visible(store)) == 1


@needs_root
@linux
def test_a_containers_layers_serve_a_cache_that_was_warmed_when_they_were_built(mounted, model):
    """Overlayfs gives devices anew, and cannot rename a folder of a lower layer."""
    image = mounted("-t", "tmpfs", "-o", "mode=755", "tmpfs", point="image")
    for name in ("layer", "upper", "work"):
        (image / name).mkdir()
    warmed = image / "layer" / "model.onnx"
    shutil.copy(model, warmed)
    built = store_for(image / "layer" / "cache", model_bytes=0)
    name = put(built, key_of(warmed))
    layers = ",".join(
        f"{which}dir={image / folder}"
        for which, folder in (("lower", "layer"), ("upper", "upper"), ("work", "work"))
    )
    try:
        started = mounted("-t", "overlay", "-o", layers, "overlay", point="container")
    except subprocess.CalledProcessError:
        pytest.skip("no overlayfs here")
    store = store_for(started / "cache", model_bytes=0)
    key = key_of(started / "model.onnx")
    assert key.name("model") != name
    assert content_of(store, key) == b"optimized"
    assert content_of(store, key) == b"optimized"
    assert store.verify(name) is None
    other = key_of(started / "model.onnx", level=1)
    put(store, other)
    gc.collect()
    assert store.prune(0) == 18
    assert not any(is_entry(each) for each in visible(store))
    put(store, other)
    assert content_of(store, other) == b"optimized"
    assert content_of(built, key_of(warmed)) == b"optimized"  # the image is as it was


@needs_root
def test_a_folder_that_its_owner_may_not_write_is_read(public_path):
    model = public_path / "model.onnx"
    model.write_bytes(b"weights")
    store = store_for(public_path / "cache", model_bytes=0)
    put(store, key_of(model))
    for root, folders, files in os.walk(store.folder, topdown=False):
        for name in (*folders, *files, "."):
            os.chown(Path(root, name), NOBODY, NOBODY)
    Path(store.folder).chmod(0o500)
    # Who owns the files has changed their times too: they are compared, and trusted.
    run_python(READ_ONLY, store.folder, model, "drop")


@pytest.mark.slow
@pytest.mark.parametrize(
    "stage", ["writing", "commit", "header", "published", "removing", "pruning"]
)
def test_a_killed_process_leaves_nothing_half_written(store, key, stage, monkeypatch):
    code = """
import os, signal, sys
from pathlib import Path
from ortmmap.cache import draft as cache_draft
from ortmmap.cache import folder as cache_folder
from ortmmap.cache import store as cache
store, key = cache.Store(sys.argv[1]), cache.Key([cache.Source.of(sys.argv[2])], {})
stage = sys.argv[3]
def die(*_args, **_more): os.kill(os.getpid(), signal.SIGKILL)
with store.lock(key) as turn:
    assert turn
    with store.write(key, "model") as draft:
        Path(draft.path("model.ort")).write_bytes(b"optimized")
        if stage == "writing": die()
        if stage == "commit": cache_draft.record = die
        if stage == "header": cache_draft.sync_folder = die
        if stage == "published":
            cache_draft.sync_folder = lambda path: path == store.folder and die()
        if stage == "pruning": store.prune = die
    if stage == "removing":
        cache_folder.delete = die
        store.remove(draft.name)
"""
    done = run_python(code, store.folder, key.sources[0].path, stage, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    entry = store.find(key, "model")
    assert (entry is not None) is (stage in ("published", "pruning"))
    with store.lock(key, timeout=0) as turn:
        assert turn  # a killed owner's lock is free
        if entry is None:
            put(store, key)
    monkeypatch.setattr(cache, "YOUNG_SECONDS", 0)
    store.prune()
    assert visible(store) == {key.name("model")}
    assert content_of(store, key) == b"optimized"


def test_what_is_being_written_is_not_removed(store, key, model, monkeypatch):
    monkeypatch.setattr(cache, "YOUNG_SECONDS", 0)
    with store.write(key, "model") as draft:
        Path(draft.path("model.ort")).write_bytes(b"optimized")
        put(store, key_of(model, level=1))
        store.prune(0)
        assert Path(draft.folder).exists()
    assert content_of(store, key) == b"optimized"


def test_a_folder_cleared_before_it_is_locked_is_made_again(store, key, monkeypatch):
    real = cache_draft.hold

    def late(folder):
        monkeypatch.setattr(cache_draft, "hold", real)
        store.clear()
        return real(folder)

    monkeypatch.setattr(cache_draft, "hold", late)
    put(store, key)
    assert visible(store) == {key.name("model")}


def test_only_what_is_ours_is_removed(store, key, monkeypatch):
    monkeypatch.setattr(cache, "YOUNG_SECONDS", 0)
    put(store, key)
    kept = {"notes.txt", "tmp-mine", "model-x-y", "model-of-mine.alias", "tmp-" + "z" * 16}
    for name in kept:
        Path(store.folder, name).write_text("mine")
    Path(store.folder, "tmp-0123456789abcdef").mkdir()
    store.prune(0)
    store.clear()
    assert visible(store) == kept


# Making room


def test_the_least_recently_used_goes_first(store, model):
    keys = [key_of(model, level=level) for level in range(4)]
    for age, key in enumerate(keys):
        put(store, key, bytes(1000))
        os.utime(Path(store.folder, key.name("model")), (0, 1000 + age))
    assert store.find(keys[0], "model") is not None  # used now
    assert store.prune(2500) == 2000
    left = {each.name for each in store.entries()}
    assert left == {keys[0].name("model"), keys[3].name("model")}


def test_writing_makes_room_but_never_of_what_it_wrote(store, model):
    store.most_bytes = 2500
    keys = [key_of(model, level=level) for level in range(4)]
    for age, key in enumerate(keys):
        put(store, key, bytes(1000))
        os.utime(Path(store.folder, key.name("model")), (0, 1000 + age))
        assert key.name("model") in visible(store)
    assert visible(store) == {key.name("model") for key in keys[2:]}


def test_an_entry_in_use_stays(store, model):
    keys = [key_of(model, level=level) for level in range(2)]
    for key in keys:
        put(store, key)
    entry = store.find(keys[0], "model")
    assert [each.in_use for each in store.entries() if each.name == entry.name] == [True]
    assert store.prune(0) == 9
    assert visible(store) == {entry.name}
    entry.close()
    assert store.prune(0) == 9
    assert visible(store) == set()


@linux
def test_an_entry_in_use_by_another_process_stays(store, key):
    put(store, key)
    code = """
import sys
from ortmmap.cache.store import Key, Source, Store
entry = Store(sys.argv[1]).find(Key([Source.of(sys.argv[2])], {}), "model")
print("held", flush=True)
sys.stdin.read()
"""
    holder = subprocess.Popen(
        [sys.executable, "-c", code, store.folder, key.sources[0].path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(cache.__file__).parents[2])},
    )
    try:
        assert holder.stdout.readline() == b"held\n"
        assert store.prune(0) == 0
        assert content_of(store, key) == b"optimized"
    finally:
        holder.kill()
        holder.communicate()
    assert store.prune(0) == 9


@linux
def test_an_entry_that_somebody_holds_alone_for_ever_is_not_waited_for(store, key, monkeypatch):
    name = put(store, key)
    monkeypatch.setattr(cache_entry, "SHARE_ATTEMPTS", 3)
    held = cache_entry.hold(str(Path(store.folder, name)), alone=True)
    with pytest.warns(CacheWarning, match="cannot be read"):
        assert store.find(key, "model") is None
    os.close(held)
    assert content_of(store, key) == b"optimized"


def test_using_an_entry_is_noted_once_a_minute(store, key):
    name = put(store, key)
    folder = Path(store.folder, name)
    for moment in (1000, time.time() + 10**6):  # long ago, and before the clock went back
        os.utime(folder, (moment, moment))
        store.find(key, "model")
        assert abs(folder.stat().st_mtime - time.time()) < 1000
    recently = time.time() - 20
    os.utime(folder, (recently, recently))
    store.find(key, "model")
    assert folder.stat().st_mtime == pytest.approx(recently, abs=1e-3)


def test_aliases_go_with_their_entries_and_when_there_are_many(
    store, key, model, tmp_path, monkeypatch
):
    monkeypatch.setattr(cache, "YOUNG_SECONDS", 0)
    monkeypatch.setattr(cache, "MOST_ALIASES", 2)
    put(store, key)
    for number in range(4):
        shutil.copy(model, tmp_path / f"{number}.onnx")
        assert store.find(key_of(tmp_path / f"{number}.onnx"), "model") is not None
    store.prune()
    assert len(visible(store)) == 1 + 2
    store.prune(0)
    store.prune(0)
    assert visible(store) == set()


def test_entries_are_described(store, key, model):
    put(store, key)
    (found,) = store.entries()
    assert (found.kind, found.nbytes, found.state, found.in_use) == ("model", 9, "ok", False)
    assert found.sources == ((str(model), 7000, model.stat().st_mtime_ns),)
    model.write_bytes(b"x")
    assert store.entries()[0].state == "source changed"
    model.unlink()
    assert store.entries()[0].state == "source gone"
    damage(Path(store.folder, found.name), "header empty")
    assert store.entries()[0].state.startswith("damaged")


# One writer at a time


def test_a_turn_is_for_one(store, key):
    with store.lock(key) as first, store.lock(key, timeout=0) as second:
        assert (first, second) == (True, False)
    with store.lock(key, timeout=0) as third:
        assert third


def test_who_waits_for_a_writer_that_fails_does_not_try_again(store, key, monkeypatch):
    looked = threading.Event()
    turns = []
    real = cache_folder.modified

    def look(path):
        found = real(path)
        looked.set()
        return found

    def wait():
        with store.lock(key) as turn:
            turns.append(turn)

    monkeypatch.setattr(cache_folder, "modified", look)
    thread = threading.Thread(target=wait)
    with store.lock(key) as mine:
        assert mine
        os.utime(store._lock_path(key), (0, 0))
        thread.start()
        looked.wait()
        with pytest.warns(CacheWarning), store.write(key, "model"):
            raise OSError(errno.ENOSPC, "full")
    thread.join()
    assert turns == [False]


@pytest.mark.parametrize("text", ["soon", "-1", "nan"])
def test_a_wait_that_is_no_number_warns(store, key, monkeypatch, text):
    monkeypatch.setenv("ORTMMAP_CACHE_WAIT", text)
    with pytest.warns(CacheWarning, match="seconds"), store.lock(key) as turn:
        assert turn


def test_locks_are_few_and_stay(store, model):
    for level in range(300):
        with store.lock(key_of(model, level=level)):
            pass
    locks = names_in(store.folder, "locks")
    store.clear()
    assert names_in(store.folder, "locks") == locks
    assert len(locks) <= cache_folder.LOCKS


# Several processes


def run_all(target: Callable, *args: object, count: int) -> list:
    context = multiprocessing.get_context("fork")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads
        with context.Pool(count) as pool:
            return pool.starmap(target, [(*args, number) for number in range(count)], chunksize=1)


def build_counted(folder: str, model: Path, log: Path, number: int) -> bytes:
    store, key = Store(folder), key_of(model)

    def fill(draft):
        with log.open("ab", buffering=0) as file:
            file.write(b"%d\n" % number)
        time.sleep(0.1)
        Path(draft.path("model.ort")).write_bytes(b"optimized" * 1000)

    entry = store.build(key, "model", fill)
    return Path(entry.path()).read_bytes()


@pytest.mark.slow
def test_of_many_that_start_together_one_builds(store, model, tmp_path):
    results = run_all(build_counted, store.folder, model, tmp_path / "log", count=50)
    assert results == [b"optimized" * 1000] * 50
    assert len((tmp_path / "log").read_text().splitlines()) == 1


def churn(folder: str, model: Path, number: int) -> int:
    """Write, find, prune and verify; return how often something was found."""
    import random

    random_ = random.Random(number)
    store = Store(folder, 60_000)
    found = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(60):
            level = random_.randrange(6)
            key = key_of(model, level=level)
            expected = bytes([level]) * 20_000
            match random_.randrange(5):
                case 0:
                    with store.write(key, "model") as draft:
                        Path(draft.path("model.ort")).write_bytes(expected)
                case 1:
                    store.prune(20_000)
                case 2:
                    assert store.verify(key.name("model")) is None
                case 3 if number == 0:
                    store.clear()
                case _:
                    entry = store.find(key, "model")
                    if entry is not None:
                        found += 1
                        try:
                            assert Path(entry.path()).read_bytes() == expected
                        except FileNotFoundError:  # clear() took it away
                            found -= 1
    return found


@pytest.mark.slow
def test_processes_that_write_find_and_prune_at_once_see_whole_entries_only(store, model):
    assert sum(run_all(churn, store.folder, model, count=8)) > 0
    for each in store.entries():
        assert each.state == "ok"
        assert store.verify(each.name) is None
    assert not [name for name in visible(store) if name.startswith("tmp-")]


def test_two_users_do_not_see_each_other(public_path):
    if not ROOT:
        pytest.skip("only root may")
    model = public_path / "model.onnx"
    model.write_bytes(b"weights")
    public_path.chmod(0o777)
    store = store_for(public_path / "cache", model_bytes=0)
    put(store, key_of(model))
    code = """
import sys, warnings
from support import drop_privileges
from ortmmap.cache import store as cache
drop_privileges()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    assert cache.store_for(sys.argv[1], model_bytes=0) is None
assert len(caught) == 1 and "belongs to user 0" in str(caught[0].message), caught
"""
    run_python(code, store.folder)


def test_looking_is_quick_to_import():
    code = """
import sys
import ortmmap.cache.store
slow = {"filelock", "platformdirs", "psutil", "hashlib", "json", "pathlib", "subprocess", "xxhash"}
from ortmmap._core import Session
before = set(sys.modules)
from ortmmap.cache.store import Key, Source, store_for
store = store_for(sys.argv[1], model_bytes=0)
assert store.find(Key([Source.of(__import__("os").__file__)], {}), "model") is None
print(sorted(slow & (set(sys.modules) - before)))
"""
    with tempfile.TemporaryDirectory() as folder:
        assert run_python(code, folder).stdout.strip() == "[]"
