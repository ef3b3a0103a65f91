"""The page of the benchmarks: short, and what it says comes from the figures."""

import dataclasses
import json
from itertools import pairwise

import pytest


@pytest.mark.parametrize(
    ("one", "other", "ahead"),
    [
        ((1, 1.1, 1.2), (2, 2.1, 2.2), True),
        ((2, 2.1, 2.2), (1, 1.1, 1.2), False),
        ((1, 2, 3), (1.5, 2.5, 3.5), False),
        ((1.00,), (1.01,), False),
    ],
)
def test_ahead_is_who_is_better_beyond_the_spread(module, one, other, ahead):
    is_ahead, spread = module("page").is_ahead, module("report").Spread.of
    assert is_ahead(spread(one), spread(other), False) == ahead
    assert is_ahead(spread(other), spread(one), True) == ahead
    assert not is_ahead(None, spread(one), False)
    assert not is_ahead(spread(one), None, False)


@pytest.fixture
def section(module):
    return module("page").Section("open", "How long?", "open --repeat 1")


UNITS = {"open": "ms", "run": "ms", "start to result": "ms"}


def figures(**known):
    return {name: known.get(name, (5,)) for name in UNITS}


def test_who_is_ahead_is_listed_with_figures(module, section, make_row, make_report):
    rows = [
        make_row("ort", **figures(open=(9,))),
        make_row("openvino", **figures(open=(5,), run=None)),
        make_row("ortmmap", **figures(open=(7,))),
        make_row("ortmmap-nocache", **figures(open=(1,))),
        dataclasses.replace(make_row("bare-ortmmap", **figures(open=(0.1,))), difference=None),
    ]
    losses = module("page").losses
    [line] = losses({section: make_report(rows, UNITS)})
    assert line.startswith("- **OpenVINO**")
    assert line.endswith(": open: m, open 5.00 against 7.00 ms.")
    [line] = losses({section: make_report(rows, UNITS, more_is_better=["open"])})
    assert line.startswith("- **onnxruntime**")
    assert line.endswith(": open: m, open 9.00 against 7.00 ms.")
    [line] = losses({section: make_report(rows[:1] + rows[2:], UNITS)})
    assert line == "Nowhere was another measured ahead of ortmmap."


def test_of_many_leads_the_largest_is_listed(module, section, make_row, make_report):
    rows = [
        make_row(rival, model=model, **figures(open=(value,)))
        for model, ours in (("small", 2), ("large", 8), ("medium", 4))
        for rival, value in (("ort", 1), ("ortmmap", ours))
    ]
    [line] = module("page").losses({section: make_report(rows, UNITS)})
    assert line.endswith(": open: large, open 1.00 against 8.00 ms (and 2 more).")


def plausible(module, section, make_row, make_report):
    """Make a report with as many rows as a section has."""
    rivals, named = module("page")._SHOWN[section.command.split()[0]]
    words = section.command.split()
    models = [after for before, after in pairwise(words) if before == "--model"]
    if not models:
        defaults = {"scale": ["weights", "nodes", "inputs"], "run": list("abcdef")}
        models = defaults.get(words[0], ["resnet50.onnx", "bert_base.onnx"])
    amounts = {"workers": (1, 2, 4, 8), "scale": (1, 10, 100)}.get(words[0], (None,))
    units = dict.fromkeys(named.split(", "), "ms")
    rows = [
        make_row(rival, at=at, model=model, **dict.fromkeys(units, (2, 3)))
        for model in models
        for at in amounts
        for rival in rivals.split()
    ]
    return make_report(rows, units)


def test_the_page_is_short_and_every_section_has_a_picture_and_a_table(
    module, make_row, make_report, tmp_path, monkeypatch
):
    page = module("page")

    def measured(section, *_):
        return plausible(module, section, make_row, make_report)

    monkeypatch.setattr(page, "measured", measured)
    path = page.write(tmp_path, tmp_path / "results", False, None)
    text = path.read_text()
    assert len(text.splitlines()) <= 250
    for section in page.SECTIONS:
        assert f"## {section.question}\n\n![" in text
        assert (tmp_path / f"benchmarks-{section.name}.png").exists()
        assert f"`python -m benchmarks {section.command}`" in text
    assert "| bert_base.onnx, 8 workers | **ortmmap** | 2.50 (1.00x) |" in text
    assert "1 workers" not in text
    assert (
        "| 1 | ortmmap | 2.50 (1.00x) [2.25..2.75] |"
        in (tmp_path / "benchmarks-appendix.md").read_text()
    )
    every = json.loads((tmp_path / "benchmarks.json").read_text())
    assert every.keys() == {section.name for section in page.SECTIONS}
    assert every["open"]["rows"][0]["figures"]["open"]["count"] == 2


def test_a_section_is_measured_once_and_again_when_its_command_or_the_machine_changes(
    module, make_row, make_report, tmp_path
):
    page, reports = module("page"), module("report")
    asked = []

    def run(command, standalone_mode):
        assert not standalone_mode
        *words, json_option, path = command
        assert json_option == "--json"
        asked.append(" ".join(words))
        values = reports.as_json(make_report([make_row("ort", open=(1,))]))
        (tmp_path / path).write_text(json.dumps(values))

    def ask(repeat, quick=False):
        section = page.Section("open", "How long?", f"open --repeat {repeat}")
        return page.measured(section, tmp_path, quick, run)

    assert ask(1) == ask(1)
    ask(2)
    assert asked == ["open --repeat 1", "open --repeat 2"]
    values = json.loads((tmp_path / "open.json").read_text())
    values["machine"]["cpu"] = "another"
    (tmp_path / "open.json").write_text(json.dumps(values))
    ask(2)
    ask(2, quick=True)
    assert len(asked) == 4
    assert asked[-1].startswith("open --model weights_1.onnx")


def test_every_section_has_commands_that_parse_and_shows_their_figures(module):
    cli, page = module("__main__").cli, module("page")
    for section in page.SECTIONS:
        name, *options = section.command.split()
        for words in (options, page._QUICK[name].split()):
            cli.commands[name].make_context(name, list(words))
        rivals, _ = page._SHOWN[name]
        assert set(rivals.split()) <= module("rivals").RIVALS.keys()
