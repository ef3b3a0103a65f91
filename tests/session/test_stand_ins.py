"""Stand-ins: warm sessions whose blocks are recognized, without reading weights or pages."""

from __future__ import annotations

import copy
import errno
import os
import re
import shutil
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import large_models
import models
import numpy as np
import pytest
from large_models import random
from models import build, constant, node, tensor
from support import ask_python, assert_same, configured, onnxruntime_session, run_python

import ortmmap
from ortmmap.cache import folder as cache_folder
from ortmmap.cache import recognition
from ortmmap.cache.draft import add_file
from ortmmap.cache.entry import MOST_TOUCHING_NS, Entry, record
from ortmmap.cache.folder import CacheWarning, write_file
from ortmmap.cache.recognition import RECOGNITION_FILE, Recognition, is_proven, pack, parse
from ortmmap.cache.store import Store
from ortmmap.model import packed_weights
from ortmmap.session import learning
from ortmmap.session.filing import Filing, wait_for_all

pytestmark = pytest.mark.skipif(
    not is_proven(ortmmap.get_version_string()), reason="blocks are always compared here"
)

LAYERS, WIDTH = 4, 512
FEED = {"h0": np.linspace(-1, 1, WIDTH, dtype="f4").reshape(1, WIDTH)}
COMPARED = {"int8 by QDQ"}  # the cases of large_models whose kernel is not in the list

LEARN = """
import sys
import ortmmap
from ortmmap.cache import recognition
from support import configured
recognition.LEAST_TOTAL = 0
session = ortmmap.Session(sys.argv[1], configured(ortmmap.SessionOptions()), cache=sys.argv[2])
assert session.cached.state == "shared", session.cached.reason
"""

ALL_RECOGNIZED = (LAYERS, LAYERS, 0)
ALL_COMPARED = (0, LAYERS, 0)


@pytest.fixture(autouse=True)
def small_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recognition, "LEAST_TOTAL", 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return made(tmp_path / "model.onnx")


@pytest.fixture
def expected(model: Path) -> bytes:
    return onnxruntime_session(model).run(None, FEED)[0].tobytes()


@pytest.fixture
def filled(model: Path, folder: Path) -> Path:
    """The folder of a cache that has learned to recognize the model's blocks."""
    fill(model, folder)
    return folder


def has_huge_pages_of_files() -> bool:
    """Whether MADV_COLLAPSE is there (Linux 6.1)."""
    return tuple(map(int, re.findall(r"\d+", os.uname().release)[:2])) >= (6, 1)


def made(path: Path, layers: int = LAYERS) -> Path:
    path.write_bytes(models.weights(layers, WIDTH))
    return path


def opened(path: Path, folder: Path, **settings: object) -> ortmmap.Session:
    options = configured(ortmmap.SessionOptions(), config=settings.pop("config", {}))
    for name, value in settings.items():
        setattr(options, name, value)
    return ortmmap.Session(path, options, cache=folder)


def fill(path: Path, folder: Path, **settings: object) -> None:
    opened(path, folder, **settings).close()
    assert wait_for_all(120)


def blocks(session: ortmmap.Session) -> tuple[int, int, int]:
    memory = session.memory()
    return memory.recognized_blocks, memory.shared_blocks, memory.private_blocks


def output(session: ortmmap.Session) -> bytes:
    return session.run(None, FEED)[0].tobytes()


def entry_of(folder: Path) -> Entry:
    [name] = [path.name for path in folder.glob("pages-*")]
    return Entry(str(folder), name, holding=False)


def recognition_of(folder: Path) -> Recognition:
    entry = entry_of(folder)
    raw = Path(entry.path(RECOGNITION_FILE)).read_bytes()
    found = parse(raw, entry.key, int.from_bytes(raw[12:16], "little"))
    assert found is not None
    return found


