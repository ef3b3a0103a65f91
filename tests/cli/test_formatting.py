"""Sizes, ages and counts as the command line prints them."""

import pytest

from ortmmap.cli import formatting


@pytest.mark.parametrize(
    ("nbytes", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (3 << 20, "3.0 MiB"),
        (1536 << 20, "1.5 GiB"),
        (2000 << 40, "2000.0 TiB"),
    ],
)
def test_a_size_is_in_the_largest_unit_that_fits(nbytes, text):
    assert formatting.size(nbytes) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0 s"), (59, "59 s"), (61, "1 min"), (7300, "2 h"), (86400 * 3, "3 d")],
)
def test_an_age_is_in_one_unit(monkeypatch, seconds, text):
    monkeypatch.setattr(formatting.time, "time", lambda: 1000.0)
    assert formatting.ago(1000.0 - seconds) == text


def test_a_count_of_one_is_singular():
    assert formatting.counted(1, "entry", "entries") == "1 entry"
    assert formatting.counted(0, "entry", "entries") == "0 entries"
    assert formatting.counted(2, "node") == "2 nodes"


def test_one_column_of_a_wide_table_is_cut_and_no_other(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "50")
    pytest.importorskip("rich")
    table = formatting.Table("processes", ("PID", "user", "command"), cut="command")
    table.add("12345", "somebody", "python " + "serve " * 20)
    formatting.Console().print(table)
    (row,) = [line for line in capsys.readouterr().out.splitlines() if "12345" in line]
    assert "somebody" in row
    assert "python serve" in row
    assert "…" in row
