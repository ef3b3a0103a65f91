"""The check of counts: what it reads, what it compares, and one process that is counted."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.architectures import MODELS
from benchmarks.counts import scenarios, tracing
from benchmarks.counts.bounds import Bounds, Comparison, as_toml
from benchmarks.counts.child import STAGES

REPOSITORY = Path(__file__).resolve().parents[2]
linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc and strace are Linux's")


def trace(stages: list[int]) -> list[str]:
    """Write what strace does of a process that makes so many calls in each stage."""
    lines = ['7 execve("python") = 0']
    for count in stages:
        lines += ["7 getsid(0) = 1", *['7 read(3, "x", 1) = 1'] * count, "7 getsid(0) = 1"]
        lines += ["7 close(3) = 0"]  # between two stages
    return lines


def test_the_calls_of_a_stage_are_those_between_its_marks():
    found = tracing.count_calls(trace([3, 0, 2, 1, 5]))
    assert found == {
        stage: {"system_calls": count} for stage, count in zip(STAGES, [3, 0, 2, 1, 5], strict=True)
    }


def test_other_threads_and_ends_of_calls_are_not_counted():
    lines = trace([1, 1, 1, 1, 1])
    lines[2:2] = ['8 read(4, "", 1) = 0', "7 <... read resumed>) = 1", "7 +++ exited +++"]
    assert tracing.count_calls(lines)["import"] == {"system_calls": 1}


@pytest.mark.parametrize("stages", [[], [1] * 4, [1] * 6])
def test_a_trace_without_every_mark_is_refused(stages):
    with pytest.raises(tracing.ChildError, match=f"expected 10 marks, found {2 * len(stages)}"):
        tracing.count_calls(trace(stages))


def test_instructions_are_the_main_thread_s_between_marks(tmp_path):
    for part in range(1, 11):
        (tmp_path / f"out.{part}-01").write_text(f"events: Ir\nfn=(1)\n1 5\ntotals: {100 * part}\n")
        (tmp_path / f"out.{part}-02").write_text("events: Ir\ntotals: 7\n")
    (tmp_path / "out-01").write_text("events: Ir\ntotals: 9\n")
    found = tracing.count_instructions(tmp_path)
    assert found == {
        stage: {"instructions": 100 * part}
        for stage, part in zip(STAGES, (2, 4, 6, 8, 10), strict=True)
    }


def test_a_part_without_totals_is_refused(tmp_path):
    (tmp_path / "out.1-01").write_text("events: Ir\n")
    with pytest.raises(tracing.ChildError, match=re.escape("out.1-01")):
        tracing.count_instructions(tmp_path)


@pytest.fixture
def bounds(tmp_path) -> Bounds:
    file = tmp_path / "bounds.toml"
    file.write_text(
        "[tolerance]\npage_faults = { part = 0.1, more = 5 }\nmodules = { part = 0, more = 0 }\n"
        '"cached.page_faults" = { part = 0, more = 50 }\n'
        '[onnxruntime."1.23.2".plain]\nopen.page_faults = 100\nimport.modules = 30\n'
        '[onnxruntime."1.30.0".cached]\nopen.page_faults = 100\n'
    )
    return Bounds(file)


@pytest.mark.parametrize(
    ("count", "verdict"), [(115, "ok"), (116, "over"), (100, "ok"), (70, "ok"), (50, "below")]
)
def test_a_count_is_held_against_its_figure(bounds, count, verdict):
    counts = {("plain", "open", "page_faults"): count, ("plain", "import", "modules"): 30}
    found = bounds.compare(counts, "1.23.2")
    assert [one.verdict for one in found] == [verdict, "ok"]


def test_a_scenario_may_have_a_tolerance_of_its_own(bounds):
    key = ("cached", "open", "page_faults")
    assert bounds.compare({key: 150}, "1.30.0") == [Comparison(key, 150, 100, 150)]


def test_a_count_without_a_figure_is_new(bounds):
    counts = {("cached", "open", "page_faults"): 1, ("cached", "run", "page_faults"): 1}
    assert [one.verdict for one in bounds.compare(counts, "1.30.0")] == ["below", "new"]


def test_a_figure_without_a_count_is_an_error(bounds):
    with pytest.raises(LookupError, match=re.escape("['plain.import.modules']")):
        bounds.compare({("plain", "open", "page_faults"): 1}, "1.23.2")


@pytest.mark.parametrize(
    ("installed", "version"),
    [("1.23.2", "1.23.2"), ("1.29.0", "1.23.2"), ("1.30.0", "1.30.0"), ("1.100.0", "1.30.0")],
)
def test_a_version_is_compared_with_the_newest_that_is_not_newer(bounds, installed, version):
    assert bounds.version(installed) == version


def test_a_version_older_than_all_is_refused(bounds):
    with pytest.raises(LookupError, match=r"1\.22\.0 or older, found \['1\.23\.2', '1\.30\.0'\]"):
        bounds.version("1.22.0")


def test_a_kind_without_tolerance_is_refused(tmp_path):
    file = tmp_path / "bounds.toml"
    file.write_text('[tolerance]\n[onnxruntime."1.23.2".plain]\nopen.page_faults = 100\n')
    with pytest.raises(ValueError, match=r"bounds.toml: expected a tolerance .*page_faults"):
        Bounds(file)


def test_new_figures_are_read_as_they_were_counted(tmp_path):
    counts = {
        ("cached", "open", "page_faults"): 1234567,
        ("cached", "run", "page_faults"): 0,
        ("plain", "open", "modules"): 3,
    }
    file = tmp_path / "bounds.toml"
    tolerance = "[tolerance]\npage_faults = {part = 0, more = 0}\nmodules = {part = 0, more = 0}\n"
    file.write_text(tolerance + as_toml("1.32.0", counts))
    assert Bounds(file).versions == {"1.32.0": counts}


def test_the_file_has_a_figure_for_every_count_of_both_versions():
    bounds = Bounds()
    assert set(bounds.versions) == {"1.23.2", "1.32.0"}
    expected = {
        (scenario.name, stage, kind)
        for scenario in scenarios.SCENARIOS
        for stage in scenario.stages
        for kind in ("page_faults", "private_pages", "system_calls")
    }
    for figures in bounds.versions.values():
        assert expected < figures.keys()
        assert figures["one_node", "call", "system_calls"] == 0
        assert figures["one_node", "call", "instructions"] > 0


def test_a_tolerance_is_a_part_and_so_many_more(bounds):
    assert bounds.bound(("plain", "open", "page_faults"), 101) == 116
    assert bounds.bound(("plain", "import", "modules"), 30) == 30


@pytest.mark.parametrize(
    ("comparison", "text"),
    [
        (
            Comparison(("cached", "open", "page_faults"), 1234, 100, 150),
            "cached.open.page_faults 1,234 figure 100 at most 150 over",
        ),
        (Comparison(("a", "b", "c"), 5, None, None), "a.b.c 5 figure - at most - new"),
    ],
)
def test_a_comparison_is_one_line(comparison, text):
    assert " ".join(str(comparison).split()) == text


def test_every_scenario_is_counted_and_calls_are_averaged(monkeypatch):
    def counted(kind, number):
        return lambda _arguments: {stage: {kind: number} for stage in STAGES}

    monkeypatch.setattr(scenarios.shutil, "which", lambda _tool: "there")
    for tool, kind, number in (
        ("instructions", "instructions", 5000),
        ("system_calls", "system_calls", 3),
        ("own_counts", "page_faults", 7),
    ):
        monkeypatch.setattr(scenarios, tool, counted(kind, number))
    counts = scenarios.count()
    assert counts["one_node", "call", "instructions"] == 5
    assert counts["one_node", "open", "instructions"] == 5000
    assert counts["cached", "open", "system_calls"] == 3
    assert counts["ort", "run", "page_faults"] == 7
    assert ("ort", "open", "instructions") not in counts
    assert list(counts) == sorted(counts)


@pytest.fixture
def model(write) -> str:
    return str(write(MODELS["one_node"].build().SerializeToString(), "one_node.onnx"))


@linux
def test_a_process_counts_itself_stage_by_stage(model):
    found = tracing.own_counts([model, "", "10"])
    assert list(found) == list(STAGES)
    assert found["import"]["modules"] >= 20
    assert found["library"]["page_faults"] > found["run"]["page_faults"]
    assert found["open"]["private_pages"] > 0
    assert found["call"]["page_faults"] < 100


@linux
def test_a_process_that_fails_says_why(tmp_path):
    with pytest.raises(tracing.ChildError, match="NoSuchFile"):
        tracing.own_counts([str(tmp_path / "absent.onnx"), "", "1"])


@linux
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_strace_sees_what_a_stage_asks_of_the_system(model):
    found = tracing.system_calls([model, "", "100"])
    assert found["call"] == {"system_calls": 0}
    assert 5 < found["open"]["system_calls"] < 500


@linux
def test_the_command_says_what_is_missing():
    pytest.importorskip("click", reason="python -m benchmarks needs the extra bench")
    pytest.importorskip("matplotlib", reason="python -m benchmarks needs the extra bench")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "counts"],
        capture_output=True,
        text=True,
        check=False,
        cwd=REPOSITORY,
        env=os.environ | {"PATH": ""},
    )
    assert done.returncode == 1
    assert "expected Debian's packages strace and valgrind to be installed" in done.stderr