def put(folder: Path, raw: bytes) -> None:
    """Replace an entry's recognition; its header describes the new file."""
    entry = entry_of(folder)
    entry.files = tuple(file for file in entry.files if file.name != RECOGNITION_FILE)
    entry.replace_header(entry.header._replace(files=entry.files))
    add_file(Store(str(folder)), entry, RECOGNITION_FILE, raw)


def filing_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "ortmmap filing"]


def copied(folder: Path) -> Path:
    """Copy a cache once its files are so old that the copy's can be told from them."""
    time.sleep(2 * MOST_TOUCHING_NS / 1e9)
    return shutil.copytree(folder, folder.with_name("copy"))


def keeping_times(path: Path, change: Callable[[], object]) -> None:
    times = path.stat()
    change()
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def removed() -> pytest.WarningsRecorder:
    cache_folder._warned.clear()
    return pytest.warns(CacheWarning, match="is not what was written")


def flip(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 0x40]))


def test_all_blocks_are_recognized(model, filled, expected):
    with opened(model, filled) as session:
        assert blocks(session) == ALL_RECOGNIZED
        assert output(session) == output(session) == expected


@pytest.mark.parametrize("name", large_models.CASES)
def test_each_kernel_computes_the_same(name, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(recognition, "LEAST_BYTES", 1 << 16)
    content, feeds = large_models.CASES[name]()
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    fill(path, folder)
    with opened(path, folder) as session:
        assert_same(session.run(None, feeds), onnxruntime_session(path).run(None, feeds))
        recognized, shared, private = blocks(session)
        assert (recognized > 0) == (name not in COMPARED), (recognized, shared)
        assert private == 0


def test_weights_that_are_read_in_another_way_too_are_compared(folder, tmp_path):
    """An embedding whose weights are the last layer's too; another layer's weights stand in."""
    nodes = [node("Gather", "w i", "g"), node("MatMul", "g v", "h"), node("MatMul", "h w", "y")]
    constants = [constant("w", random(1024, WIDTH)), constant("v", random(WIDTH, 1024))]
    path = tmp_path / "model.onnx"
    path.write_bytes(build(nodes, [tensor("i", "int64", ["n"])], [tensor("y")], constants))
    feeds = {"i": np.arange(3)}
    fill(path, folder)
    assert len(recognition_of(folder).weights) == 1
    with opened(path, folder) as session:
        assert_same(session.run(None, feeds), onnxruntime_session(path).run(None, feeds))
        assert session.memory().recognized_blocks == 1


def test_the_weights_are_not_read(tmp_path, folder):
    """A process maps the model's pages when it reads them; pages of the cache, when it runs."""
    path = made(tmp_path / "model.onnx", 16)
    fill(path, folder)
    code = """
import sys
import numpy as np
import ortmmap
from support import configured

def resident(path):
    size = 0
    for part in open("/proc/self/smaps").read().split("VmFlags"):
        if path in part:
            size += int(part.partition("Rss:")[2].split()[0]) << 10
    return size

path, folder = sys.argv[1:]
session = ortmmap.Session(path, configured(ortmmap.SessionOptions()), cache=folder)
assert session.memory().recognized_blocks == 16
assert resident("model.onnx") <= 3 << 20, resident("model.onnx")
assert resident("/pages") <= 1 << 20, resident("/pages")
session.run(None, {"h0": np.zeros((1, 512), "f4")})
assert resident("/pages") >= 15 << 20
assert resident("model.onnx") <= 3 << 20
"""
    run_python(code, path, folder)


PEAK = """
import os
import sys
import ortmmap
from benchmarks.memory import not_of_files, peak_private
from support import configured

path, folder, tiny = sys.argv[1:]
options = configured(ortmmap.SessionOptions())
ortmmap.Session(tiny, options, cache=False)   # makes what a process has once
before = not_of_files(os.getpid())
with peak_private([os.getpid()], 0.0005) as peak:
    session = ortmmap.Session(path, options, cache=folder)
print([session.memory().recognized_blocks, peak.nbytes - before])
"""


@pytest.mark.skipif(not has_huge_pages_of_files(), reason="recognized blocks lie in scratch here")
def test_a_recognized_block_of_any_size_takes_little_memory(tmp_path, folder):
    """It lies on the fold; one that is compared takes as much as it has bytes."""
    width = 4096
    path, tiny = tmp_path / "matrix.onnx", tmp_path / "tiny.onnx"
    path.write_bytes(models.weights(1, width))
    tiny.write_bytes(models.weights(1, 4))
    fill(path, folder)
    feed = {"h0": np.linspace(-1, 1, width, dtype="f4").reshape(1, width)}
    session = opened(path, folder)
    assert blocks(session) == (1, 1, 0)
    assert_same(session.run(None, feed), onnxruntime_session(path).run(None, feed))
    for value, recognized, least, most in (("1", 1, 0, 8 << 20), ("0", 0, 60 << 20, 80 << 20)):
        found = ask_python(PEAK, path, folder, tiny, env={"ORTMMAP_STANDINS": value})
        assert found[0] == recognized
        assert least <= found[1] <= most


def test_a_model_whose_weights_are_small_in_all_is_compared(model, folder, expected, monkeypatch):
    monkeypatch.setattr(recognition, "LEAST_TOTAL", (LAYERS << 20) + 1)
    fill(model, folder)
    with opened(model, folder) as session:
        assert blocks(session) == ALL_COMPARED
        assert output(session) == expected


def test_a_cold_disk_is_not_read_for_weights(tmp_path, folder):
    path = tmp_path / "model.onnx"
    path.write_bytes(models.weights(8, 1024))
    fill(path, folder)
    code = """
import os, sys
import numpy as np
import ortmmap
from support import configured
path, folder = sys.argv[1:]
fd = os.open(path, os.O_RDONLY)
os.fsync(fd)
os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
os.close(fd)
size = os.path.getsize(path)
with ortmmap.Mapping(path) as mapping:
    assert mapping.resident() < size / 100, mapping.resident()
session = ortmmap.Session(path, configured(ortmmap.SessionOptions()), cache=folder)
session.run(None, {"h0": np.zeros((1, 1024), "f4")})
memory = session.memory()
assert memory.recognized_blocks == 8
assert memory.resident < 0.3 * size, memory
"""
    run_python(code, path, folder)


def test_they_can_be_turned_off(model, filled, expected, monkeypatch):
    monkeypatch.setenv(recognition.VARIABLE, "0")
    with opened(model, filled) as session:
        assert blocks(session) == ALL_COMPARED
        assert output(session) == expected


def test_a_cache_that_was_filled_without_them_is_learned_of_later(
    model, folder, expected, monkeypatch
):
    monkeypatch.setenv(recognition.VARIABLE, "0")
    fill(model, folder)
    assert filing_threads() == []
    opened(model, folder).close()
    assert filing_threads() == []
    monkeypatch.delenv(recognition.VARIABLE)
    with opened(model, folder) as session:
        assert blocks(session) == ALL_COMPARED
        assert output(session) == expected
        assert session.cached.state == "shared"
        assert wait_for_all(120)
        assert output(session) == expected
    with opened(model, folder) as session:
        assert blocks(session) == ALL_RECOGNIZED
        assert output(session) == expected
    assert filing_threads() == []


def test_processes_that_open_at_once_learn_once(model, folder, expected, monkeypatch):
    monkeypatch.setenv(recognition.VARIABLE, "0")
    fill(model, folder)
    monkeypatch.delenv(recognition.VARIABLE)
    before = entry_of(folder).header
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: run_python(LEARN, model, folder), range(4)))
    assert [each.stderr for each in done] == [""] * 4
    after = entry_of(folder).header
    assert len(after.files) == len(before.files) + 1
    with opened(model, folder) as session:
        assert blocks(session) == ALL_RECOGNIZED
        assert output(session) == expected


