"""The wheels of `make wheels`, each installed where there is no compiler and no checkout.

``make test-wheels`` runs this file alone, without the modules of the source tree. Elsewhere it is
skipped: ``ORTMMAP_WHEELS`` names the folder of the wheels.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import models
import numpy as np
import pytest
from doc_pages import steps

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.append(str(REPOSITORY / "tools" / "wheels"))

package = pytest.importorskip("package", reason="tools/wheels needs auditwheel, setuptools, wheel")
FOLDER = os.environ.get("ORTMMAP_WHEELS")
if not FOLDER:
    pytest.skip("ORTMMAP_WHEELS is not set; make test-wheels sets it", allow_module_level=True)
pytestmark = pytest.mark.slow
WHEELS = sorted(Path(FOLDER).resolve().glob(f"*_{platform.machine().lower()}.whl"))
PROGRAMS = "Scripts" if os.name == "nt" else "bin"
LINUX_ONLY = pytest.mark.skipif(sys.platform != "linux", reason="auditwheel is for Linux")
MODULES = {
    ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
    for path in (REPOSITORY / "ortmmap").rglob("*.pyx")
}


def interpreter(wheel: Path) -> Path:
    """Return an interpreter of the version that a wheel is for, on PATH or of pyenv."""
    tag = re.search(r"-cp3\d+-cp3(\d+t?)-", wheel.name)[1]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv", "versions")
    found = [shutil.which(f"python3.{tag}"), *pyenv.glob(f"3.{tag[:2]}.*/bin/python")]
    for program in filter(None, [*found, sys.executable]):
        code = (
            "import sys; flags = getattr(sys, 'abiflags', ''); "
            "print(f'{sys.version_info.minor}{flags}', sys.executable)"
        )
        done = subprocess.run([program, "-c", code], capture_output=True, text=True, check=False)
        minor, _, executable = done.stdout.strip().partition(" ")
        if minor == tag:
            return Path(executable)  # the program may be a shim, which needs a shell
    pytest.skip(f"no python3.{tag} on this machine")


def run(command: list[object], folder: Path, **variables: str) -> str:
    """Run a command in a folder, with nothing on PATH but the environment's own programs."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment = {**kept, "PATH": str(folder / "venv" / PROGRAMS), **variables}
    done = subprocess.run(
        [*map(str, command)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def square_model() -> bytes:
    """Build output = input @ w, of shape (batch, 512), which the README's example runs."""
    weights = np.random.default_rng(0).standard_normal((512, 512), "f4")
    return models.build(
        [models.node("MatMul", "input w", "output")],
        [models.tensor("input", shape=["batch", 512])],
        [models.tensor("output", shape=["batch", 512])],
        [models.constant("w", weights)],
    )


def first_example() -> str:
    """Return the README's first example, after the lines that a reader does not see."""
    found = steps(REPOSITORY / "README.md")
    code = []
    for step in found:
        if step.kind == "python":
            code.append(step.text)
            if "InferenceSession" in step.text:
                return "".join(code)
    raise AssertionError("the README has no example")


def test_there_is_a_wheel_for_this_machine():
    assert WHEELS != []


@pytest.mark.parametrize("wheel", WHEELS, ids=lambda path: path.stem)
def test_an_installed_wheel_runs_the_first_example_and_the_command_line(wheel, tmp_path):
    python = tmp_path / "venv" / PROGRAMS / "python"
    run([interpreter(wheel), "-m", "venv", tmp_path / "venv"], tmp_path)
    run([python, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", wheel], tmp_path)
    (tmp_path / "model.onnx").write_bytes(square_model())
    more = "\nimport ortmmap\nprint(ortmmap.__file__)\nprint(outputs[0].shape)\n"
    file, shape = run([python, "-W", "error", "-c", first_example() + more], tmp_path).splitlines()
    assert Path(file).is_relative_to(tmp_path / "venv")
    assert shape == "(1, 512)"
    assert "model.onnx" in run(
        [tmp_path / "venv" / PROGRAMS / "ortmmap", "info", "model.onnx"], tmp_path
    )
    cache = {"ORTMMAP_CACHE_DIR": str(tmp_path / "cache")}
    run([python, "-m", "ortmmap", "cache", "warm", "model.onnx"], tmp_path, **cache)
    run([python, "-m", "ortmmap", "cache", "verify"], tmp_path, **cache)


@LINUX_ONLY
@pytest.mark.parametrize("wheel", WHEELS[:1], ids=lambda path: path.stem)
def test_a_wheel_has_no_defect(wheel):
    assert package.defects(wheel, MODULES) == []


@LINUX_ONLY
@pytest.mark.parametrize("wheel", WHEELS[:1], ids=lambda path: path.stem)
def test_defects_of_a_wheel_are_found(wheel, tmp_path):
    assert package.defects(wheel, {*MODULES, "ortmmap.absent"}) == ["no module ortmmap.absent"]
    stray = shutil.copy(wheel, tmp_path)
    with zipfile.ZipFile(stray, "a") as archive:
        archive.writestr("ortmmap/core.c", "int stray;")
        archive.writestr("ortmmap/stray.bin", os.urandom(package.LIMIT))
    found = package.defects(Path(stray), MODULES)
    assert [defect.partition(",")[0] for defect in found] == [
        f"{Path(stray).stat().st_size} bytes",
        "a stray file: ortmmap/core.c",
        "a stray file: ortmmap/stray.bin",
    ]
    older = tmp_path / wheel.name.replace("manylinux_2_28", "manylinux_2_5")
    shutil.copy(wheel, older)
    (defect,) = package.defects(older, MODULES)
    assert defect.startswith("auditwheel does not find it to be manylinux_2_5_")
