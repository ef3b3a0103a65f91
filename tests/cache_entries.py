"""Entries, keys and options for the tests of the cache."""

import os
from pathlib import Path

import pytest

from ortmmap.cache.draft import identify
from ortmmap.cache.store import Key, Source, Store
from ortmmap.options import SessionOptions

ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not ROOT, reason="only root may")
linux = pytest.mark.skipif(not Path("/proc/self/mountinfo").exists(), reason="Linux only")


def key_of(*paths: Path, **settings: object) -> Key:
    return Key([Source.of(path) for path in paths], settings)


def put(store: Store, key: Key, content: bytes = b"optimized", kind: str = "model") -> str:
    """Write an entry, identify it, and return its name."""
    with store.write(key, kind) as draft:
        Path(draft.path("model.ort")).write_bytes(content)
    assert draft.entry is not None
    draft.entry.close()
    identify(store, key)
    return draft.entry.name


def content_of(store: Store, key: Key, kind: str = "model") -> bytes | None:
    entry = store.find(key, kind)
    return None if entry is None else Path(entry.path()).read_bytes()


def names_in(*folder: str) -> set[str]:
    return {path.name for path in Path(*folder).iterdir()}


def visible(store: Store) -> set[str]:
    """Return the names in the folder, except those that are always there."""
    return names_in(store.folder) - {"CACHEDIR.TAG", "locks"}


def configured(**changes: object) -> SessionOptions:
    options = SessionOptions()
    for name, value in changes.items():
        setattr(options, name, value)
    return options


def with_config(key: str, value: str = "1") -> SessionOptions:
    options = SessionOptions()
    options.add_session_config_entry(key, value)
    return options


# Damage to the file `model.ort` of an entry, or to its header


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
