"""Columns, reports and pictures: what the figures say, and how they are shown."""

import dataclasses
import json

import pytest


def test_a_line_is_found(module):
    line = module("report").line

    def fitted(at, figures):
        found = line(list(zip(at, figures, strict=True)))
        return found and tuple(found.values())

    assert fitted([1, 2, 4, 8], [5, 7, 11, 19]) == pytest.approx((2, 3, 1))
    assert fitted([1, 2, 3], [4, 4, 4]) == pytest.approx((0, 4, 1))
    assert fitted([1, 2, 4, 8], [0, 0, 0, 0]) == pytest.approx((0, 0, 1))
    assert fitted([1, 2, 4, 8], [0.1] * 4)[:2] == pytest.approx((0, 0.1))
    assert fitted([1, 1, 2], [1, 2, 3]) is None
    *_, fit = fitted([1, 2, 3, 4], [1, 5, 0, 4])
    assert 0 <= fit < 0.5


def test_growth_is_by_model_and_rival(make_row, make_report):
    rows = [
        make_row(rival, at=at, model=model, open=(slope * at, slope * at))
        for model, factor in (("a", 1), ("b", 10))
        for at in (1, 2, 4)
        for rival, slope in (("ort", 3 * factor), ("ortmmap", factor))
    ]
    bare = [dataclasses.replace(row, title="bare", difference=None) for row in rows[:6:2]]
    growth = make_report(rows + bare).growth()
    slopes = {(one["model"], one["title"]): one["slope"] for one in growth}
    expected = {("a", "ort"): 3, ("a", "ortmmap"): 1, ("b", "ort"): 30, ("b", "ortmmap"): 10}
    assert slopes == pytest.approx(expected)
    assert {one["unit"] for one in growth} == {"ms / workers"}


def test_a_report_comes_back_from_json(module, make_row, make_report):
    reports = module("report")
    rows = [make_row("ort", at=at, open=(1, 2), private=None) for at in (1, 2)]
    bare = make_row("bare-ortmmap", at=2, open=(1,), private=None)
    rows.append(dataclasses.replace(bare, difference=None))
    made = make_report(rows, {"open": "ms", "private": "MiB"}, more_is_better=["open"])
    assert reports.from_json(json.loads(json.dumps(reports.as_json(made)))) == made
    for values in ({"title": "something else"}, {"rows": [{"figures": {}, "difference": None}]}):
        with pytest.raises(ValueError, match="not a report"):
            reports.from_json(values)


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


def test_cells_have_a_ratio_and_quartiles(module):
    cell, spread = module("report").cell, module("report").Spread.of
    assert cell(spread([5.0]), spread([10.0])) == "5.00 (0.50x)"
    assert cell(spread([1.0, 2.0, 3.0]), spread([40.0])) == "2.00 (0.050x) [1.50..2.50]"
    assert cell(spread([1.0, 2.0, 3.0]), None, quartiles=False) == "2.00"
    assert cell(spread([1.0]), spread([0.0])) == "1.00"
    assert cell(None, spread([1.0])) == "n/a"


def test_a_table_compares_rows_of_the_same_amount(module, make_row, make_report):
    rows = [
        make_row(rival, at=at, open=(figure,))
        for at, figures in ((1, (10, 5)), (2, (20, 5)))
        for rival, figure in zip(("ort", "ortmmap"), figures, strict=True)
    ]
    text = module("report").markdown(make_report(rows))
    assert "| workers |  | open, ms | outputs differ, at most |" in text
    assert "| 1 | ortmmap | 5.00 (0.50x) | bit-equal |" in text
    assert "| 2 | ortmmap | 5.00 (0.25x) | bit-equal |" in text


def test_the_terminal_shows_quartiles_below_the_median(module, make_row, make_report):
    console = pytest.importorskip("rich.console").Console(width=100)
    rows = [
        make_row("ort", model="[bold]", open=(1, 2, 3)),
        make_row("ortmmap", model="[bold]", open=(1,)),
    ]
    with console.capture() as captured:
        console.print(module("report").terminal(make_report(rows)))
    printed = captured.get()
    assert "2.00 (1.00x)" in printed
    assert "1.50..2.50" in printed
    assert "[1.50" not in printed
    assert "Caption." in printed


# Columns


def record(module, group=None, **figures):
    return module("harness").Record(figures, {}, {} if group is None else group)


def test_a_column_takes_one_value_of_each_group(module):
    columns = module("columns")

    def records(*sizes, bare=None):
        groups = [{"pss": size * 2**20, "bare_pss": bare} for size in sizes]
        return [record(module, group) for group in groups for _ in range(2)]

    total = columns.TOTAL_PSS.figure(records(100, 110, 120))
    assert (total.median, total.count) == (110, 3)
    over = columns.OVER_BARE.figure(records(100, 110, 120, bare=50 * 2**20))
    assert (over.median, over.count) == (60, 3)
    assert columns.OVER_BARE.figure(records(100)) is None
    assert columns.TOTAL_PSS.figure([]) is None


def test_a_column_finds_nested_figures_and_scales_them(module):
    columns = module("columns")
    known = record(
        module,
        session_ms=3.0,
        run_ms=0.002,
        faults=1500,
        library={"private": 2**20},
        opened={"private": 4 * 2**20},
        calls_per_second={"1": 7.0, "8": 9.0},
    )
    medians = {
        one.name: one.figure([known]).median
        for one in (columns.OPEN, columns.CALL, columns.FAULTS, columns.PRIVATE_OPEN)
    }
    expected = {"open": 3.0, "run": 2.0, "page faults, open": 1.5, "private, open": 3.0}
    assert medians == pytest.approx(expected)
    one, *_, eight = columns.PER_SECOND
    assert (one.name, eight.name) == ("1 thread", "8 threads")
    assert (one.figure([known]).median, eight.figure([known]).median) == (7, 9)
    assert columns.FORKED_RUN.figure([known]) is None
    assert columns.OPEN.figure([known, record(module)]) is None


# Pictures


def test_a_picture_has_a_bar_for_every_rival(module, make_row, make_report, tmp_path):
    rows = [make_row(name, open=(1.0, 2.0)) for name in module("rivals").RIVALS]
    module("plot").plot(make_report(rows), tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 1000


def test_a_picture_of_lines(module, make_row, make_report, tmp_path):
    rows = [
        make_row(rival, at=at, open=(at, at + 1), private=None)
        for at in (1, 10, 1000)
        for rival in ("ort", "ortmmap", "ortmmap-nocache")
    ]
    made = make_report(rows, {"open": "ms", "private": "MiB"})
    module("plot").plot(made, tmp_path / "lines.png")
    assert (tmp_path / "lines.png").stat().st_size > 1000
