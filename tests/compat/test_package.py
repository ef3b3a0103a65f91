"""What is installed, by onnxruntime's names."""

import shutil
from pathlib import Path

import onnxruntime
import pytest
from support import ask_python, run_python

import ortmmap
from ortmmap.compat import package

NEWEST = tuple(map(int, onnxruntime.__version__.split(".")[:2])) >= (1, 32)


@pytest.mark.parametrize("name", ["version", "package_name", "cuda_version"])
def test_the_package_is_onnxruntimes(name):
    assert getattr(ortmmap, name) == getattr(onnxruntime, name)


def test_a_library_that_lies_alone_tells_its_version_itself(tmp_path):
    library = Path(ortmmap.get_library_path())
    shutil.copy(library, tmp_path / library.name)
    told = ask_python(
        "import json, ortmmap\n"
        "print(json.dumps([ortmmap.version, ortmmap.package_name, ortmmap.cuda_version]))",
        env={"ORTMMAP_ONNXRUNTIME": str(tmp_path / library.name)},
    )
    assert told == [ortmmap.get_version_string(), "onnxruntime", ""]


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"directory": "/no/such"},
        {"cuda": False},
        {"cuda": False, "cudnn": False},
        {"cuda": False, "cudnn": False, "directory": ""},
        {"cuda": False, "cudnn": False, "directory": "capi"},
    ],
    ids=str,
)
def test_without_cuda_nothing_is_loaded(arguments, capfd):
    assert onnxruntime.preload_dlls(**arguments) is None
    capfd.readouterr()
    assert ortmmap.preload_dlls(**arguments) is None
    assert capfd.readouterr().out == ""


def test_a_folder_that_is_not_there_raises_as_onnxruntimes():
    for module in (ortmmap, onnxruntime) if NEWEST else (ortmmap,):
        with pytest.raises(RuntimeError, match="directory=/no/such"):
            module.preload_dlls(cuda=False, cudnn=False, directory="/no/such")


def test_with_cuda_loading_is_refused(monkeypatch):
    monkeypatch.setattr(package, "cuda_version", "12.8")
    with pytest.raises(NotImplementedError, match=r"CUDA 12\.8"):
        package.preload_dlls()


def test_debug_information_begins_as_onnxruntimes():
    outputs = [
        run_python(
            f"import {module}\n{module}.print_debug_info()", env={"LD_LIBRARY_PATH": "/nowhere"}
        ).stdout
        for module in ("ortmmap", "onnxruntime")
    ]
    ours, theirs = ([line for line in output.splitlines() if line] for output in outputs)
    assert ours[:3] == theirs[:3]
    assert "LD_LIBRARY_PATH=/nowhere" in ours
    assert any(ortmmap.get_library_path() in line for line in ours)
