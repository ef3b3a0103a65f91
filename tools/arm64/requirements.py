"""Print the packages that the tests need beside onnxruntime, one a line, from pyproject.toml."""

import re
import tomllib
from pathlib import Path

# mypy is for tests/typing, which are no tests of a machine.
EXTRAS = ("test", "cli", "monitor")


def main() -> None:
    """Print them; references to extras of the project itself are resolved by EXTRAS."""
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    lists = [project["dependencies"], *(project["optional-dependencies"][name] for name in EXTRAS)]
    for requirement in (each for requirements in lists for each in requirements):
        if re.match(r"(?!onnxruntime\b|ortmmap\b)", requirement):
            print(requirement)


if __name__ == "__main__":
    main()
