"""Sessions with a cache: optimized once, prepacked weights shared, outputs the same."""

import gc
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import models
import numpy as np
import onnx
import onnxruntime
import pytest
from support import ask_python, assert_same, configured

import ortmmap
import ortmmap.session.optimizing
from ortmmap.cache.store import Store
from ortmmap.session.filing import wait_for_all

HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
LAYERS, WIDTH = 8, 1024  # 32 MiB of weights, each of them prepacked

OPEN = """
import json, sys, warnings
import numpy as np
import ortmmap
from ortmmap.session.filing import wait_for_all
from support import configured, smaps_rollup
warnings.simplefilter("error")
path, cache, config = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
feed = {"h0": np.linspace(-1, 1, 1024, dtype="f4").reshape(1, 1024)}
ortmmap.get_version_string()
before = smaps_rollup()["Anonymous"]
options = configured(ortmmap.SessionOptions(), config=config)
session = ortmmap.Session(path, options, cache=cache)
result = session.run(None, feed)[0]
assert session.cached.wait(60)
assert session.run(None, feed)[0].tobytes() == result.tobytes()
memory = session.memory()
assert wait_for_all(60)  # later sessions recognize their blocks
print(json.dumps([result.tobytes().hex(), smaps_rollup()["Anonymous"] - before, memory._asdict()]))
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("models") / "weights.onnx"
    path.write_bytes(models.weights(LAYERS, WIDTH))
    return path


@pytest.fixture(scope="module")
def expected(model) -> str:
    options = configured(onnxruntime.SessionOptions())
    session = onnxruntime.InferenceSession(model, options, enable_fallback=0)
    return session.run(None, {"h0": feed()})[0].tobytes().hex()


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "cache"


def feed() -> np.ndarray:
    return np.linspace(-1, 1, WIDTH, dtype="f4").reshape(1, WIDTH)


def opened(model: Path, cache: object, config: dict | None = None, **kwargs: object) -> tuple:
    """Open and run in a fresh process; return the output, private bytes and `memory()`."""
    return tuple(
        ask_python(OPEN, model, json.dumps(cache, default=str), json.dumps(config or {}), **kwargs)
    )


def kinds(folder: Path) -> list[str]:
    return sorted(entry.kind for entry in Store(str(folder)).entries())


@pytest.mark.skipif(
    not HUGE_PAGES.exists() or "[never]" in HUGE_PAGES.read_text(), reason="no huge pages"
)
def test_what_the_first_process_packs_lies_in_huge_pages(tmp_path):
    """It takes the fewer page faults, unless huge pages are slow to get."""
    path = tmp_path / "m.onnx"
    path.write_bytes(models.weights(4, 2048))  # blocks of 16 MiB
    code = """
import json, resource, sys
import ortmmap
from support import configured
def page_faults():
    return resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
ortmmap.get_version_string()
before = page_faults()
session = ortmmap.Session(sys.argv[1], configured(ortmmap.SessionOptions()), cache=sys.argv[2])
print(json.dumps(page_faults() - before))
"""
    small_pages = 4 * (16 << 20) // 4096
    assert any(ask_python(code, path, tmp_path / str(n)) < small_pages * 3 // 4 for n in range(8))


def test_the_first_process_fills_the_cache_and_the_second_shares_it(model, folder, expected):
    first, _, _ = opened(model, folder)
    assert kinds(folder) == ["model", "pages"]
    second, private, memory = opened(model, folder)
    assert first == second == expected
    assert memory["shared_blocks"] == LAYERS
    assert memory["shared"] >= LAYERS * WIDTH * WIDTH * 4
    assert memory["private_blocks"] == 0
    assert private < memory["shared"] / 2


def test_the_files_that_a_session_needs_are_read_ahead(model, folder, monkeypatch):
    ahead = []
    reader = "ortmmap.session.creation.read_ahead"
    monkeypatch.setattr(reader, lambda files: ahead.append([path for path, _ in files]))
    ortmmap.Session(model, cache=False).close()
    assert ahead.pop() == [str(model)]
    ortmmap_session_at(model, folder).close()
    assert ahead[0] == [str(model)]  # the thread that files creates sessions too
    ahead.clear()
    ortmmap.Session(model, cache=folder).close()
    (pages,) = folder.glob("pages-*/pages")
    assert ahead == [[str(pages), str(model)]]


def test_weights_that_need_not_be_read_are_not_read_ahead(folder, tmp_path, monkeypatch):
    path = tmp_path / "model.onnx"
    path.write_bytes(models.weights(4, 1024))
    options = configured(ortmmap.SessionOptions())
    ortmmap.Session(path, options, cache=folder).cached.wait()
    assert wait_for_all(60)
    ahead = []
    reader = "ortmmap.session.creation.read_ahead"
    monkeypatch.setattr(reader, lambda files: ahead.append([path for path, _ in files]))
    session = ortmmap.Session(path, options, cache=folder)
    (pages,) = folder.glob("pages-*/pages")
    recognized = session.memory().recognized_blocks
    assert ahead == [[str(pages)] if recognized else [str(pages), str(path)]]


def test_a_model_in_ort_format_shares_its_prepacked_weights(model, folder, expected, tmp_path):
    ort = ortmmap.convert(model, tmp_path / "model.ort")
    first, _, _ = opened(ort, folder)
    second, _, memory = opened(ort, folder)
    assert first == second == expected
    assert kinds(folder) == ["pages"]
    assert (memory["shared_blocks"], memory["private_blocks"]) == (LAYERS, 0)


def test_weights_that_prepacking_has_consumed_leave_the_process(model, folder, tmp_path):
    """In ORT format they are in ortmmap's mapping, which drops them; the page cache keeps them."""
    ort = ortmmap.convert(model, tmp_path / "model.ort")
    for _ in range(2):
        session = ortmmap_session_at(ort, folder)
        session.run(None, {"h0": feed()})
        assert session.memory().mapped >= LAYERS * WIDTH * WIDTH * 4
        assert resident_of(ort) < 4 << 20


