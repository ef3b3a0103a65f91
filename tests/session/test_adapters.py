"""Adapters of a model (LoRA): loaded as onnxruntime loads them, refused where there is nothing."""

import gc
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from situations import extras
from support import ask_python, caught, run_python

import ortmmap

PREPARE = """
import json, os, sys, numpy, onnxruntime, ortmmap
from situations import extras
path = sys.argv[1]
def quiet(options):
    options.log_severity_level = 3
    return options
"""
RUN = """
def run(ort, options):
    session = ort.InferenceSession(extras.adaptable(), quiet(ort.SessionOptions()))
    return session.run(None, {"x": extras.ONES}, options)[0].tolist()
"""


@pytest.fixture(scope="module")
def adapter_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("adapter") / "mine.onnx_adapter"
    extras.write_adapter(onnxruntime, str(path))
    return path


@pytest.fixture(scope="module")
def expected(adapter_file: Path) -> list:
    """What onnxruntime computes with the adapter."""
    adapter = onnxruntime.LoraAdapter()
    adapter.Load(str(adapter_file))
    options = onnxruntime.RunOptions()
    options.add_active_adapter(adapter)
    quiet = onnxruntime.SessionOptions()
    quiet.log_severity_level = 3
    session = onnxruntime.InferenceSession(extras.adaptable(), quiet)
    return session.run(None, {"x": extras.ONES}, options)[0].tolist()


def ask(code: str, adapter_file: Path) -> object:
    return ask_python(PREPARE + RUN + code, adapter_file)


def test_an_adapter_that_load_returns_adapts_a_run(adapter_file, expected):
    code = """
options = ortmmap.RunOptions()
options.add_active_adapter(ortmmap.LoraAdapter.Load(path))
print(json.dumps(run(ortmmap, options)))
"""
    assert ask(code, adapter_file) == expected


def test_an_adapter_is_loaded_in_place(adapter_file, expected):
    code = """
adapter = ortmmap.LoraAdapter()
adapter.Load(path)
options = ortmmap.RunOptions()
options.add_active_adapter(adapter)
print(json.dumps(run(ortmmap, options)))
"""
    assert ask(code, adapter_file) == expected


def test_an_adapter_is_loaded_again(adapter_file, expected):
    code = """
adapter = ortmmap.LoraAdapter()
adapter.Load(path)
adapter.Load(path)
options = ortmmap.RunOptions()
options.add_active_adapter(adapter)
print(json.dumps(run(ortmmap, options)))
"""
    assert ask(code, adapter_file) == expected


def test_options_keep_their_adapter(adapter_file, expected):
    options = ortmmap.RunOptions()
    options.add_active_adapter(ortmmap.LoraAdapter.Load(str(adapter_file)))
    gc.collect()
    quiet = ortmmap.SessionOptions()
    quiet.log_severity_level = 3
    session = ortmmap.Session(extras.adaptable(), quiet)
    assert session.run(None, {"x": extras.ONES}, options)[0].tolist() == expected


@pytest.mark.parametrize("made", ["LoraAdapter()", "LoraAdapter.__new__(ortmmap.LoraAdapter)"])
def test_an_empty_adapter_is_refused(made, adapter_file):
    code = f"""
options = ortmmap.RunOptions()
try:
    options.add_active_adapter(ortmmap.{made})
    run(ortmmap, options)
except (RuntimeError, ValueError) as error:
    print(json.dumps(type(error).__name__))
"""
    assert ask(code, adapter_file)


IN_CHILD = """
pid = os.fork()
if pid == 0:
    try:
        options.add_active_adapter(adapter)
        os._exit(0 if run(ortmmap, options) == expected else 1)
    except RuntimeError:
        os._exit(7)
print(json.dumps(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))
"""
LOADED = """
adapter = ortmmap.LoraAdapter.Load(path)
options = ortmmap.RunOptions()
options.add_active_adapter(adapter)
expected = run(ortmmap, options)
options = ortmmap.RunOptions()
"""


def test_an_adapter_of_the_parent_serves_a_child(adapter_file):
    assert ask(LOADED + IN_CHILD, adapter_file) == 0


def test_an_adapter_is_refused_after_a_fork_inside_onnx_runtime(adapter_file):
    """The thread that forks has no interpreter lock, so another one may be anywhere."""
    code = LOADED + "import ctypes\nos.fork = ctypes.CDLL(None).fork\n" + IN_CHILD
    assert ask(code, adapter_file) == 7


def test_an_adapter_that_is_not_there_is_refused(tmp_path):
    (tmp_path / "text").write_text("no adapter")
    for name in ("absent", "text"):
        theirs = caught(onnxruntime.LoraAdapter().Load, str(tmp_path / name))
        ours = caught(ortmmap.LoraAdapter.Load, str(tmp_path / name))
        assert type(theirs).__name__ in [cls.__name__ for cls in type(ours).__mro__]


# Beside onnxruntime's


PATCHED = "ortmmap.patch_onnxruntime(threshold=0)\n"


@pytest.mark.parametrize(
    ("adapter", "options"), [("onnxruntime", "onnxruntime"), ("onnxruntime", "ortmmap")]
)
def test_onnxruntimes_adapter_adapts_a_patched_run(adapter, options, adapter_file, expected):
    code = f"""
adapter = {adapter}.LoraAdapter()
adapter.Load(path)
options = {options}.RunOptions()
options.add_active_adapter(adapter)
print(json.dumps(run(onnxruntime, options)))
"""
    assert ask(PATCHED + code, adapter_file) == expected


def test_our_adapter_adapts_a_run_with_onnxruntimes_options(adapter_file, expected):
    code = """
options = onnxruntime.RunOptions()
options.add_active_adapter(ortmmap.LoraAdapter.Load(path))
print(json.dumps(run(onnxruntime, options)))
"""
    assert ask(PATCHED + code, adapter_file) == expected


def test_onnxruntime_writes_and_reads_adapters_under_the_patch(tmp_path):
    code = """
extras.write_adapter(onnxruntime, path)
written = onnxruntime.AdapterFormat.read_adapter(path)  # onnxruntime 1.23's values do not keep it
read = written.get_parameters()
print(json.dumps({name: value.numpy().tolist() for name, value in read.items()}))
"""
    found = ask(PATCHED + code, tmp_path / "written.onnx_adapter")
    assert found == {name: array.tolist() for name, array in extras.PARAMETERS.items()}


def test_a_run_is_not_adapted_without_adapters(adapter_file):
    base = ask("print(json.dumps(run(ortmmap, ortmmap.RunOptions())))", adapter_file)
    w = np.arange(16, dtype="f4").reshape(4, 4)
    np.testing.assert_array_equal(base, extras.ONES @ w)


def test_an_empty_adapter_can_be_made_and_dropped():
    run_python("import ortmmap\nfor _ in range(100): ortmmap.LoraAdapter()")