def test_what_cannot_be_learned_is_noted_for_later_processes(model, folder, monkeypatch):
    monkeypatch.setattr(packed_weights, "PACKED", {})
    fill(model, folder)
    monkeypatch.undo()
    monkeypatch.setattr(recognition, "LEAST_TOTAL", 0)
    assert recognition_of(folder).weights == []
    with opened(model, folder) as session:
        assert blocks(session) == ALL_COMPARED
        assert filing_threads() == []


def test_a_fork_at_any_time_does_not_end_learning_for_ever(model, folder, monkeypatch):
    learn, calls = learning.learn, []

    def learn_interrupted(creation: object, filing: Filing) -> None:
        calls.append(filing)
        if len(calls) == 1:
            filing.interrupt()  # as a fork does
        learn(creation, filing)

    monkeypatch.setattr(learning, "learn", learn_interrupted)
    fill(model, folder)
    assert len(calls) == 2
    with opened(model, folder) as session:
        assert blocks(session) == ALL_RECOGNIZED


def test_a_failure_that_may_pass_is_learned_from_nothing(model, folder, monkeypatch):
    def failing(options: ortmmap.SessionOptions) -> ortmmap.SessionOptions:
        copy = quiet(options)
        copy.add_session_config_entry("session.dynamic_block_base", "none")
        return copy

    quiet = learning.quiet
    monkeypatch.setattr(learning, "quiet", failing)
    fill(model, folder)
    monkeypatch.undo()
    monkeypatch.setattr(recognition, "LEAST_TOTAL", 0)
    assert {path.name for path in folder.glob("pages-*/*")} == {"header", "pages"}
    fill(model, folder)
    with opened(model, folder) as session:
        assert blocks(session) == ALL_RECOGNIZED