def resident_of(path: Path) -> int:
    """Return the resident bytes of this process's mappings of a file."""
    resident, named = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split()[0]:
            named = line.endswith(f" {path}")
        elif named and line.startswith("Rss:"):
            resident += int(line.split()[1]) << 10
    return resident


def test_parallel_prepacking_shares_too(model, folder, expected):
    config = {"session.prepack.enable_parallel": "1"}
    opened(model, folder)
    output, _, memory = opened(model, folder, config)
    assert output == expected
    assert memory["shared_blocks"] == LAYERS


def test_without_prepacking_only_the_model_is_kept(model, folder):
    config = {"session.disable_prepacking": "1"}
    plain = opened(model, False, config)[0]
    assert opened(model, folder, config)[0] == plain
    assert opened(model, folder, config)[0] == plain
    assert kinds(folder) == ["model"]


def test_without_a_cache_nothing_is_written(model, folder, expected):
    env = {"ORTMMAP_CACHE_DIR": str(folder)}
    assert opened(model, False, env=env)[0] == expected
    assert opened(model, None, env={**env, "ORTMMAP_CACHE": "0"})[0] == expected
    assert not folder.exists()


def test_the_environment_names_the_folder_and_a_model_of_16_mib_is_cached(model, folder, expected):
    env = {"ORTMMAP_CACHE_DIR": str(folder), "ORTMMAP_CACHE": None}
    assert opened(model, None, env=env)[0] == expected
    assert kinds(folder) == ["model", "pages"]


def test_a_small_model_is_not_cached_unless_its_folder_is_named(onnx_file, folder, monkeypatch):
    monkeypatch.setenv("ORTMMAP_CACHE_DIR", str(folder))
    monkeypatch.delenv("ORTMMAP_CACHE", raising=False)
    ortmmap.Session(onnx_file)
    assert not folder.exists()
    ortmmap.Session(onnx_file, cache=True)
    assert not folder.exists()
    assert ortmmap.Session(onnx_file, cache=folder).cached.wait(60)
    assert kinds(folder) == ["model"] or kinds(folder) == ["model", "pages"]


def test_a_changed_model_is_another(folder, tmp_path):
    path = tmp_path / "changing.onnx"
    path.write_bytes(models.weights(LAYERS, WIDTH))
    before = opened(path, folder)[0]
    path.write_bytes(models.weights(LAYERS + 1, WIDTH))
    after = opened(path, folder)[0]
    assert after != before
    assert after == opened(path, False)[0]
    assert len(kinds(folder)) == 4


def test_options_that_change_the_graph_have_entries_of_their_own(model, folder):
    opened(model, folder)
    session = ortmmap_session_at(model, folder, graph_optimization_level=0)
    session.close()
    assert len(kinds(folder)) == 4


def ortmmap_session_at(model: Path, folder: Path, **settings: object) -> ortmmap.Session:
    """Open a session, and wait until the cache has what belongs to it."""
    options = configured(ortmmap.SessionOptions(), **settings)
    session = ortmmap.Session(model, options, cache=folder)
    assert session.cached.wait(60)
    return session


