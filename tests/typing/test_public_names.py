"""The public names: their stub is up to date, and each exists for Python and for type checkers."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import REPOSITORY

import ortmmap

GENERATOR = Path("tools", "public_names.py")
NAMES = sorted({*ortmmap.__all__, *ortmmap._MODULE_OF, "__version__"})


def generator(root: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, root / GENERATOR, *arguments], capture_output=True, text=True, check=False
    )


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A folder with the generator, the table and the stub."""
    for name in (GENERATOR, "ortmmap/__init__.py", "ortmmap/__init__.pyi"):
        target = tmp_path / name
        target.parent.mkdir(exist_ok=True)
        shutil.copy(REPOSITORY / name, target)
    return tmp_path


def test_the_stub_is_what_the_table_generates():
    done = generator(REPOSITORY, "--check")
    assert done.returncode == 0, done.stderr


def test_a_stale_stub_is_noticed_and_written_again(copied):
    stub = copied / "ortmmap" / "__init__.pyi"
    current = stub.read_text()
    stub.write_text(current.replace("import Mapping as Mapping", "import Mapping as Other"))
    done = generator(copied, "--check")
    assert (done.returncode, "stale" in done.stderr) == (1, True)
    assert generator(copied).returncode == 0
    assert stub.read_text() == current


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_exists(name):
    assert getattr(ortmmap, name) is not None


def test_the_stub_has_every_public_name_and_no_other():
    tree = ast.parse((REPOSITORY / "ortmmap" / "__init__.pyi").read_text())
    imported = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    defined = {alias.asname for node in imported for alias in node.names}
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.FunctionDef(name=name):
                defined.add(name)
            case ast.AnnAssign(target=ast.Name(id=name)):
                defined.add(name)
    assert defined - {"__all__"} == set(NAMES)


def test_the_stub_lists_what_a_star_import_takes():
    tree = ast.parse((REPOSITORY / "ortmmap" / "__init__.pyi").read_text())
    (listed,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "__all__"
    )
    assert listed == sorted(ortmmap.__all__)