def test_nothing_is_learned_of_a_cache_that_cannot_be_written(model, folder, monkeypatch):
    monkeypatch.setenv(recognition.VARIABLE, "0")
    fill(model, folder)
    monkeypatch.delenv(recognition.VARIABLE)
    monkeypatch.setattr(Store, "no_room", lambda _store, _nbytes: "the disk is full")
    with opened(model, folder) as session:
        assert filing_threads() == []
        assert blocks(session) == ALL_COMPARED
    assert {path.name for path in folder.glob("pages-*/*")} == {"header", "pages"}


@pytest.mark.parametrize("version", ["1.99.0", ""])
def test_another_version_compares(model, filled, expected, monkeypatch, version):
    monkeypatch.setattr(recognition, "PROVEN_VERSIONS", (version,))
    with opened(model, filled) as session:
        assert blocks(session) == ALL_COMPARED
        assert output(session) == expected


@pytest.mark.parametrize("config", [{}, {"session.prepack.enable_parallel": "1"}])
def test_a_session_of_several_threads_recognizes_blocks_too(model, filled, config):
    expected = onnxruntime_session(model, intra_op_num_threads=2).run(None, FEED)[0].tobytes()
    with opened(model, filled, intra_op_num_threads=2, config=config) as session:
        assert blocks(session) == ALL_RECOGNIZED
        assert output(session) == expected


@pytest.mark.parametrize("option", ["prefault", "lock"])
def test_weights_that_are_to_stay_in_memory_are_compared(model, filled, expected, option):
    options = configured(ortmmap.SessionOptions())
    with ortmmap.Session(model, options, cache=filled, **{option: True}) as session:
        assert blocks(session) == ALL_COMPARED
        assert output(session) == expected


def test_sessions_of_many_threads_at_once(model, filled, expected):
    def work(_: int) -> None:
        with opened(model, filled) as session:
            assert blocks(session) == ALL_RECOGNIZED
            assert output(session) == expected

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(32)))


def test_a_session_over_the_mapping_of_another_recognizes_blocks_too(model, filled, expected):
    with opened(model, filled) as first, copy.copy(first) as second:
        assert blocks(first) == blocks(second) == ALL_RECOGNIZED
        first.close()
        assert output(second) == expected


