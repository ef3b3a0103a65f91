"""What a call costs from C: ONNX Runtime's own C API and ortmmap's, in one process, in turn."""

from __future__ import annotations

import ctypes
import statistics
import subprocess
from dataclasses import dataclass
from pathlib import Path

import ortmmap

_SOURCE = Path(__file__).with_name("native_calls.c")
_CALLS = 200  # of a block, short enough that few are disturbed by other processes

# In the order of `rivals` in native_calls.c.
_RIVALS = (
    "ort, output allocated, shape asked for",
    "ort, output allocated",
    "run, output allocated",
    "ort, output into the caller's memory",
    "run, output into the caller's memory",
    "ort, values made before",
    "ort, OrtIoBinding",
    "prepared_run",
)
# Each of ortmmap's, and what it is compared with.
_PAIRS = ((2, 0), (2, 1), (4, 3), (7, 5), (7, 6))


@dataclass(frozen=True)
class Pair:
    """Two ways to make the same call: medians in ns, and the median of blocks' ratios."""

    ours: str
    theirs: str
    our_ns: float
    their_ns: float
    ratio: float


def measure(model: Path, folder: Path, rounds: int) -> list[Pair]:
    """Compile the benchmark in `folder` and measure calls of `model`, which is one node's."""
    library = ctypes.CDLL(str(_compile(folder)))
    nanoseconds = (ctypes.c_double * (rounds * len(_RIVALS)))()
    library.measure.argtypes = [
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_size_t,
        ctypes.c_void_p,
    ]
    if library.measure(ortmmap.get_capi(), bytes(model), rounds, _CALLS, nanoseconds):
        raise RuntimeError("a call failed; the text is on standard error")
    blocks = [nanoseconds[index * rounds : (index + 1) * rounds] for index in range(len(_RIVALS))]
    return [_compare(blocks, ours, theirs) for ours, theirs in _PAIRS]


def _compile(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    library = folder / "calls.so"
    command = ["cc", "-O2", "-shared", "-fPIC", f"-I{ortmmap.get_include()}"]
    subprocess.run([*command, str(_SOURCE), "-o", str(library)], check=True)
    return library


def _compare(blocks: list[list[float]], ours: int, theirs: int) -> Pair:
    pairs = zip(blocks[ours], blocks[theirs], strict=True)
    return Pair(
        ours=_RIVALS[ours],
        theirs=_RIVALS[theirs],
        our_ns=statistics.median(blocks[ours]),
        their_ns=statistics.median(blocks[theirs]),
        ratio=statistics.median(our / their for our, their in pairs),
    )
