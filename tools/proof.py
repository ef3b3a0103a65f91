"""Run the proof of stand-ins with each version of ONNX Runtime that may use them.

The libraries are those of the wheels on the index, for this interpreter. Versions can be named:
``python tools/proof.py 1.30.0 1.31.0``.
"""

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from ortmmap.cache.recognition import PROVEN_VERSIONS

TEST = "tests/session/test_stand_in_proof.py"
LIBRARY = "onnxruntime/capi/libonnxruntime.so"


def main() -> int:
    """Return 0 if the proof holds with each version."""
    failed = [version for version in sys.argv[1:] or PROVEN_VERSIONS if not holds(version)]
    if failed:
        print(f"the proof does not hold with {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


def holds(version: str) -> bool:
    """Return whether the proof holds with a version."""
    print(f"onnxruntime {version}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "ORTMMAP_ONNXRUNTIME": str(library_of(version, Path(folder)))}
        command = [sys.executable, "-m", "pytest", "-q", TEST]
        return subprocess.run(command, env=environment, check=False).returncode == 0


def library_of(version: str, folder: Path) -> Path:
    """Download a version's wheel, and return its library, unpacked."""
    options = ["--quiet", "--no-deps", "--only-binary", ":all:", "--dest", str(folder)]
    wanted = f"onnxruntime=={version}"
    subprocess.run([sys.executable, "-m", "pip", "download", *options, wanted], check=True)
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.startswith(LIBRARY)]
        return Path(archive.extract(name, folder))


if __name__ == "__main__":
    sys.exit(main())