def test_the_weights_are_mapped_in_the_end(tmp_path, folder):
    """A kernel that does not pack its weight reads it when it runs."""
    path = made(tmp_path / "model.onnx")
    fill(path, folder)
    code = """
import ctypes, sys
import ortmmap
from support import configured
path, folder = sys.argv[1:]
session = ortmmap.Session(path, configured(ortmmap.SessionOptions()), cache=folder)
assert session.memory().recognized_blocks == 4
content = open(path, "rb").read()
found = []
for line in open("/proc/self/maps"):
    if not line.rstrip().endswith("/model.onnx"):
        continue
    addresses, modes, offset, *_ = line.split()
    start, stop = (int(part, 16) for part in addresses.split("-"))
    size = min(stop - start, len(content) - int(offset, 16))
    assert modes == "r--p"
    assert ctypes.string_at(start, size) == content[int(offset, 16):][:size]
    found.append(size)
assert len([size for size in found if (1 << 20) <= size < (1 << 20) + 8192]) == 4, found
assert "stand-ins" not in open("/proc/self/maps").read()
"""
    run_python(code, path, folder)


def test_sessions_run_while_others_are_created(model, filled, expected):
    with opened(model, filled) as first, ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(output, first) for _ in range(200)]
        for _ in range(10):
            opened(model, filled).close()
        assert {run.result() for run in runs} == {expected}


# Faults


def count_another(found: Recognition) -> Recognition:
    return found._replace(dependent=found.dependent + 1)


def change_each(found: Recognition) -> Recognition:
    return found._replace(fingerprints=[(low ^ 1, high) for low, high in found.fingerprints])


def change_one(found: Recognition) -> Recognition:
    (low, high), *others = found.fingerprints
    return found._replace(fingerprints=[(low, high ^ 2), *others])


def forget_one(found: Recognition) -> Recognition:
    return found._replace(fingerprints=[(0, 0), *found.fingerprints[1:]])


def leave_out_a_weight(found: Recognition) -> Recognition:
    return found._replace(weights=found.weights[1:])


def take_one_for_another(found: Recognition) -> Recognition:
    """The last weight stands in, whose block has no fingerprint; the first one's has its own."""
    last = found.weights.index(b"w%d" % (LAYERS - 1))
    first = found.weights.index(b"w0")
    weights = [name for index, name in enumerate(found.weights) if index != first]
    fingerprints = list(found.fingerprints)
    fingerprints[last] = (0, 0)
    return found._replace(weights=weights, fingerprints=fingerprints, dependent=found.dependent - 1)


def name_another(found: Recognition) -> Recognition:
    return found._replace(weights=[b"nobody", *found.weights[1:]])


@pytest.mark.parametrize(
    "change",
    [
        change_each,
        change_one,
        forget_one,
        leave_out_a_weight,
        take_one_for_another,
        name_another,
        count_another,
    ],
)
def test_a_wrong_recognition_leads_to_comparing(model, filled, expected, change):
    put(filled, pack(change(recognition_of(filled)), entry_of(filled).key))
    with opened(model, filled) as session:
        recognized, shared, private = blocks(session)
        assert (shared, private) == (LAYERS, 0)
        assert recognized == 0
        assert output(session) == expected
        assert wait_for_all(120)
    with opened(model, filled) as session:  # what was right has been learned again
        assert blocks(session) == (ALL_COMPARED if change is name_another else ALL_RECOGNIZED)
        assert output(session) == expected


