"""Every command of the benchmarks, on tiny models."""

import dataclasses
import json
import os
import sys

import pytest

click_testing = pytest.importorskip("click.testing", reason="the bench extra is not installed")


@pytest.fixture
def command(module, tmp_path):
    """Run ``python -m benchmarks`` with models of this test, and return what it printed."""

    def run(*args, fails=False):
        result = click_testing.CliRunner().invoke(
            module("__main__").cli,
            [str(arg) for arg in args],
            env={"ORTMMAP_BENCH_MODELS": str(tmp_path / "models")},
        )
        if not fails and result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert (result.exit_code != 0) == fails, result.output
        return result.output

    return run


def figures(path, row=0):
    return json.loads(path.read_text())["rows"][row]["figures"]


def test_open(command, tmp_path):
    path = tmp_path / "open.json"
    rivals = ("--rival", "ort", "--rival", "ortmmap", "--rival", "ortmmap-cold")
    options = ("--repeat=1", "--seconds=0", "--json", path)
    printed = command("open", "--model", "nodes_10.onnx", *rivals, *options)
    assert "Opening, from process start" in json.loads(path.read_text())["title"]
    assert "bit-equal" in printed
    found = figures(path)
    assert found["start to result"]["median"] > found["open"]["median"] > 0
    rows = json.loads(path.read_text())["rows"]
    assert [row["rival"] for row in rows] == ["ort", "ortmmap", "ortmmap-cold"]


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="this system drops no pages")
def test_open_from_disk_a_file_with_sizes(command, onnx_file):
    options = ("--repeat=1", "--seconds=0", "--rival", "ort", "--dim", "n=3")
    printed = command("open", "--cold-cache", "--model", onnx_file, *options)
    assert "Files are dropped from memory before each" in printed
    assert onnx_file.name in printed


def test_a_system_that_drops_no_pages_says_so(command, module, monkeypatch):
    monkeypatch.setattr(module("page_cache"), "DROPS", False)
    assert "no posix_fadvise" in command("open", "--cold-cache", fails=True)


def test_memory(command, tmp_path):
    path = tmp_path / "memory.json"
    rivals = ("--rival", "ort", "--rival", "ort-prepacked")
    options = ("--repeat=1", "--seconds=0", "--json", path)
    printed = command("memory", "--model", "weights_1.onnx", *rivals, *options)
    assert "no session" in printed
    assert figures(path)["private, open"]["median"] > 0
    assert figures(path, 2)["private, open"]["median"] < 1


def test_workers_grow(command, tmp_path):
    path = tmp_path / "workers.json"
    counts = ("--count", 3, "--count", 1, "--count", 2)
    rivals = ("--rival", "ortmmap", "--rival", "ortmmap-preload")
    printed = command("workers", "--model", "weights_1.onnx", *counts, *rivals, "--json", path)
    assert "workers" in printed
    values = json.loads(path.read_text())
    assert [one["at"] for one in values["rows"]] == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert "total PSS" in {one["figure"] for one in values["growth"]}
    last = values["rows"][-3]["figures"]
    assert last["total PSS"]["median"] > last["PSS over bare"]["median"]
    assert last["all ready"]["median"] > 0
    assert all(row["difference"]["bit_equal"] for row in values["rows"] if row["difference"])


def test_run(command, tmp_path):
    path = tmp_path / "run.json"
    command("run", "--model", "inputs_4", "--repeat=1", "--seconds=0.01", "--json", path)
    for row in (0, 1):
        found = figures(path, row)
        assert all(found[name]["median"] > 0 for name in ("run", "run_with_iobinding", "awaited"))
        assert all(found[f"{n} threads"]["median"] > 0 for n in (2, 4, 8))


def test_run_of_strings_which_onnxruntime_does_not_bind(command, tmp_path):
    path = tmp_path / "figures.json"
    command("run", "--model=strings_3", "--repeat=1", "--seconds=0", f"--json={path}")
    ort, ours = json.loads(path.read_text())["rows"]
    assert ort["figures"]["run_with_iobinding"] is None
    assert ours["figures"]["run_with_iobinding"]["median"] > 0
    assert ours["difference"] == {"largest": 0, "bit_equal": True}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_fork(command, tmp_path):
    path = tmp_path / "figures.json"
    options = ("--threads=2", "--config=session.disable_prepacking=1")
    said = command("fork", "--model=one_node", "--repeat=1", *options, f"--json={path}")
    rows = json.loads(path.read_text())["rows"]
    assert all(row["figures"]["first run in a forked child"]["median"] > 0 for row in rows[1:])
    assert "session: 2; session.disable_prepacking=1." in " ".join(said.split())


