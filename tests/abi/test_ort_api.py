"""The table of ONNX Runtime's functions, and the files that are made from it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import REPOSITORY

TABLE = "tools/ort_api.txt"
MADE = ["include/ortmmap/ort_abi.h", "ortmmap/abi/ort.pxd"]
SOURCES = [TABLE, "tools/ort_abi.py", "tools/c_declarations.py", "include/ortmmap/ort_types.h"]


def make(root: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-B", root / "tools" / "ort_abi.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def called_names() -> set[str]:
    """Return the functions that the package's sources call, or pass on to be called."""
    return {
        name
        for folder in ("ortmmap", "include")
        for path in (REPOSITORY / folder).rglob("*.*")
        if path.suffix in (".pyx", ".pxd", ".h", ".c")
        for name in re.findall(r"\b(?:api|newer_api|table)(?:\.|->)(\w+)", path.read_text())
    }


def table_names() -> list[str]:
    return re.findall(r"^ *\d+  [^(]*?(\w+)\(", (REPOSITORY / TABLE).read_text(), re.MULTILINE)


@pytest.fixture
def copy(tmp_path):
    """Copy the sources and the made files, to change them."""
    for name in [*SOURCES, *MADE]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, tmp_path / name)
    return tmp_path


def append(root: Path, line: str) -> int:
    """Add a line to the table, and return its number."""
    table = root / TABLE
    table.write_text(f"{table.read_text()}{line}\n")
    return len(table.read_text().splitlines())


def test_the_made_files_are_current():
    done = make(REPOSITORY, "--check")
    assert done.stderr == ""
    assert done.returncode == 0


def test_every_function_of_the_table_is_called():
    names = table_names()
    assert len(names) > 100
    assert sorted(set(names) - called_names()) == []


def test_a_changed_table_makes_both_files_stale(copy):
    assert make(copy, "--check").returncode == 0
    append(copy, "500  OrtStatus *Added(const OrtSession *session, bool on)")
    done = make(copy, "--check")
    assert done.returncode == 1
    assert [name for name in MADE if f"{name} is stale" in done.stderr] == MADE
    assert "python tools/ort_abi.py" in done.stderr


def test_a_line_of_the_table_is_enough_for_a_new_function(copy):
    append(copy, "version 26\n500  OrtStatus *Added(const OrtSession *session, bool on)")
    assert make(copy).returncode == 0
    header, pxd = ((copy / name).read_text() for name in MADE)
    assert "*(ORT_API_CALL *Added)(const OrtSession *session, bool on);" in header
    assert "base->GetApi(26)" in header
    assert "memcpy(&newer->Added, table + 500 * sizeof(void *)" in header
    assert "OrtStatus *(*Added)(const OrtSession *, bint) noexcept nogil" in pxd


def test_a_gap_in_the_slots_is_counted(copy):
    (copy / TABLE).write_text(
        "version 23\n2  void First(OrtEnv *env)\n3  void Second(void)\n9  int Third(OrtEnv *env)\n"
        "version 24\n414  int Later(void)\n"
    )
    assert make(copy).returncode == 0
    header = (copy / MADE[0]).read_text()
    struct = header.split("struct OrtApi {\n")[1].split("\n};")[0]
    assert struct.splitlines() == [
        "  void *unused_0[2];",
        "  void (ORT_API_CALL *First)(OrtEnv *env);",
        "  void (ORT_API_CALL *Second)(void);",
        "  void *unused_4[5];",
        "  int (ORT_API_CALL *Third)(OrtEnv *env);",
    ]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("500 Nonsense", "expected SLOT"),
        ("OrtStatus *Slotless(OrtEnv *env)", "expected SLOT"),
        ("3  void Before(OrtEnv *env)", "slot 3 does not come after"),
        ("version 23", "version 23 does not come after"),
        ("500  void ReleaseEnv(OrtEnvironment *env)", "does not declare OrtEnvironment"),
        ("500  OrtNothing *Made(void)", "does not declare OrtNothing"),
        ("500  void ReleaseValue(OrtValue *value)", "ReleaseValue occurs twice"),
    ],
)
def test_a_wrong_line_is_refused_by_its_number(copy, line, complaint):
    number = append(copy, line)
    done = make(copy)
    assert done.returncode == 1
    assert f"ort_api.txt, line {number}: " in done.stderr
    assert complaint in done.stderr
    for name in MADE:
        assert (copy / name).read_text() == (REPOSITORY / name).read_text()
