"""Which sessions use the cache, and in which folder; sizes and limits."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from cache_entries import configured, content_of, linux, needs_root, put, with_config
from support import NOBODY, run_python

import ortmmap
from ortmmap.cache import folder as cache_folder
from ortmmap.cache import is_used
from ortmmap.cache.folder import CacheWarning, is_network
from ortmmap.cache.key import Key
from ortmmap.cache.sizes import parse_size
from ortmmap.cache.store import open_store
from ortmmap.options import SessionOptions

pytestmark = pytest.mark.usefixtures("clean")


SMALL, LARGE = (16 << 20) - 1, 16 << 20


@pytest.mark.parametrize(
    ("setting", "variable", "session", "used"),
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
def test_the_argument_goes_before_the_variable(monkeypatch, setting, variable, session, used):
    model_bytes, cpu_only = session
    if variable is not None:
        monkeypatch.setenv("ORTMMAP_CACHE", variable)
    found = is_used(setting, model_bytes=model_bytes, cpu_only=cpu_only)
    assert found is used
    assert (found and open_store(setting).refused is None) is used


@pytest.mark.parametrize(
    ("model", "used"),
    [
        ({"model_bytes": (8 << 20) - 1}, False),
        ({"model_bytes": 8 << 20}, True),
        ({"model_bytes": 1, "nodes": 400}, False),
        ({"model_bytes": 1, "nodes": 401}, True),
        ({"model_bytes": (3 << 20) - 1, "convolutions": 1}, False),
        ({"model_bytes": 3 << 20, "convolutions": 1}, True),
    ],
)
def test_a_small_model_uses_the_cache_only_in_a_named_folder(monkeypatch, tmp_path, model, used):
    monkeypatch.setenv("ORTMMAP_CACHE_DIR", str(tmp_path))
    assert is_used(True, cpu_only=False, **model) is used
    assert is_used(str(tmp_path), cpu_only=False, **model)
    monkeypatch.setenv("ORTMMAP_CACHE", "1")
    assert is_used(None, **model) is used
    assert not is_used(False, **model)


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
    assert printed == "[]"


def test_a_folder_is_made_for_its_owner_alone(tmp_path):
    previous = os.umask(0)
    try:
        store = open_store(tmp_path / "new" / "cache")
    finally:
        os.umask(previous)
    assert Path(store.folder).stat().st_mode & 0o777 == 0o700
    assert Path(store.folder, "CACHEDIR.TAG").read_bytes().startswith(b"Signature: 8a477f59")


def test_the_variables_name_the_folder(monkeypatch, tmp_path):
    assert open_store(True).folder == str(tmp_path / "home" / "ortmmap")
    monkeypatch.setenv("ORTMMAP_CACHE_DIR", str(tmp_path / "other"))
    assert open_store(True).folder == str(tmp_path / "other")


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
        assert is_used(None, model_bytes=LARGE)


def refused(folder: Path, reason: str) -> None:
    """Request a folder three times: a refusal, and one warning, attributed to this file."""
    with pytest.warns(CacheWarning, match=reason) as caught:
        assert all(open_store(folder).prepare() is not None for _ in range(3))
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_a_folder_that_others_may_enter_is_not_used(tmp_path):
    (tmp_path / "open").mkdir(mode=0o755)
    refused(tmp_path / "open", "chmod -R go-rwx")


def test_a_refusal_ends_with_the_command_that_mends_it(tmp_path, monkeypatch):
    folder = tmp_path / "others' volume"
    folder.mkdir(mode=0o755)
    reason = cache_folder.refusal(str(folder), named=True)
    subprocess.run(reason.split(": ")[-1], shell=True, check=True)
    assert cache_folder.refusal(str(folder), named=True) is None
    folder.chmod(0o777)
    monkeypatch.setattr(os.path, "ismount", lambda path: path == str(folder))
    assert named_by_command(cache_folder.refusal(str(folder), named=True)).parent == folder


def test_a_folder_that_a_volume_has_opened_to_its_group_is_closed_with_its_entries(tmp_path, key):
    """As the kubelet does at each mount, unless fsGroupChangePolicy says otherwise."""
    folder = tmp_path / "cache"
    put(open_store(folder), key)
    for path in (folder, *folder.rglob("*")):
        path.chmod(path.stat().st_mode | (0o2070 if path.is_dir() else 0o060))
    reason = cache_folder.refusal(str(folder), named=True)
    assert "(mode 2770)" in reason
    assert "fsGroupChangePolicy: OnRootMismatch" in reason
    subprocess.run(reason.split(": ")[-1], shell=True, check=True)
    assert content_of(open_store(folder), key) == b"optimized"


@needs_root
def test_a_shared_folder_of_another_user_takes_a_folder_within_it(tmp_path):
    folder = tmp_path / "volume"
    folder.mkdir()
    folder.chmod(0o777)
    os.chown(folder, NOBODY, NOBODY)
    within = named_by_command(cache_folder.refusal(str(folder), named=True))
    assert within.parent == folder
    assert cache_folder.refusal(str(within), named=True) is None


def named_by_command(reason: str) -> Path:
    """Return the folder of the variable that the command of a refusal sets."""
    variable = cache_folder.FOLDER_VARIABLE
    command = f'{reason.rsplit(": ", maxsplit=1)[-1]}; printf %s "${variable}"'
    done = subprocess.run(command, shell=True, check=True, capture_output=True, text=True)
    return Path(done.stdout)


def test_a_link_to_a_folder_is_not_used(tmp_path):
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    refused(tmp_path / "link", "link is a link;")


def test_a_link_to_nothing_is_not_used(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    refused(tmp_path / "link", "link")


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").touch()
    refused(tmp_path / "file", "is not a folder")
    refused(tmp_path / "file" / "below", "cannot be made")


@needs_root
def test_a_folder_of_another_user_is_not_used(tmp_path):
    (tmp_path / "theirs").mkdir(mode=0o700)
    os.chown(tmp_path / "theirs", NOBODY, NOBODY)
    refused(tmp_path / "theirs", "belongs to user")


def test_no_home_is_a_warning(monkeypatch):
    monkeypatch.setattr(cache_folder, "_platform_folder", lambda: "~/.cache/ortmmap")
    with pytest.warns(CacheWarning, match="no home"):
        assert open_store(None).prepare() is not None


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
    assert cache.open_store(True).prepare() is not None
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
        assert open_store(True).prepare() is not None
    assert open_store(tmp_path / "named").prepare() is None
    monkeypatch.setenv("ORTMMAP_CACHE_DIR", str(tmp_path / "named too"))
    assert open_store(None).prepare() is None


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
def test_a_text_that_is_no_size_is_refused(text):
    with pytest.raises(ValueError, match="size"):
        parse_size(text)


def test_a_limit_that_is_no_size_warns_and_is_the_default(monkeypatch, tmp_path):
    monkeypatch.setenv("ORTMMAP_CACHE_LIMIT", "much")
    with pytest.warns(CacheWarning, match="much"):
        store = open_store(tmp_path / "cache")
    assert store.most_bytes == 10 << 30


# A folder that is removed


def assert_as_made_first(folder: str) -> None:
    assert Path(folder).stat().st_mode & 0o777 == 0o700
    assert Path(folder, "CACHEDIR.TAG").read_bytes().startswith(b"Signature: 8a477f59")


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
@pytest.mark.parametrize("use", ["lock", "write"])
def test_a_removed_folder_comes_back_as_it_was_made_first(tmp_path, use):
    previous = os.umask(0o022)
    try:
        store = open_store(tmp_path / "cache")
        shutil.rmtree(store.folder)
        if use == "lock":
            with store.lock(Key([], {})) as turn:
                assert turn
        else:
            with store.write(Key([], {}), "model") as draft:
                Path(draft.path("model.onnx")).write_bytes(b"optimized")
            assert draft.entry is not None
    finally:
        os.umask(previous)
    assert_as_made_first(store.folder)
    assert open_store(tmp_path / "cache") is not None