def test_a_wrong_recognition_stays_if_the_stored_blocks_are_others_too(model, filled, expected):
    """Where the entry was written, by another processor, it may be right."""
    put(filled, pack(change_each(recognition_of(filled)), entry_of(filled).key))
    before = Path(entry_of(filled).path(RECOGNITION_FILE)).read_bytes()
    pages = Path(entry_of(filled).path("pages"))
    for offset in range(1 << 18, pages.stat().st_size, 1 << 18):
        flip(pages, offset)
    entry = entry_of(filled)
    files = tuple(record(entry.path(file.name)) for file in entry.files)
    entry.replace_header(entry.header._replace(files=files))
    with opened(model, filled) as session:
        assert session.memory().private_blocks > 0
        assert output(session) == expected
        assert wait_for_all(120)
    assert Path(entry_of(filled).path(RECOGNITION_FILE)).read_bytes() == before


def test_weights_are_recognized_in_any_order(model, filled, expected):
    """Which part of the pattern a weight shows depends on its name."""
    found = recognition_of(filled)
    turned = found._replace(weights=found.weights[::-1])
    put(filled, pack(turned, entry_of(filled).key))
    with opened(model, filled) as session:
        assert blocks(session) == ALL_RECOGNIZED
        assert output(session) == expected


@pytest.mark.parametrize("order", [[3, 2, 1, 0], [1, 0, 3, 2], [0, 2, 1, 3]])
def test_a_wrong_order_costs_time_at_most(model, filled, expected, order):
    entry = entry_of(filled)
    put(filled, pack(recognition_of(filled)._replace(order=order), entry.key))
    with opened(model, filled) as session:
        assert blocks(session)[1:] == (LAYERS, 0)
        assert output(session) == expected


@pytest.mark.parametrize("order", [[0, 0, 1, 2], [1, 2, 3, 4]])
def test_an_order_must_have_each_block_once(filled, order):
    entry = entry_of(filled)
    raw = pack(recognition_of(filled)._replace(order=order), entry.key)
    assert parse(raw, entry.key, LAYERS) is None


@pytest.mark.parametrize("size", [0, 10, 100, -1])
def test_a_recognition_that_is_cut_off_leads_to_comparing(model, filled, expected, size):
    raw = Path(entry_of(filled).path(RECOGNITION_FILE)).read_bytes()
    put(filled, raw[:size])
    with opened(model, filled) as session:
        assert blocks(session) == ALL_COMPARED
        assert output(session) == expected


def test_the_recognition_of_another_model_leads_to_comparing(model, filled, expected, tmp_path):
    other = made(tmp_path / "other.onnx", LAYERS + 1)
    fill(other, tmp_path / "others")
    put(filled, Path(entry_of(tmp_path / "others").path(RECOGNITION_FILE)).read_bytes())
    with opened(model, filled) as session:
        assert blocks(session) == ALL_COMPARED
        assert output(session) == expected


@pytest.mark.parametrize("offset", range(1 << 18, 1 << 22, 1 << 19))
def test_pages_that_were_changed_and_dated_back_are_compared(model, filled, expected, offset):
    """Whether its samples show it or not."""
    path = Path(entry_of(filled).path("pages"))
    keeping_times(path, lambda: flip(path, offset + 3))
    for _ in range(2):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CacheWarning)
            session = opened(model, filled)
        assert output(session) == expected
        assert session.memory().recognized_blocks == 0
        session.close()


def test_a_recognition_that_was_changed_and_dated_back_is_not_used(model, filled, expected):
    path = Path(entry_of(filled).path(RECOGNITION_FILE))
    keeping_times(path, lambda: flip(path, 70))
    with removed(), opened(model, filled) as session:
        assert output(session) == expected
        assert session.memory().recognized_blocks == 0


def test_a_copy_of_the_cache_is_compared(model, filled, expected):
    """Only samples of its files have been. Learning would read the model in every container."""
    copy = copied(filled)
    for _ in range(2):
        with opened(model, copy) as session:
            assert filing_threads() == []
            assert blocks(session) == ALL_COMPARED
            assert output(session) == expected


