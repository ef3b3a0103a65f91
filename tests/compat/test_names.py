"""Names of the module onnxruntime: ortmmap has them, and functions of that name answer alike."""

import shutil
from pathlib import Path

import onnxruntime
import pytest
from support import ask_python, run_python

import ortmmap
from ortmmap.compat import parity

NEWEST = tuple(map(int, onnxruntime.__version__.split(".")[:2])) >= (1, 32)


def test_names_of_onnxruntime_exist_or_are_listed_as_absent():
    missing = {name for name in dir(onnxruntime) if not name.startswith("_")} - set(dir(ortmmap))
    assert missing <= set(ABSENT), sorted(missing - set(ABSENT))
    assert not set(ABSENT) & set(dir(ortmmap))


ABSENT = {
    **dict.fromkeys(
        [
            "AdapterFormat",
            "ModelCompiler",
            "ModelPackage",
            "ModelPackageComponentContext",
            "ModelPackageContext",
            "ModelPackageOptions",
            "ModelPackageWriteMode",
            "OrtCompileApiFlags",
            "OrtEpContextData",
            "OrtEpContextDataBuffer",
            "OrtExternalInitializerInfo",
        ],
        "makes models or adapters for other execution providers, not sessions",
    ),
    "OrtSyncStream": "for devices that compute beside the CPU",
    **dict.fromkeys(
        [
            "contextlib",
            "import_capi_exception",
            "onnxruntime_validation",
            "backend",
            "datasets",
            "quantization",
            "tools",
            "transformers",
        ],
        "implementation and tools of the package onnxruntime",
    ),
}


def test_module_functions_answer_as_onnxruntime():
    assert set(onnxruntime.get_all_providers()) <= set(ortmmap.get_all_providers())
    assert ortmmap.get_device() == onnxruntime.get_device()
    assert ortmmap.has_collective_ops() == onnxruntime.has_collective_ops()
    ours, theirs = ortmmap.get_ep_devices()[0], onnxruntime.get_ep_devices()[0]
    assert (ours.ep_name, ours.ep_vendor, ours.ep_metadata, ours.ep_options) == (
        theirs.ep_name,
        theirs.ep_vendor,
        theirs.ep_metadata,
        theirs.ep_options,
    )
    assert ours.device.vendor == theirs.device.vendor
    assert ours.device.type == theirs.device.type.value


@pytest.mark.parametrize("kind", ["cpu", "cuda", "gpu", "npu", "dml", "cann", "webgpu"])
def test_a_device_is_described_as_onnxruntimes(kind):
    ours, theirs = ortmmap.OrtDevice.make(kind, 1), onnxruntime.OrtDevice.make(kind, 1)
    for name in ("device_id", "device_type", "device_mem_type"):
        assert getattr(ours, name)() == getattr(theirs, name)()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("register_execution_provider_library", ("x", "/no/such/library")),
        ("unregister_execution_provider_library", ("never registered",)),
        ("set_default_logger_severity", (9,)),
    ],
)
def test_module_functions_refuse_as_onnxruntime(name, arguments):
    with pytest.raises(Exception) as theirs:  # noqa: PT011 - its class is what matters
        getattr(onnxruntime, name)(*arguments)
    with pytest.raises(theirs.type):
        getattr(ortmmap, name)(*arguments)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("set_seed", (1,)),
        ("set_default_logger_verbosity", (1,)),
    ],
)
def test_functions_missing_from_the_c_api_raise(name, arguments):
    with pytest.raises(NotImplementedError, match="C API"):
        getattr(ortmmap, name)(*arguments)


def test_sessions_share_the_threads_of_the_process():
    code = """
import json, sys, numpy, models, ortmmap
ortmmap.set_global_thread_pool_sizes(2, 1)
options = ortmmap.SessionOptions()
options.use_per_session_threads = False
session = ortmmap.Session(models.affine(), options)
shape = session.run(None, {"x": numpy.ones((2, 8), "f4")})[0].shape
try:
    ortmmap.set_global_thread_pool_sizes(2, 1)
except RuntimeError:
    print(json.dumps(shape))
"""
    assert ask_python(code) == [2, 4]


def test_onnxruntime_is_not_imported_by_ortmmap():
    code = "import json, sys, ortmmap; ortmmap.patch_onnxruntime; ortmmap.get_available_providers()"
    assert ask_python(f"{code}; print(json.dumps('onnxruntime' in sys.modules))") is False


# The installed package


@pytest.mark.parametrize("name", ["version", "package_name", "cuda_version"])
def test_the_package_is_described_as_onnxruntimes(name):
    assert getattr(ortmmap, name) == getattr(onnxruntime, name)


def test_the_version_of_a_library_without_its_wheel_is_the_librarys(tmp_path):
    library = Path(ortmmap.get_library_path())
    shutil.copy(library, tmp_path / library.name)
    found = ask_python(
        "import json, ortmmap\n"
        "print(json.dumps([ortmmap.version, ortmmap.package_name, ortmmap.cuda_version]))",
        env={"ORTMMAP_ONNXRUNTIME": str(tmp_path / library.name)},
    )
    assert found == [ortmmap.get_version_string(), "onnxruntime", ""]


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
    built = {"package_name": "onnxruntime-gpu", "version": "1.32.0", "cuda_version": "12.8"}
    monkeypatch.setattr(parity, "_package", lambda: built)
    with pytest.raises(NotImplementedError, match=r"CUDA 12\.8"):
        ortmmap.preload_dlls()


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
