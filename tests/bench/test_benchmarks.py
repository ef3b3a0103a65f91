"""The benchmarks: what they generate, compute and write, and every command on tiny models."""

import dataclasses
import importlib
import json
import mmap
import os
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from support import REPOSITORY, onnxruntime_session

click_testing = pytest.importorskip("click.testing", reason="the bench extra is not installed")
pytest.importorskip("rich", reason="the bench extra is not installed")
pytest.importorskip("matplotlib", reason="the bench extra is not installed")


WAIT_SECONDS = 30


@pytest.fixture
def module(monkeypatch):
    """Import a module of the benchmarks, which are no part of the installed package."""
    monkeypatch.syspath_prepend(str(REPOSITORY))
    return lambda name: importlib.import_module(f"benchmarks.{name}")


@pytest.fixture
def store(module, tmp_path):
    return module("models").Store(tmp_path / "models")


@pytest.fixture
def command(module, tmp_path):
    """Run ``python -m benchmarks`` with models of this test, and return what it printed."""

    def run(*args, fails=False):
        options = {} if args[0] == "report" else {"ORTMMAP_BENCH_MODELS": str(tmp_path / "models")}
        result = click_testing.CliRunner().invoke(
            module("__main__").cli, [str(arg) for arg in args], env=options
        )
        if not fails and result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert (result.exit_code != 0) == fails, result.output
        return result.output

    return run


def spread(module, *values):
    return module("spread").Spread.of(values)


def row(module, rival, at=None, model="m", **figures):
    known = {name: None if one is None else spread(module, *one) for name, one in figures.items()}
    difference = module("difference").Difference(0.0, True)
    axis = None if at is None else "workers"
    return module("report").Row(model, rival, rival, known, difference, axis, at)


def report(module, rows, units=None, **more):
    units = units or {"open": "ms"}
    return module("report").Report("Title", "Caption.", units, rows, [], {}, **more)


# Models and inputs


def test_sizes_of_dimensions(module):
    size = module("inputs").size
    sizes = {"batch": 2, "sequence": 5, "past": 7}
    assert size(3, sizes) == 3
    assert size("batch_size", sizes) == 2
    assert size("past_sequence_length + sequence_length", sizes) == 12
    assert size("past + 1", sizes) == 8
    assert size("unheard of", sizes) == 1
    assert size(None, sizes) == 1


@pytest.mark.parametrize(
    ("name", "inputs", "nodes"),
    [
        ("weights_1", 1, 16),
        ("nodes_10", 1, 10),
        ("inputs_4", 4, 1),
        ("inputs_3x7", 3, 1),
        ("strings_3", 1, 1),
    ],
)
def test_models_of_any_size(store, name, inputs, nodes):
    onnx = pytest.importorskip("onnx", reason="the bench extra is not installed")
    case = store.case(f"{name}.onnx", {})
    model = onnx.load(case.path)
    assert (len(model.graph.input), len(model.graph.node)) == (inputs, nodes)
    [output] = onnxruntime_session(case.path).run(None, case.feeds)
    if name == "strings_3":
        assert output.tolist() == case.feeds["x"].tolist()
        assert set(map(len, output)) == {18}
        return
    assert np.isfinite(output).all()
    if name == "weights_1":
        assert 2**20 <= case.nbytes < 1.01 * 2**20
    if name == "inputs_3x7":
        assert output.shape == (1, 7)
        assert np.allclose(output, sum(case.feeds.values()))


def test_large_weights_are_external_data(module, store, monkeypatch):
    models = module("models")
    monkeypatch.setattr(models, "_LARGEST_PROTOBUF", 0)
    case = store.case("weights_1.onnx", {})
    assert case.path.stat().st_size < 10_000
    assert case.nbytes > 2**20
    monkeypatch.setattr(models, "_LARGEST_PROTOBUF", 1)
    inside = models.Store(case.folder / "inside").case("weights_1.onnx", {})
    external, internal = (onnxruntime_session(one.path) for one in (case, inside))
    assert (external.run(None, case.feeds)[0] == internal.run(None, case.feeds)[0]).all()


