"""The folders of the package: imports go one way, and no module imports itself by a detour."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import REPOSITORY

PACKAGE = REPOSITORY / "ortmmap"

# From the bottom to the top: each may import what stands before it. See docs/architecture.md.
LAYERS = (
    "errors",
    "abi",
    "process",
    "runtime",
    "options",
    "values",
    "model",
    "cache",
    "monitor",
    "session",
    "_core",
    "inference_session",
    "embed",
    "__init__",  # it names what lies above it in a table, and imports that when asked for it
    "engines",
    "ray",
    "spark",
    "onnxruntime",
    "compat",
    "doctor",
    "cli",
    "capi",
    "__main__",
)

MOST_LINES = {".py": 500, ".pyx": 500, ".pyi": 500, ".pxd": 500, ".h": 400, ".c": 500}
GENERATED = {"ortmmap/abi/ort.pxd"}
MOST_FILES = 12

_CIMPORT = re.compile(r"^\s*from\s+(ortmmap[\w.]*)\s+(?:c?import)\s+\(?([^#\n)]*)", re.MULTILINE)
_PLAIN = re.compile(r"^\s*c?import\s+(ortmmap[\w.]*)", re.MULTILINE)


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def sources() -> list[Path]:
    return sorted(
        path
        for pattern in ("*.py", "*.pyx", "*.pxd")
        for path in PACKAGE.rglob(pattern)
        if "__pycache__" not in path.parts
    )


MODULES = {name_of(path) for path in sources()}


def resolved(package: str, names: list[str]) -> Iterator[str]:
    """Give the modules that a statement imports, by their names within the package."""
    inner = package.partition("ortmmap")[2].lstrip(".")
    for name in names:
        whole = f"{inner}.{name}".lstrip(".")
        if whole in MODULES:
            yield whole
        elif inner in MODULES:
            yield inner
        elif f"{inner}.__init__".lstrip(".") in MODULES:
            yield f"{inner}.__init__".lstrip(".")


def python_imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ortmmap":
            yield from resolved(node.module, [alias.name for alias in node.names])
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "ortmmap":
                    yield from resolved(alias.name, [""])


def cython_imports(path: Path) -> Iterator[str]:
    text = re.sub(r"\(\s*\n([^)]*)\)", lambda m: "(" + m[1].replace("\n", " "), path.read_text())
    for package, names in _CIMPORT.findall(text):
        yield from resolved(package, [name.split()[0] for name in names.split(",") if name.strip()])
    for package in _PLAIN.findall(text):
        yield from resolved(package, [""])


def graph() -> dict[str, set[str]]:
    """Give what each module imports, at import or later, its .pxd's cimports among it."""
    found: dict[str, set[str]] = {module: set() for module in MODULES}
    for path in sources():
        module = name_of(path)
        imports = python_imports(path) if path.suffix == ".py" else cython_imports(path)
        found[module].update(name.removesuffix(".") for name in imports if name != module)
    return found


def layer(module: str) -> int:
    return LAYERS.index(module.split(".", maxsplit=1)[0])


def test_every_module_is_in_a_layer():
    assert [module for module in MODULES if module.split(".")[0] not in LAYERS] == []


def test_no_import_runs_back_up():
    upward = [
        f"{module} -> {name}"
        for module, names in sorted(graph().items())
        for name in sorted(names)
        # The package's own .pxd is for other packages, and names what it gives them.
        if layer(name) > layer(module) and module != "__init__"
    ]
    assert upward == []


def test_no_module_imports_itself_by_a_detour():
    imports = graph()
    done: set[str] = set()

    def visit(module: str, path: list[str]) -> list[str]:
        if module in path:
            return [*path[path.index(module) :], module]
        if module in done:
            return []
        for name in sorted(imports[module]):
            circle = visit(name, [*path, module])
            if circle:
                return circle
        done.add(module)
        return []

    for module in sorted(imports):
        assert visit(module, []) == []


@pytest.mark.parametrize(("suffix", "most"), MOST_LINES.items())
def test_files_stay_short(suffix, most):
    roots = [PACKAGE, REPOSITORY / "include"]
    long = {
        path.relative_to(REPOSITORY).as_posix(): count
        for root in roots
        for path in root.rglob(f"*{suffix}")
        if (count := len(path.read_text().splitlines())) > most
    }
    assert {name: count for name, count in long.items() if name not in GENERATED} == {}


def test_the_top_of_the_package_is_a_table_of_contents():
    files = [
        path.name for path in PACKAGE.iterdir() if path.is_file() and path.suffix not in (".so",)
    ]
    assert len(files) <= MOST_FILES, files


def test_every_folder_says_what_it_is():
    for folder in PACKAGE.iterdir():
        if folder.is_dir() and folder.name not in ("__pycache__", "include"):
            assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text())), folder
