"""The machine and the versions that figures were measured with."""

import os
import platform
from importlib import metadata
from pathlib import Path

import psutil

import ortmmap


def machine() -> dict[str, str]:
    """Return the facts that a comparison of figures needs."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    memory = psutil.virtual_memory().total / 2**30
    facts = {
        "cpu": names[0] if names else platform.processor() or platform.machine(),
        "size": f"{os.cpu_count()} cores, {memory:.1f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": f"Python {platform.python_version()}",
        "ortmmap": f"ortmmap {ortmmap.__version__}",
    }
    for name in ("onnxruntime", "openvino", "numpy"):
        try:
            facts[name] = f"{name} {metadata.version(name)}"
        except metadata.PackageNotFoundError:
            continue
    return facts