@pytest.mark.parametrize("name", ["weights_0", "nodes_", "nodes_2x3", "bert", "inputs_4x"])
def test_an_unknown_model_is_named(module, store, name):
    assert module("models").generated(name) is None
    with pytest.raises(LookupError, match=name):
        store.onnx(name)


def test_a_model_that_is_quantized(module, store, monkeypatch):
    models = module("models")
    small = dataclasses.replace(models.generated("weights_1"), quantize=True)
    monkeypatch.setitem(models.MODELS, "small_int8", small)
    case = store.case("small_int8.onnx", {})
    assert case.path.stat().st_size < 2**20 / 3
    assert not list(case.folder.glob("*.plain.onnx"))
    [output] = onnxruntime_session(case.path).run(None, case.feeds)
    [plain] = onnxruntime_session(store.onnx("weights_1")).run(None, case.feeds)
    assert np.allclose(output, plain, atol=0.3)


def test_gpt2_appends_to_its_past(module, monkeypatch):
    gpt2 = module("architectures.gpt2")
    inputs = tuple(
        dataclasses.replace(
            one,
            shape=tuple(2 if size == gpt2._HEAD_SIZE else size for size in one.shape),
            high=min(one.high, 8),
        )
        for one in gpt2.GPT2_INPUTS
    )
    outputs = {name: (*shape[:-1], None) for name, shape in gpt2._OUTPUTS.items()}
    small = {"_VOCABULARY": 11, "_POSITIONS": 8, "_HIDDEN": 24, "_HEAD_SIZE": 2}
    for name, value in {**small, "GPT2_INPUTS": inputs, "_OUTPUTS": outputs}.items():
        monkeypatch.setattr(gpt2, name, value)
    model, sizes = gpt2.gpt2(), {"sequence": 2, "past": 3}
    assert model.ByteSize() < 2**20
    feeds = module("inputs").feeds(inputs, sizes)
    session = onnxruntime_session(model.SerializeToString())
    names = [one.name for one in session.get_outputs()]
    outputs = dict(zip(names, session.run(None, feeds), strict=True))
    assert outputs["logits"].shape[:2] == (1, 2)
    past = feeds["past_key_values.3.value"]
    assert (outputs["present.3.value"][:, :, :3] == past).all()
    # A later token changes nothing for those before: the mask is causal.
    feeds["input_ids"][:, 1] = (feeds["input_ids"][:, 1] + 1) % 8
    other = session.run(["logits"], feeds)[0]
    assert (other[:, 0] == outputs["logits"][:, 0]).all()
    assert (other[:, 1] != outputs["logits"][:, 1]).any()


# Forms


@pytest.mark.parametrize("form", ["ort", "mapped", "external", "prepacked"])
def test_a_form_is_made_once_and_computes_the_same(module, store, form):
    pytest.importorskip("onnx", reason="the bench extra is not installed")
    forms = module("forms")
    case = store.case("weights_1.onnx", {})
    path = forms.form_of(form, case.path, case.folder)
    made = path.stat().st_mtime_ns
    assert forms.form_of(form, case.path, case.folder) == path
    assert path.stat().st_mtime_ns == made
    if form in ("external", "prepacked"):
        assert forms.data_of(path).stat().st_size > 2**20 / 2
        assert path.stat().st_size < 2**16
    assert not list(case.folder.glob("*.tmp*"))
    ours, theirs = onnxruntime_session(path), onnxruntime_session(case.path)
    assert (ours.run(None, case.feeds)[0] == theirs.run(None, case.feeds)[0]).all()


def test_forms_of_two_models_of_one_name(module, store, tmp_path):
    forms = module("forms")
    content = store.onnx("nodes_10").read_bytes()
    paths = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        (folder / "model.onnx").write_bytes(content)
        paths.append(forms.form_of("ort", folder / "model.onnx", tmp_path / "models"))
    assert paths[0] != paths[1]


