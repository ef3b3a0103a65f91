"""Write the element types of ``ortmmap/values/element_types.pyx`` into the C API's declarations.

``python tools/element_types.py`` rewrites ``enum ortmmap_element_type`` in
``include/ortmmap/capi.h`` and ``ortmmap/abi/capi.pxd``; with ``--check`` it exits with 1 if they
differ from the table. The package has to be built.
"""

import re
import sys
from collections.abc import Callable
from pathlib import Path

from ortmmap.values.element_types import ELEMENT_TYPES

REPOSITORY = Path(__file__).resolve().parent.parent
HEADER = re.compile(r"(enum ortmmap_element_type \{\n).*?(\n\};)", re.DOTALL)
DECLARATION = re.compile(r"(    enum ortmmap_element_type:\n).*?(\n\n)", re.DOTALL)


def enumerators() -> dict[str, int]:
    """Return the numbers of the C API's element types, which are ONNX Runtime's, by C name."""
    return {
        f"ORTMMAP_{type_.name.upper()}": type_.ort_number
        for type_ in ELEMENT_TYPES
        if type_.ort_number is not None
    }


def header(text: str) -> str:
    """Rewrite the enum in the header."""
    lines = ",\n".join(f"  {name} = {number}" for name, number in enumerators().items())
    return HEADER.sub(rf"\g<1>{lines}\g<2>", text, count=1)


def declaration(text: str) -> str:
    """Rewrite the enum in the header's declaration for Cython."""
    lines = "\n".join(f"        {name}" for name in enumerators())
    return DECLARATION.sub(rf"\g<1>{lines}\g<2>", text, count=1)


FILES: dict[str, Callable[[str], str]] = {
    "include/ortmmap/capi.h": header,
    "ortmmap/abi/capi.pxd": declaration,
}


def main() -> int:
    """Rewrite the files, or name those that differ from the table."""
    stale = 0
    for name, rewrite in FILES.items():
        path = REPOSITORY / name
        text = path.read_text()
        wanted = rewrite(text)
        if wanted == text:
            continue
        if "--check" in sys.argv[1:]:
            print(f"{name} is stale: run python tools/element_types.py", file=sys.stderr)
            stale = 1
        else:
            path.write_text(wanted)
    return stale


if __name__ == "__main__":
    sys.exit(main())
