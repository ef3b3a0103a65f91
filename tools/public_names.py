"""Make ``ortmmap/__init__.pyi``, which type checkers read, of the table in ``ortmmap/__init__.py``.

``python tools/public_names.py`` writes the file; with ``--check`` it exits with 1 where the file is
not what it would write.
"""

import ast
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "ortmmap"
TARGET = PACKAGE / "__init__.pyi"
HEAD = '''"""Made by tools/public_names.py of the table in __init__.py."""

'''
TAIL = """InferenceSession = Session

__version__: str

def get_include() -> str: ...
"""


def tables() -> dict[str, object]:
    """Read the constants of ``__init__.py`` without importing the package."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    wanted = ("_PUBLIC", "_UNLISTED", "_MODULES")
    return {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id in wanted
    }


def imported(module: str, names: tuple[str, ...]) -> str:
    """Give the statement that imports names for others to import."""
    lines = "".join(f"    {name} as {name},\n" for name in sorted(names))
    return f"from ortmmap.{module} import (\n{lines})\n"


def stub() -> str:
    """Give the text of the file."""
    found = tables()
    modules = {"_core": ("Session",), **found["_PUBLIC"]}
    for module, names in found["_UNLISTED"].items():
        modules[module] = (*modules.get(module, ()), *names)
    imports = [f"from ortmmap import {module} as {module}\n" for module in found["_MODULES"]]
    imports += [imported(module, names) for module, names in sorted(modules.items())]
    public = {"InferenceSession", "Session", "get_include", *found["_MODULES"]}
    public.update(name for names in found["_PUBLIC"].values() for name in names)
    listed = "".join(f'    "{name}",\n' for name in sorted(public))
    return f"{HEAD}{''.join(imports)}\n{TAIL}\n__all__ = [\n{listed}]\n"


def main() -> int:
    """Write the file, or compare it."""
    text = stub()
    if "--check" not in sys.argv[1:]:
        TARGET.write_text(text)
        return 0
    if TARGET.read_text() == text:
        return 0
    print(f"{TARGET} is stale: run python tools/public_names.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
