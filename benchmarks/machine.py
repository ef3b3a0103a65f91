"""The machine and the versions that figures come from."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

import psutil

import ortmmap

_MODULES = ("onnxruntime", "ortmmap", "openvino", "numpy")


def machine() -> dict[str, str | int | float]:
    """Return what a reader must know to compare figures."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count() or 0,
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **{name: version for name in _MODULES if (version := _version(name))},
    }


def described(facts: dict[str, str | int | float]) -> str:
    """Return the same as one line."""
    versions = [f"{name} {facts[name]}" for name in ("python", *_MODULES) if name in facts]
    hardware = f"{facts['cpu']}, {facts['cores']} cores, {facts['memory_gib']} GiB"
    return "; ".join((hardware, str(facts["system"]), ", ".join(versions)))


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    if package == "ortmmap":
        return ortmmap.__version__
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