@pytest.mark.parametrize("damage", ["truncated", "flipped", "emptied", "gone"])
@pytest.mark.parametrize("kind", ["model", "pages"])
def test_a_damaged_entry_is_made_again(model, folder, expected, damage, kind):
    opened(model, folder)
    [entry] = (found for found in Store(str(folder)).entries() if found.kind == kind)
    path = folder / entry.name / ("pages" if kind == "pages" else "graph.onnx")
    content = path.read_bytes()
    path.unlink()
    if damage != "gone":
        middle = len(content) // 2
        flipped = content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :]
        kept = {"truncated": content[:middle], "flipped": flipped, "emptied": b""}[damage]
        path.write_bytes(kept)
        path.chmod(0o600)
    code = OPEN.replace('warnings.simplefilter("error")', "warnings.simplefilter('ignore')")
    output, _, _ = ask_python(code, model, json.dumps(str(folder)), "{}")
    assert output == expected
    assert opened(model, folder)[2]["shared_blocks"] == LAYERS


def test_sessions_share_in_one_process_and_go_in_any_order(model, folder, expected):
    sessions = [ortmmap_session_at(model, folder) for _ in range(4)]
    for index in (2, 0, 3, 1):
        output = sessions[index].run(None, {"h0": feed()})[0]
        assert output.tobytes().hex() == expected
        sessions[index] = None
        gc.collect()
    assert output.tobytes().hex() == expected


def test_other_sessions_run_while_one_is_recorded(model, folder, expected):
    running = ortmmap_session_at(model, folder)
    outputs, stop = set(), threading.Event()

    def run() -> None:
        while not stop.is_set():
            outputs.add(running.run(None, {"h0": feed()})[0].tobytes().hex())

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    opened_too = [ortmmap_session_at(model, folder) for _ in range(3)]
    stop.set()
    for thread in threads:
        thread.join()
    assert outputs == {expected}
    assert all(session.memory().private_blocks == 0 for session in opened_too)


def test_an_old_model_whose_initializers_are_inputs_keeps_its_inputs(folder, tmp_path):
    path = tmp_path / "old.onnx"
    path.write_bytes(models.overridable())
    plain = ortmmap.Session(path, cache=False)
    for _ in range(2):
        session = ortmmap.Session(path, cache=folder)
        assert [arg.name for arg in session.get_inputs()] == [
            arg.name for arg in plain.get_inputs()
        ]
        x = np.arange(3, dtype="f4")
        assert_same(session.run(None, {"x": x}), plain.run(None, {"x": x}))


def kept(folder: Path) -> dict[str, int]:
    """Return the files of the only optimized model, and their sizes."""
    [entry] = (found for found in Store(str(folder)).entries() if found.kind == "model")
    files = {path.name: path.stat().st_size for path in (folder / entry.name).iterdir()}
    return {name: size for name, size in files.items() if name != "header"}


def test_weights_that_stay_as_they_are_are_not_copied(model, folder):
    opened(model, folder)
    [(name, size)] = kept(folder).items()
    assert name == "graph.onnx"
    assert size < model.stat().st_size / 100


def test_a_model_whose_weights_the_optimizer_makes_anew_is_copied(model, folder, expected):
    code = "import ortmmap.session.optimizing as c; c.MOST_REWRITTEN = -1\n" + OPEN
    arguments = (model, json.dumps(str(folder)), "{}")
    assert ask_python(code, *arguments)[0] == expected
    assert kept(folder)["model.data"] >= LAYERS * WIDTH * WIDTH * 4
    output, private, memory = ask_python(code, *arguments)
    assert output == expected
    assert (memory["shared_blocks"], memory["private_blocks"]) == (LAYERS, 0)
    assert memory["mapped"] == kept(folder)["model.data"]
    assert private < memory["shared"] / 2


def test_convolutions_are_copied(folder, tmp_path):
    path = tmp_path / "convolution.onnx"
    path.write_bytes(models.large_convolution())
    x = np.linspace(-1, 1, 512 * 9, dtype="f4").reshape(1, 512, 3, 3)
    plain = ortmmap_session_at(path, False).run(None, {"x": x})
    for _ in range(2):
        assert_same(ortmmap_session_at(path, folder).run(None, {"x": x}), plain)
    assert sorted(kept(folder)) == ["model.data", "model.onnx"]