def test_nothing_is_recognized_of_a_copy_whose_pages_are_wrong(model, filled, expected):
    """The flipped byte is in none of the samples."""
    copy = copied(filled)
    (pages,) = copy.glob("pages-*/pages")
    keeping_times(pages, lambda: flip(pages, (1 << 16) + 20_000))
    for _ in range(2):
        with opened(model, copy) as session:
            recognized, shared, private = blocks(session)
            assert (recognized, shared + private) == (0, LAYERS)
            assert output(session) == expected
        assert wait_for_all(120)


@pytest.mark.parametrize("name", ["pages", RECOGNITION_FILE])
def test_a_file_of_another_model_is_not_used(model, filled, expected, tmp_path, name):
    """It has the same size, and gets the same times."""
    other = tmp_path / "other.onnx"
    other.write_bytes(model.read_bytes().replace(b"\x3d", b"\x3c"))
    fill(other, tmp_path / "others")
    path = Path(entry_of(filled).path(name))
    raw = Path(entry_of(tmp_path / "others").path(name)).read_bytes()
    assert len(raw) == path.stat().st_size
    keeping_times(path, lambda: path.write_bytes(raw))
    with removed(), opened(model, filled) as session:
        assert output(session) == expected
        assert session.memory().recognized_blocks == 0


def test_verify_reads_what_recognition_needs(filled):
    entry = entry_of(filled)
    path = Path(entry.path(RECOGNITION_FILE))
    keeping_times(path, lambda: flip(path, 60))
    assert RECOGNITION_FILE in (Store(str(filled)).verify(entry.name) or "")


def test_a_model_that_is_replaced_before_its_pages_are_changes_nothing(model, filled, expected):
    """The file of the mapping has gone then, so its pages could not be mapped again."""
    code = """
import os, sys
import numpy as np
import ortmmap
from support import configured
path, folder, expected = sys.argv[1:]
seen = 0
def replace(event, arguments):
    global seen
    if event == "open" and arguments[0] == path and arguments[2] & os.O_NONBLOCK:
        seen += 1
        os.replace(path + ".other", path)
open(path + ".other", "wb").write(open(path, "rb").read())
options = configured(ortmmap.SessionOptions())
sys.addaudithook(replace)
session = ortmmap.Session(path, options, cache=folder)
assert seen == 1, seen
memory = session.memory()
assert (memory.recognized_blocks, memory.private_blocks) == (0, 0), memory
feed = {"h0": np.linspace(-1, 1, 512, dtype="f4").reshape(1, 512)}
assert session.run(None, feed)[0].tobytes().hex() == expected
"""
    run_python(code, model, filled, expected.hex())


def test_a_process_that_can_have_few_more_mappings(model, filled, expected):
    """Each piece of the pattern is one. If they do not suffice, the weights' pages are put back."""
    code = """
import ctypes, mmap, sys
import numpy as np
import ortmmap
from support import configured
path, folder, expected = sys.argv[1:4]
def read(path):
    with open(path) as file:
        return file.read()
feed = {"h0": np.linspace(-1, 1, 512, dtype="f4").reshape(1, 512)}
def recognized():
    session = ortmmap.Session(path, configured(ortmmap.SessionOptions()), cache=folder)
    assert session.run(None, feed)[0].tobytes().hex() == expected, left
    return session.memory().recognized_blocks
left = None
assert recognized() == 4   # all modules are imported
most = int(read("/proc/sys/vm/max_map_count"))
area = mmap.mmap(-1, 4096 * (2 * most + 4))
address = ctypes.addressof(ctypes.c_char.from_buffer(area))
protect = ctypes.CDLL(None, use_errno=True).mprotect
page, found = 0, []
for left in range(60, -1, -1):
    while (missing := most - left - len(read("/proc/self/maps").splitlines())) > 1:
        for _ in range(missing // 2):
            page += 2
            if protect(ctypes.c_void_p(address + 4096 * page), 4096, 0) != 0:
                break
    try:
        found.append(recognized())
    except (MemoryError, ortmmap.errors.OrtError):
        found.append(None)
assert found[0] == 4 and found[-1] != 4, found
for piece in range(2, page + 2, 2):
    assert protect(ctypes.c_void_p(address + 4096 * piece), 4096, 3) == 0
assert recognized() == 4
"""
    run_python(code, model, filled, expected.hex())


