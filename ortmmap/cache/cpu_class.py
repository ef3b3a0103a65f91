"""The class of a CPU: the instruction sets that ONNX Runtime's kernels (MLAS) are chosen by.

They decide the layout of prepacked weights, and of the weights in an optimized graph: convolutions
are in blocks of 16 channels with AVX-512, and of 8 without it. CPUs of one class share the entries
of the cache, whoever makes them, and whatever their model and stepping.

The rules are those of ``core/mlas/lib/platform.cpp`` and ``core/common/cpuid_info.cc`` of ONNX
Runtime 1.23 to 1.32. They may be coarser than a later version's: stored prepacked weights are only
used where they equal what the kernels make, byte by byte, so that a miss is what it would cost.
"""

import os
import sys
from collections.abc import Iterable, Set

__all__ = ["CpuClass", "classify", "cpu_class"]

_MACHINES = {"amd64": "x86-64", "x86_64": "x86-64", "arm64": "aarch64"}
_CORE_512 = ("avx512f", "avx512bw", "avx512dq", "avx512vl")
# Constant fields of /proc/cpuinfo, for architectures whose kernels are not known here.
_FIELDS = ("isa", "uarch", "cpu", "machine", "model name", "Model Name", "features", "Features")


class CpuClass:
    """A class of CPUs that share the entries of the cache.

    Attributes
    ----------
    name : str
        The architecture and the features, such as ``x86-64+fma+avx2``.
    features : tuple of str
        Instruction sets, by their names in Linux's ``/proc/cpuinfo``. Lengths of vectors are in
        bits, such as ``sve:256``. Of an unknown architecture: all that is known of the CPU.
    """

    __slots__ = ("features", "name")  # no named tuple, which takes 0.15 ms to define

    def __init__(self, machine: str, features: tuple[str, ...]) -> None:
        self.features = features
        self.name = "+".join((machine, *features))

    def __repr__(self) -> str:
        return f"<CpuClass {self.name}>"


def cpu_class() -> CpuClass:
    """Return the class of this machine's CPU."""
    from ortmmap.runtime.library import get_cpu_features

    machine = _machine()
    features = get_cpu_features()
    if machine in ("x86-64", "aarch64") and (features or machine == "x86-64"):
        return classify(machine, features)
    return classify(machine, {*features, *_described()})


def classify(machine: str, features: Iterable[str]) -> CpuClass:
    """Return the class of a CPU.

    Parameters
    ----------
    machine : str
        The architecture, such as ``x86_64``.
    features : iterable of str
        Names as in Linux's ``/proc/cpuinfo``, of which those that choose no kernel are ignored.
    """
    machine = _MACHINES.get(machine.lower(), machine)
    found = frozenset(features)
    if machine == "x86-64":
        kept = _of_x86(found)
    elif machine == "aarch64":
        kept = _of_arm(found)
    else:
        kept = tuple(sorted(found))
    return CpuClass(machine, kept)


def _of_x86(found: Set[str]) -> tuple[str, ...]:
    """Each step of MLAS takes the one before it for granted, so a gap ends the search."""
    if not found >= {"avx", "fma", "avx2"}:
        return _those(found, "avx") or _those(found, "sse4_1")
    kept = ["fma", "avx2"]
    if found >= set(_CORE_512):
        kept += [*_CORE_512, *_those(found, "avx512_vnni")]
    else:
        # With all of AVX-512 its kernels replace those of AVX-VNNI.
        kept += _those(found, "avx512f", "avx_vnni")
    kept += _those(found, "avx_vnni_int8", "avx_ne_convert")
    if found >= {"amx_tile", "amx_int8"}:
        kept.append("amx_int8")
    return tuple(kept)


def _of_arm(found: Set[str]) -> tuple[str, ...]:
    """Half precision and dot products choose kernels, and matrix products their layout."""
    kept = ["fp16"] if found >= {"fphp", "asimdhp"} else []
    kept += _those(found, "asimddp", "i8mm", "bf16")
    for name in ("sve", "sme"):
        if name in found:
            kept += [name, *sorted(each for each in found if each.startswith(f"{name}:"))]
    return (*kept, *_those(found, "sme2"))


def _those(found: Set[str], *names: str) -> tuple[str, ...]:
    return tuple(name for name in names if name in found)


def _machine() -> str:
    if sys.platform == "win32":
        import platform

        name = platform.machine()
    else:
        name = os.uname().machine
    return _MACHINES.get(name.lower(), name)


def _described() -> list[str]:
    """Return what the system says of a CPU whose features are not known: rather too much."""
    if sys.platform == "linux":
        return _proc_cpuinfo()
    import platform

    return [platform.processor()]


def _proc_cpuinfo() -> list[str]:
    """Read the first CPU's fields only: the kernel generates the text while it is read."""
    try:
        fd = os.open("/proc/cpuinfo", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return []
    try:
        first = os.read(fd, 1 << 14).decode("utf-8", "replace").partition("\n\n")[0]
    finally:
        os.close(fd)
    pairs = (line.partition(":") for line in first.splitlines())
    fields = {name.strip(): value.strip() for name, _, value in pairs}
    return [f"{name}={fields[name]}" for name in _FIELDS if name in fields]