def test_a_form_that_cannot_be_made_says_of_what(module, tmp_path):
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"not a model")
    with pytest.raises(ValueError, match=r"broken\.onnx can't be saved as prepacked"):
        module("forms").form_of("prepacked", path, tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == ["broken.onnx"]


# Rivals


def test_a_rival_whose_module_is_missing_says_so(module, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    reason = module("rivals").RIVALS["openvino"].unavailable(Path("model.onnx"))
    assert "openvino" in reason


def test_which_rivals_open_which_files(module):
    rivals = module("rivals").RIVALS
    assert rivals["ort-prepacked"].unavailable(Path("model.ort")) == "needs the .onnx file"
    assert rivals["ort"].unavailable(Path("model.ort")) is None
    newer = dataclasses.replace(rivals["ort"], onnxruntime=(99, 0))
    assert newer.unavailable(Path("model.onnx")).startswith("needs onnxruntime 99.0")


def test_every_rival_names_one_that_opens_nothing(module):
    rivals = module("rivals").RIVALS
    for rival in rivals.values():
        assert not rivals[rival.bare].opens
        assert rivals[rival.bare].module == rival.module


# The page cache


def cached(path):
    """Return whether a file's first page is in memory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.preadv(descriptor, [bytearray(1)], 0, os.RWF_NOWAIT) == 1
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)


@pytest.mark.skipif(not hasattr(os, "RWF_NOWAIT"), reason="preadv2(2) is Linux's")
def test_files_and_folders_are_dropped_and_read(module, tmp_path):
    page_cache = module("page_cache")
    (tmp_path / "folder").mkdir()
    paths = [tmp_path / "file", tmp_path / "folder" / "inside"]
    for path in paths:
        path.write_bytes(os.urandom(1 << 20))
    wanted = [tmp_path / "file", tmp_path / "folder", tmp_path / "missing"]
    page_cache.read(wanted)
    try:
        assert all(map(cached, paths))
    except OSError as error:
        pytest.skip(f"this file system does not tell: {error}")
    page_cache.drop(wanted)
    if any(map(cached, paths)):
        pytest.skip("this file system keeps its pages, as tmpfs does")
    page_cache.read(wanted)
    assert all(map(cached, paths))


# Memory


def test_a_sampler_keeps_the_most(module):
    sizes = iter([3, 9, 4])
    ended = threading.Event()

    def read():
        size = next(sizes, None)
        if size is None:
            ended.set()
        return size

    with module("memory").Sampler(read, 0.0) as sampler:
        assert ended.wait(WAIT_SECONDS)
    assert sampler.nbytes == 9


def test_a_sampler_samples_at_least_once(module):
    with module("memory").Sampler(lambda: 5, 60.0) as sampler:
        pass
    assert sampler.nbytes == 5


def test_the_peak_of_memory_that_has_gone(module):
    memory = module("memory")
    nbytes = 1 << 26
    before = memory.not_of_files(os.getpid())
    if before is None:
        pytest.skip("this system does not tell, without a cost, what is private")
    # Not malloc's: that may give what is resident already, freed by whoever ran before.
    with memory.PeakPrivate([os.getpid()]) as peak, mmap.mmap(-1, nbytes) as held:
        held.write(b"1" * nbytes)
        deadline = time.monotonic() + WAIT_SECONDS
        while (peak.nbytes or 0) < before + nbytes // 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert peak.nbytes >= before + nbytes // 2


def test_shared_is_what_is_resident_and_not_private(module):
    memory = module("memory").Memory
    assert memory(private=30, shmem=0, rss=100, pss=50, swap=10).shared == 80
    assert memory(private=30, shmem=None, rss=20, pss=None, swap=None).shared == 0


def test_a_process_that_has_gone_has_no_sum(module):
    assert module("memory")._sum(module("memory").not_of_files, [2**22 + 1]) is None


# Fits and verdicts


def test_a_line_is_found(module):
    line = module("growth").line
    slope, intercept, fit = line([1, 2, 4, 8], [5, 7, 11, 19])
    assert (slope, intercept, fit) == pytest.approx((2, 3, 1))
    assert line([1, 2, 3], [4, 4, 4]) == pytest.approx((0, 4, 1))
    assert line([1, 2, 4, 8], [0, 0, 0, 0]) == (0, 0, 1)
    assert line([1, 2, 4, 8], [0.1, 0.1, 0.1, 0.1]) == pytest.approx((0, 0.1, 1))
    assert line([1, 1, 2], [1, 2, 3]) is None
    *_, fit = line([1, 2, 3, 4], [1, 5, 0, 4])
    assert 0 <= fit < 0.5


def test_growth_is_by_model_and_rival(module):
    rows = [
        row(module, rival, at=at, model=model, open=(slope * at, slope * at))
        for model, factor in (("a", 1), ("b", 10))
        for at in (1, 2, 4)
        for rival, slope in (("ort", 3 * factor), ("ortmmap", factor))
    ]
    growth = {(one.model, one.rival): one for one in report(module, rows).growth()}
    slopes = {key: one.slope for key, one in growth.items()}
    expected = {("a", "ort"): 3, ("a", "ortmmap"): 1, ("b", "ort"): 30, ("b", "ortmmap"): 10}
    assert slopes == pytest.approx(expected)
    assert {one.axis for one in growth.values()} == {"workers"}


@pytest.mark.parametrize(
    ("ours", "other", "word"),
    [
        ((1, 1.1, 1.2), (2, 2.1, 2.2), "ahead"),
        ((2, 2.1, 2.2), (1, 1.1, 1.2), "behind"),
        ((1, 2, 3), (1.5, 2.5, 3.5), "even"),
        ((1.00,), (1.01,), "even"),
    ],
)
def test_verdicts(module, ours, other, word):
    verdicts = module("verdicts")
    ours, other = spread(module, *ours), spread(module, *other)
    assert verdicts.judged(ours, other, False) == word
    opposite = {"ahead": "behind", "behind": "ahead", "even": "even"}
    assert verdicts.judged(ours, other, True) == opposite[word]


def test_the_best_of_the_others_is_no_row_of_ours_and_opens_something(module):
    rows = [
        row(module, "ort", open=(9,)),
        row(module, "openvino", open=(5,)),
        row(module, "ortmmap", open=(7,)),
        row(module, "ortmmap-nocache", open=(1,)),
        row(module, "bare-ortmmap", open=(0,)),
    ]
    verdicts = module("verdicts")
    [best] = verdicts.against_best(report(module, rows), "ortmmap")
    assert (best.other, best.word, best.times) == ("openvino", "behind", 7 / 5)
    [first] = verdicts.against_first(report(module, rows), "ortmmap")
    assert (first.other, first.word) == ("ort", "ahead")
    more = report(module, rows, more_is_better=["open"])
    assert verdicts.against_best(more, "ortmmap")[0].other == "ort"


# Reports


def test_a_report_comes_back_from_json(module):
    reports = module("report")
    rows = [row(module, "ort", at=at, open=(1, 2), private=None) for at in (1, 2)]
    bare = dataclasses.replace(
        row(module, "bare-ortmmap", at=2, open=(1,), private=None), difference=None
    )
    made = report(module, [*rows, bare], {"open": "ms", "private": "MiB"}, nbytes={"m": 3})
    assert reports.from_json(json.loads(json.dumps(reports.as_json(made)))) == made
    with pytest.raises(ValueError, match="not a report"):
        reports.from_json({"title": "something else"})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1234.5, "1234"),
        (99.94, "99.9"),
        (3.14159, "3.14"),
        (0.5, "0.500"),
        (0.000123456, "0.000123"),
    ],
)
def test_amounts(module, value, text):
    assert module("report").amount(value) == text
    assert module("report").amount(-value) == f"-{text}"


def test_a_table_compares_rows_of_the_same_amount(module):
    rows = [
        row(module, rival, at=at, open=(figure,))
        for at, figures in ((1, (10, 5)), (2, (20, 5)))
        for rival, figure in zip(("ort", "ortmmap"), figures, strict=True)
    ]
    [text] = module("report").markdown_tables(report(module, rows))
    assert "| 1 | ortmmap | 5.00 (0.50x) |" in text
    assert "| 2 | ortmmap | 5.00 (0.25x) |" in text


def test_what_a_column_has_over_the_bare_processes(module):
    harness, columns = module("harness"), module("columns")

    def records(*sizes):
        groups = [harness.Group(private=0, pss=size * 2**20) for size in sizes]
        return [harness.Record({}, {}, None, group) for group in groups for _ in range(2)]

    over = columns.OVER_BARE.figure(records(100, 110, 120), records(40, 50, 60))
    assert (over.median, over.count) == (60, 3)
    assert columns.OVER_BARE.figure(records(100), ()) is None


def test_a_picture_of_lines(module, tmp_path):
    rows = [
        row(module, rival, at=at, open=(at, at + 1), private=None)
        for at in (1, 10, 1000)
        for rival in ("ort", "ortmmap", "ortmmap-nocache")
    ]
    made = report(module, rows, {"open": "ms", "private": "MiB"})
    made = dataclasses.replace(made, machine=module("machine").machine())
    module("plot").plot(made, tmp_path / "lines.png")
    assert (tmp_path / "lines.png").stat().st_size > 1000


# The document


def parts(module, ours, cold):
    rows = [row(module, "ort", open=(9, 10, 11)), row(module, "ortmmap", open=ours)]
    made = report(module, [*rows, row(module, "ortmmap-cold", open=cold)], nbytes={"m": 10**9})
    made = dataclasses.replace(made, machine=module("machine").machine())
    section = module("plan").Section(
        "open", "Opening", ("open",), ours=("ortmmap", "ortmmap-cold"), judged=("open",)
    )
    return [module("document").Part(section, made, "open.png")]


_BOUNDS = {"read_gb_per_s": 10.0, "zero_page_ns": 500.0, "file_page_ns": 50.0}


def test_the_document_says_what_the_figures_say(module):
    document = module("document").document
    text = document(parts(module, (1, 1.1, 1.2), (50, 51, 52)), _BOUNDS, "the command", "A note.")
    assert "\n\nA note.\n\n" in text
    assert "| Opening | ortmmap | the first row | 1 | 0 | 0 |" in text
    assert "| Opening | ortmmap-cold | the best of the others | 0 | 0 | 1 |" in text
    assert "| Opening | m | open, ms | ortmmap-cold | 51.0 | ort | 10.0 | 5.10x |" in text
    assert "- ahead: m open (1.10 ms, 0.110x of ort)." in text
    assert "Nowhere" not in text
    assert "| m | 1000 | 10.0 |" in text
    assert "| 100 |" in text  # ms to read 1 GB at 10 GB/s


def test_the_document_without_losses(module):
    text = module("document").document(parts(module, (1,), (2,)), _BOUNDS, "the command")
    assert "Nowhere was another measured ahead of ortmmap." in text


def test_a_section_is_measured_once_and_again_when_its_command_changes(module, tmp_path):
    import click

    publish, reports = module("publish"), module("report")
    measured = []

    @click.group()
    def group():
        pass

    @group.command("open")
    @click.option("--json", "path", type=click.Path(path_type=Path))
    @click.option("--repeat")
    def open_(path, repeat):
        measured.append(repeat)
        made = report(module, [row(module, "ort", open=(1,))])
        made = dataclasses.replace(made, machine=module("machine").machine())
        path.write_text(json.dumps(reports.as_json(made)))

    def ask(repeat, again=False):
        section = module("plan").Section("open", "Opening", ("open", f"--repeat={repeat}"))
        return publish._measured(section, group, tmp_path, again)

    assert ask(1) == ask(1)
    assert measured == ["1"]
    ask(2)
    ask(2, again=True)
    assert measured == ["1", "2", "2"]
    values = json.loads((tmp_path / "open.json").read_text())
    values["machine"]["cpu"] = "another"
    (tmp_path / "open.json").write_text(json.dumps(values))
    ask(2)
    assert len(measured) == 4


def test_every_section_has_a_command_that_parses(module):
    cli, plan = module("__main__").cli, module("plan")
    for section in (one for sections in plan.PLANS.values() for one in sections):
        name, *options = section.command
        cli.commands[name].make_context(name, list(options))


# Every command, on tiny models


def figures(path, model=0):
    return json.loads(path.read_text())["rows"][model]["figures"]


def test_open(command, tmp_path):
    path = tmp_path / "open.json"
    options = ("--repeat=1", "--seconds=0", "--json", path, "--plot", tmp_path / "open.png")
    rivals = ("--rival", "ort", "--rival", "ortmmap", "--rival", "ortmmap-cold")
    printed = command("open", "--model", "nodes_10.onnx", *rivals, *options, "--markdown")
    assert "| ortmmap, empty cache |" in printed
    assert "bit-equal" in printed
    found = figures(path)
    assert found["start to result"]["median"] > found["open"]["median"] > 0
    assert (tmp_path / "open.png").exists()


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="this system drops no pages")
def test_open_from_disk_a_file_with_sizes(command, onnx_file):
    options = ("--repeat=1", "--seconds=0", "--rival", "ort", "--dim", "n=3")
    printed = command("open", "--cold-cache", "--model", onnx_file, *options)
    assert "from disk" in printed
    assert onnx_file.name in printed


def test_memory(command, tmp_path):
    path = tmp_path / "memory.json"
    rivals = ("--rival", "ort", "--rival", "ort-prepacked")
    options = ("--repeat=1", "--seconds=0", "--json", path)
    printed = command("memory", "--model", "weights_1.onnx", *rivals, *options, "--markdown")
    assert "no session, onnxruntime" in printed
    assert figures(path)["private, open"]["median"] > 0
    assert figures(path, 2)["private, open"]["median"] < 1


def test_workers_grow(command, tmp_path):
    path = tmp_path / "workers.json"
    counts = ("--count", 3, "--count", 1, "--count", 2)
    options = ("--seconds=0", "--rival", "ortmmap", "--json", path, "--hold-ms", 60_000)
    printed = command("workers", "--model", "weights_1.onnx", *counts, *options)
    assert "workers" in printed
    values = json.loads(path.read_text())
    assert [one["at"] for one in values["rows"]] == [1, 1, 2, 2, 3, 3]
    assert "total PSS" in {one["figure"] for one in values["growth"]}
    last = values["rows"][-2]["figures"]
    assert last["total PSS"]["median"] > last["PSS over bare"]["median"]
    assert last["all ready"]["median"] > 0


def test_run(command, tmp_path):
    path = tmp_path / "run.json"
    options = ("--repeat=1", "--seconds=0.01", "--json", path)
    command("run", "--model", "inputs_4", *options)
    for model in (0, 1):
        found = figures(path, model)
        assert all(found[name]["median"] > 0 for name in ("run", "run_with_iobinding", "awaited"))
        assert all(found[f"{n} threads"]["median"] > 0 for n in (2, 4, 8))


def test_run_of_strings_which_onnxruntime_does_not_bind(command, tmp_path):
    file = tmp_path / "figures.json"
    command("run", "--model=strings_3", "--repeat=1", "--seconds=0", f"--json={file}")
    ort, ours = json.loads(file.read_text())["rows"]
    assert ort["figures"]["run_with_iobinding"] is None
    assert ours["figures"]["run_with_iobinding"]["median"] > 0
    assert ours["difference"] == {"largest": 0, "bit_equal": True}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_fork(command, tmp_path):
    file = tmp_path / "figures.json"
    options = ("--threads=2", "--config=session.disable_prepacking=1")
    said = command("fork", "--model=one_node", "--repeat=1", *options, f"--json={file}")
    rows = json.loads(file.read_text())["rows"]
    assert [row["figures"]["first run in a forked child"]["median"] > 0 for row in rows[1:]]
    assert "2; session.disable_prepacking=1." in said


def test_a_child_that_hangs_or_ends_has_no_figure(module, monkeypatch):
    forked = module("forked")
    assert forked.first_run(lambda: time.sleep(0.01)) >= 10
    assert forked.first_run(lambda: os._exit(3)) is None
    monkeypatch.setattr(forked, "_LONGEST_SECONDS", 0.05)
    assert forked.first_run(lambda: time.sleep(WAIT_SECONDS)) is None


def test_config_entries_reach_every_session(module, command):
    said = command("open", "--model=one_node", "--config=session.no_such_key", fails=True)
    assert "is not KEY=VALUE" in said
    rival = module("rivals").RIVALS["ort-mmap-noprepack"].with_entries({"k": "v"})
    assert rival.entries.items() > {("k", "v"), ("session.disable_prepacking", "1")}


def test_scale(command, tmp_path):
    path = tmp_path / "scale.json"
    rivals = ("--rival", "ort", "--rival", "ortmmap")
    axes = ("--axis", "inputs", "--largest", 100)
    command("scale", *axes, *rivals, "--repeat=1", "--json", path)
    values = json.loads(path.read_text())
    assert [one["at"] for one in values["rows"]] == [1, 1, 10, 10, 100, 100]
    assert {one["unit"] for one in values["growth"] if one["figure"] == "open"} == {"ms"}


def test_a_rival_that_cannot_open_the_model_is_left_out(command, monkeypatch, module):
    harness = module("harness")
    form_of = harness.form_of

    def failing(form, *args):
        if form == "external":
            raise ValueError("no room for it")
        return form_of(form, *args)

    monkeypatch.setattr(harness, "form_of", failing)
    rivals = ("--rival", "ort", "--rival", "ort-external")
    options = ("--model", "nodes_10.onnx", "--repeat=1", "--seconds=0", "--markdown")
    printed = command("open", *rivals, *options)
    reason = "onnxruntime, external data (no room for it)"
    assert f"Left out of nodes_10.onnx: {reason}." in printed
    assert "| onnxruntime, external data |" not in printed


def test_a_model_that_nothing_opens(command, tmp_path):
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"not a model")
    printed = command("open", "--model", path, "--rival", "ort", fails=True)
    assert "broken.onnx" in printed
    assert "Traceback" not in printed


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import time; time.sleep(60)", r"before RAN, or was killed after 0\.2 s"),
        ("raise ValueError('its own reason')", "its own reason"),
    ],
)
def test_a_worker_that_hangs_or_ends_is_told(module, monkeypatch, code, told):
    harness = module("harness")
    monkeypatch.setattr(harness, "_STEP_SECONDS", 0.2 if "sleep" in code else WAIT_SECONDS)
    command = harness._Command([sys.executable, "-c", code], {})
    with harness._Worker("A rival", command) as worker:
        with pytest.raises(harness.WorkerError, match=f"(?s)A rival failed.*{told}"):
            worker.wait_until("RAN")
        assert worker._process.wait(WAIT_SECONDS) != 0


def test_an_unknown_size_and_model_are_refused(command, tmp_path):
    assert "NAME=SIZE" in command("open", "--dim", "batch", fails=True)
    missing = tmp_path / "missing.onnx"
    assert "missing.onnx" in command("open", "--model", missing, fails=True)


def test_report_writes_a_document_with_pictures(command, module, tmp_path, monkeypatch):
    publish, plan = module("publish"), module("plan")
    store = ("--models", str(tmp_path / "models"))
    options = ("--rival", "ort", "--rival", "ortmmap", "--repeat=1", "--seconds=0", *store)
    section = plan.Section(
        "open", "Opening", ("open", "--model", "nodes_10.onnx", *options), judged=("open",)
    )
    monkeypatch.setitem(publish.PLANS, "quick", (section,))
    monkeypatch.setattr(publish, "bounds", lambda: _BOUNDS)
    path = tmp_path / "benchmarks.md"
    command("report", "--plan=quick", "--results", tmp_path / "results", "--document", path)
    text = path.read_text()
    assert "![Opening](benchmarks-open.png)" in text
    assert (tmp_path / "benchmarks-open.png").exists()
    assert "| ortmmap |" in text


def test_what_the_machine_needs(module, monkeypatch):
    monkeypatch.setattr(module("bounds"), "_NBYTES", 1 << 22)
    monkeypatch.setattr(module("bounds"), "_REPEAT", 1)
    found = module("bounds").bounds()
    assert all(value > 0 for value in found.values())
    assert {"read_gb_per_s", "zero_page_ns", "file_page_ns"} <= set(found)
