"""A page of the documentation as the steps that a test runs.

A comment before a block changes what is done with it, and is not shown to readers:

- ``<!-- test: file NAME -->``: the block is written to that file;
- ``<!-- test: server`` and code: the console block starts a server; the code asks its ``PORT``;
- ``<!-- test: celery`` and code: the same for a worker of Celery; ``DELIVER()`` passes it messages.

``<!-- test: run`` and code, anywhere, is run where it stands.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_PART = re.compile(
    r"^<!-- test: (?P<test>\w+) ?(?P<argument>[^\n]*?)(?P<code>\n.*?)? ?-->$"
    r"|^```(?P<language>[^\n`]+)\n(?P<block>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)


class Step(NamedTuple):
    """One thing to do; its kind is ``file``, ``server``, ``celery`` or the block's language."""

    kind: str
    text: str  # of the block
    line: int
    argument: str = ""  # a file's name, or the code that asks a server


def steps(page: Path) -> Iterator[Step]:
    """Yield what a page shows, in order."""
    text = page.read_text()
    pending = None
    for found in _PART.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        if found["test"] == "run":
            yield Step("python", found["code"], line)
        elif found["test"]:
            pending = found["test"], found["argument"] or found["code"]
        elif pending:
            kind, argument = pending
            pending = None
            yield Step(kind, found["block"], line + 1, argument)
        else:
            yield Step(found["language"], found["block"], line + 1)
    assert pending is None, f"{page.name}: no block after a comment {pending}"


def commands(block: str, prompt: str = "$ ") -> Iterator[list[str]]:
    """Yield the commands of a console block, as words; or those of a Dockerfile, after ``RUN``."""
    for line in block.replace("\\\n", " ").splitlines():
        if line.startswith(prompt):
            yield shlex.split(line.removeprefix(prompt), comments=True)