def test_a_fork_while_sessions_are_created(model, filled, expected):
    code = """
import os, sys, threading
import numpy as np
import ortmmap
from support import configured
path, folder, expected = sys.argv[1:]
feed = {"h0": np.linspace(-1, 1, 512, dtype="f4").reshape(1, 512)}
def opened():
    session = ortmmap.Session(path, configured(ortmmap.SessionOptions()), cache=folder)
    assert session.memory().recognized_blocks == 4
    assert session.run(None, feed)[0].tobytes().hex() == expected
    return session
def work():
    for _ in range(20):
        opened().close()
first = opened()
threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads:
    thread.start()
for _ in range(20):
    child = os.fork()
    if child == 0:
        opened()
        assert first.run(None, feed)[0].tobytes().hex() == expected
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
for thread in threads:
    thread.join()
"""
    run_python(code, model, filled, expected.hex())


@pytest.mark.slow
def test_what_a_killed_process_has_not_learned_the_next_one_learns(model, folder, expected):
    """Its n-th access to the cache's folder is its last, beginning with the work after filing."""
    code = """
import os, sys
import ortmmap
from ortmmap.cache import recognition
recognition.LEAST_TOTAL = 0
from ortmmap.session import learning
from ortmmap.session.filing import Filing, wait_for_all
from support import configured
seen, last = None, int(sys.argv[3])
def die(event, arguments):
    global seen
    if event == "import" and arguments[0] == "ortmmap.model.packed_weights":
        seen = 0
    texts = [one for one in arguments if isinstance(one, (str, bytes))]
    if seen is not None and any(sys.argv[2] in os.fsdecode(one) for one in texts):
        seen += 1
        if seen == last:
            os.kill(os.getpid(), 9)
sys.addaudithook(die)
session = ortmmap.Session(sys.argv[1], configured(ortmmap.SessionOptions()), cache=sys.argv[2])
assert wait_for_all(60)
"""
    found = set()
    for last in range(1, 60):
        done = run_python(code, model, folder, last, check=False)
        assert done.returncode in (0, -9), done.stderr
        with opened(model, folder) as session:
            assert output(session) == expected
            found.add(blocks(session))
        assert wait_for_all(60)
        with opened(model, folder) as session:
            assert blocks(session) == ALL_RECOGNIZED
            assert output(session) == expected
        shutil.rmtree(folder)
        if done.returncode == 0:
            break
    assert done.returncode == 0
    assert found == {ALL_COMPARED, ALL_RECOGNIZED}


def test_no_room_for_the_recognition_leaves_the_entry_as_it_is(
    model, folder, expected, monkeypatch
):
    def write(path: str, raw: bytes) -> None:
        if raw.startswith(recognition.MAGIC):
            raise OSError(errno.ENOSPC, "No space left on device")
        write_file(path, raw)

    monkeypatch.setattr("ortmmap.cache.draft.write_file", write)
    fill(model, folder)
    monkeypatch.undo()
    names = {path.name for path in folder.glob("pages-*/*")}
    assert names == {"header", "pages"}
    with opened(model, folder) as session:
        assert blocks(session) == ALL_COMPARED
        assert output(session) == expected


def test_the_file_has_the_format_that_its_module_describes(filled):
    entry = entry_of(filled)
    raw = Path(entry.path(RECOGNITION_FILE)).read_bytes()
    assert raw[:12] == b"ORTMSTND\x05\0\0\0"
    assert raw[24:56] == entry.key
    found = recognition_of(filled)
    assert len(found.fingerprints) == len(set(found.fingerprints)) == LAYERS
    assert sorted(found.order) == list(range(LAYERS))
    assert all(re.fullmatch(rb"w\d", name) for name in found.weights)
