"""The cost of a call from C: ONNX Runtime's own C API and ortmmap's, in one process, in turn."""

import ctypes
import subprocess
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import ortmmap

_SOURCE = Path(__file__).with_name("native_calls.c")
_CALLS = 200  # of a block, short enough that other processes disturb few

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
_PAIRS = ((2, 0), (2, 1), (4, 3), (7, 5), (7, 6))  # ortmmap's, and what it is compared with


def measure(model: Path, folder: Path, rounds: int) -> Iterator[str]:
    """Compile the benchmark in `folder`, measure calls of `one_node`, and yield comparisons.

    Times are medians over blocks of calls, ratios the medians of the blocks' ratios.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shared = folder / "calls.so"
    command = ["cc", "-O2", "-shared", "-fPIC", f"-I{ortmmap.get_include()}", str(_SOURCE)]
    subprocess.run([*command, "-o", str(shared)], check=True)
    library = ctypes.CDLL(str(shared))
    taken = (ctypes.c_double * (rounds * len(_RIVALS)))()
    size, pointer = ctypes.c_size_t, ctypes.c_void_p
    library.measure.argtypes = [pointer, ctypes.c_char_p, size, size, pointer]
    if library.measure(ortmmap.get_capi(), bytes(model), rounds, _CALLS, taken):
        raise RuntimeError("a call failed; the reason is on standard error")
    blocks = [taken[index * rounds : (index + 1) * rounds] for index in range(len(_RIVALS))]
    for ours, theirs in _PAIRS:
        pairs = zip(blocks[ours], blocks[theirs], strict=True)
        ratio = median(our / their for our, their in pairs)
        one, other = (f"{_RIVALS[n]}: {median(blocks[n]):.0f} ns" for n in (ours, theirs))
        yield f"{one}, {ratio:.2f}x of {other}"