def test_scale(command, tmp_path):
    path = tmp_path / "scale.json"
    rivals = ("--rival", "ort", "--rival", "ortmmap")
    command("scale", "--largest", 10, *rivals, "--repeat=1", "--json", path)
    values = json.loads(path.read_text())
    amounts = [(one["model"], one["at"]) for one in values["rows"][::2]]
    assert amounts == [
        ("weights", 1),
        ("weights", 4),
        ("nodes", 10),
        ("inputs", 1),
        ("inputs", 10),
    ]


def test_demo_prints_a_table_and_draws_a_picture(command, module, tmp_path, monkeypatch):
    main = module("__main__")
    monkeypatch.setattr(main, "_BUILD", tmp_path)
    asked = []
    run = module("survey").Survey.run

    def tiny(survey, request, *said):
        (point,) = survey.points
        asked.append((point.model, point.workers, point.name, len(request.rivals)))
        rivals = [request.rivals[0], request.rivals[-1]]
        points = [dataclasses.replace(point, model="nodes_10.onnx", workers=1)]
        request = dataclasses.replace(request, rivals=rivals, seconds=0)
        return run(dataclasses.replace(survey, points=points), request, *said)

    monkeypatch.setattr(module("survey").Survey, "run", tiny)
    printed = command("demo")
    assert asked == [("bert_base.onnx", 4, f"bert_base.{kind}", 4) for kind in ("onnx", "ort")]
    assert "total PSS" in " ".join(printed.split())
    for title in ("bert_base.onnx", "bert_base.ort", "onnxruntime, .ort", "ortmmap, .ort"):
        assert title in printed
    assert "nodes_10.onnx: preparing\nnodes_10.onnx: onnxruntime\n" in printed
    assert (tmp_path / "demo.png").stat().st_size > 1000


@pytest.mark.skipif(sys.platform == "win32", reason="needs a C compiler called cc")
def test_capi(command):
    lines = command("capi", "--rounds", 2).splitlines()
    assert len(lines) == 5
    assert all("x of ort, " in line for line in lines)


def test_report_writes_a_page_with_pictures(command, module, tmp_path, monkeypatch):
    page = module("page")
    monkeypatch.setattr(module("__main__"), "_BUILD", tmp_path)
    monkeypatch.setattr(page, "SECTIONS", (page.Section("run", "What does a call cost?", "run"),))
    monkeypatch.setitem(page._QUICK, "run", "--model one_node --repeat 1 --seconds 0")
    assert "Written: " in command("report", "--quick")
    text = (tmp_path / "quick" / "benchmarks.md").read_text()
    assert "![What does a call cost?](benchmarks-run.png)" in text
    assert (tmp_path / "quick" / "benchmarks-run.png").exists()
    assert "| one_node.ort | **ortmmap** |" in text


# What goes wrong


def test_a_rival_that_cannot_open_the_model_is_left_out(command, monkeypatch, module, tmp_path):
    harness = module("harness")
    form_of = harness.form_of

    def failing(form, *args):
        if form == "external":
            raise ValueError("no room for it")
        return form_of(form, *args)

    monkeypatch.setattr(harness, "form_of", failing)
    path = tmp_path / "open.json"
    rivals = ("--rival", "ort", "--rival", "ort-external")
    options = ("--model", "nodes_10.onnx", "--repeat=1", "--seconds=0", "--json", path)
    printed = command("open", *rivals, *options)
    reason = "Left out of nodes_10.onnx: onnxruntime, external data (no room for it)."
    assert reason in printed
    values = json.loads(path.read_text())
    assert values["left_out"] == [reason]
    assert [row["rival"] for row in values["rows"]] == ["ort"]


def test_a_model_that_nothing_opens(command, tmp_path):
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"not a model")
    printed = command("open", "--model", path, "--rival", "ort", fails=True)
    assert "broken.onnx" in printed
    assert "Traceback" not in printed


def test_rivals_that_all_fail_are_named(command, module, monkeypatch):
    def fail(*_):
        raise ValueError("its own reason")

    monkeypatch.setattr(module("harness"), "form_of", fail)
    printed = command("open", "--model", "nodes_10.onnx", "--rival", "ort", fails=True)
    assert "nothing can open nodes_10.onnx" in printed
    assert "onnxruntime (its own reason)" in printed


def test_unknown_models_and_pairs_are_refused(command, tmp_path):
    assert "'batch' is not NAME=VALUE" in command("open", "--dim", "batch", fails=True)
    said = command("open", "--model=one_node", "--config=session.no_such_key", fails=True)
    assert "is not NAME=VALUE" in said
    missing = tmp_path / "missing.onnx"
    assert "missing.onnx" in command("open", "--model", missing, fails=True)