@pytest.mark.parametrize("rewritten", [4 << 20, -1], ids=["graph", "copy"])
def test_a_model_with_custom_operators_is_cached(folder, tmp_path, monkeypatch, rewritten):
    extensions = pytest.importorskip("onnxruntime_extensions")
    monkeypatch.setattr(ortmmap.session.optimizing, "MOST_REWRITTEN", rewritten)
    proto = onnx.load_from_string(models.weights(2, WIDTH))
    last = proto.graph.output[0].name
    proto.graph.node.add(
        op_type="NegPos", input=[last], output=["negative", "positive"], domain="ai.onnx.contrib"
    )
    proto.graph.output.add().CopyFrom(proto.graph.output[0])
    proto.graph.output[0].name, proto.graph.output[1].name = "negative", "positive"
    proto.opset_import.append(onnx.helper.make_opsetid("ai.onnx.contrib", 1))
    path = tmp_path / "custom.onnx"
    onnx.save(proto, path)
    options = configured(ortmmap.SessionOptions())
    options.register_custom_ops_library(extensions.get_library_path())
    plain = ortmmap.Session(path, options, cache=False).run(None, {"h0": feed()})
    for _ in range(2):
        session = ortmmap.Session(path, options, cache=folder)
        assert_same(session.run(None, {"h0": feed()}), plain)
        assert session.memory().shared_blocks == 2
        session.close()
    assert kinds(folder) == ["model", "pages"]
    assert kept(folder)


def test_a_copy_that_is_cleared_meanwhile_is_done_without(model, folder, expected, monkeypatch):
    monkeypatch.setattr(ortmmap.session.optimizing, "MOST_REWRITTEN", -1)
    ortmmap_session_at(model, folder)
    build = Store.build

    def cleared(store: Store, *args: object, **kwargs: object) -> object:
        entry = build(store, *args, **kwargs)
        store.clear()
        return entry

    monkeypatch.setattr(Store, "build", cleared)
    session = ortmmap_session_at(model, folder)
    assert session.run(None, {"h0": feed()})[0].tobytes().hex() == expected


@pytest.mark.parametrize("rewritten", [4 << 20, -1])
def test_a_copy_of_another_name_is_the_same_model(model, folder, expected, tmp_path, rewritten):
    code = f"import ortmmap.session.optimizing as c; c.MOST_REWRITTEN = {rewritten}\n" + OPEN
    ask_python(code, model, json.dumps(str(folder)), "{}")
    copy = tmp_path / "copy.onnx"
    copy.write_bytes(model.read_bytes())
    (tmp_path / model.name).write_bytes(models.weights(LAYERS, WIDTH)[::-1])  # must not be read
    output, _, memory = ask_python(code, copy, json.dumps(str(folder)), "{}")
    assert output == expected
    assert memory["shared_blocks"] == LAYERS
    assert kinds(folder) == ["model", "pages"]


def test_external_data_of_a_small_file_is_part_of_the_key(folder, tmp_path):
    path = tmp_path / "small.onnx"
    proto = onnx.load_from_string(models.weights(1, WIDTH))
    onnx.save(proto, path, save_as_external_data=True, location="data")
    assert path.stat().st_size < 1 << 16
    before = ortmmap_session_at(path, folder).run(None, {"h0": feed()})[0]
    weights = np.fromfile(tmp_path / "data", "f4")
    (weights * 2).tofile(tmp_path / "data")
    after = ortmmap_session_at(path, folder).run(None, {"h0": feed()})[0]
    assert not np.array_equal(before, after)
    assert_same([after], ortmmap_session_at(path, False).run(None, {"h0": feed()}))
    assert len(kinds(folder)) == 4


def test_a_folder_that_cannot_be_written_warns_once_and_the_session_opens(model, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    with pytest.warns(ortmmap.CacheWarning, match="cache is not used"):
        session = ortmmap.Session(model, cache=blocked)
    assert session.run(None, {"h0": feed()})


def test_memory_counts_mapped_and_resident_bytes(model, folder):
    opened(model, folder)
    memory = ortmmap_session_at(model, folder).memory()
    assert memory.mapped > LAYERS * WIDTH * WIDTH * 4
    assert 0 < memory.resident <= memory.mapped
    assert memory.shared_blocks == LAYERS


def test_processes_that_start_together_build_once_and_all_share(model, folder, expected):
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: opened(model, folder), range(4)))
    assert {output for output, _, _ in found} == {expected}
    assert {memory["shared_blocks"] for _, _, memory in found} == {LAYERS}
    assert kinds(folder) == ["model", "pages"]


def test_a_format_that_an_option_names_is_kept_to(model, folder, expected):
    config = {"session.load_model_format": "ONNX"}
    assert opened(model, folder, config)[0] == expected
    output, _, memory = opened(model, folder, config)
    assert output == expected
    assert memory["shared_blocks"] == LAYERS


def test_a_folder_of_external_data_that_an_option_names_is_kept_to(model, tmp_path, expected):
    (tmp_path / model.name).write_bytes(bytes(model.stat().st_size))
    config = {"session.model_external_initializers_file_folder_path": str(tmp_path)}
    assert opened(model, False, config)[0] == expected
