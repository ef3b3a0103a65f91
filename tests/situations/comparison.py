"""Situations run in three ways in children, and compared."""

import functools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from situations import child, situations

REPOSITORY = Path(__file__).resolve().parents[2]

WAYS = ("patched", "mixed", "small", "ortmmap")  # beside onnxruntime itself; see child.py

Outcomes = dict[str, dict]


@functools.cache
def outcomes(way: str, names: tuple[str, ...]) -> Outcomes:
    """Run situations in one way, in a child; in another one after each that ends the child."""
    found: Outcomes = {}
    with tempfile.TemporaryDirectory() as folder:
        _write_adapter(Path(folder))
        while len(found) < len(names):
            before = len(found)
            done = _run_child(way, tempfile.mkdtemp(dir=folder), names[before:])
            for name, *outcome in map(json.loads, done.stdout.splitlines()):
                found[name] = outcome[0] if outcome else {"ends": done.returncode}
            if len(found) == before:
                raise RuntimeError(f"exit {done.returncode}: {done.stderr}")
    return found


def possible(module: object) -> tuple[str, ...]:
    """Return the names of the situations that mean something to a version of onnxruntime."""
    return tuple(sorted(name for name, each in situations().items() if each.is_possible(module)))


def _write_adapter(folder: Path) -> None:
    """Write what onnxruntime alone can write, in a child: it may be patched here."""
    code = (
        "import sys, onnxruntime; from situations import extras;"
        "extras.write_adapter(onnxruntime, sys.argv[1])"
    )
    path = os.pathsep.join(map(str, [REPOSITORY, REPOSITORY / "tests"]))
    subprocess.run(
        [sys.executable, "-c", code, folder / "adapter.onnx_adapter"],
        check=True,
        env={**os.environ, "PYTHONPATH": path},
    )


def _run_child(way: str, folder: str, names: tuple[str, ...]) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, child.__file__, way, folder, *names],
        capture_output=True,
        text=True,
        errors="replace",
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        check=False,
    )


def differences(ours: object, theirs: object, where: str = "") -> list[str]:
    """Say where outcomes differ; an exception of ours is the same if it is caught as theirs."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        if "raises" in theirs and theirs["raises"][0] in ours.get("raises", []):
            return []
        if "raises" not in theirs and ours.keys() == theirs.keys():
            return [d for k in theirs for d in differences(ours[k], theirs[k], f"{where}.{k}")]
    elif isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        pairs = enumerate(zip(ours, theirs, strict=True))
        return [d for i, (our, their) in pairs for d in differences(our, their, f"{where}[{i}]")]
    return [] if ours == theirs else [f"{where}: {ours} where onnxruntime: {theirs}"]
