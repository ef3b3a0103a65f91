"""A model that is replaced by rename while it is opened: each session is of one model or the other.

The README recommends to replace a model by renaming another file over it. onnxruntime opens one or
the other then.
"""

from pathlib import Path

import models
import numpy as np
import onnx
import onnxruntime
import pytest
from support import ask_python

import ortmmap

OPENERS = 4
OPENINGS = 12  # of each

# Two models of the same inputs and outputs, and what each computes; a thread that puts one over the
# other every 10 ms; threads that open whatever is there.
REPLACING = """
import json, os, sys, threading, warnings, numpy, ortmmap, onnxruntime
warnings.simplefilter("ignore")  # that a cache is not written fails nothing
folder, kind, openers, openings = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
path = os.path.join(folder, "model.onnx")
feed = {"h0": numpy.ones((1, 512), "f4")}
ended, outcomes = threading.Event(), []

def options_of(module):
    options = module.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    return options

def open_model(number):
    if kind == "onnxruntime":
        return onnxruntime.InferenceSession(path, options_of(onnxruntime))
    cache = {"none": False, "warm": folder + "/cache"}.get(kind, f"{folder}/cache{number}")
    return ortmmap.Session(path, options_of(ortmmap), cache=cache)

def replace():
    number = 0
    while not ended.wait(0.01):
        number += 1
        with open(os.path.join(folder, f"{number % 2}.onnx"), "rb") as file:
            content = file.read()
        with open(path + ".new", "wb") as file:
            file.write(content)
        os.replace(path + ".new", path)

def open_many(first):
    for number in range(first, first + openings):
        try:
            session = open_model(number)
            outcomes.append(float(session.run(None, feed)[0].sum()))
        except Exception as error:
            outcomes.append(f"{type(error).__name__}: {error}")

if kind == "warm":
    open_model(0)
replacing = threading.Thread(target=replace)
replacing.start()
threads = [threading.Thread(target=open_many, args=(k * openings,)) for k in range(openers)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
ended.set()
replacing.join()
outcomes.append(float(open_model(0).run(None, feed)[0].sum()))  # what is there now
print(json.dumps(outcomes))
"""


def scaled(factor: float) -> bytes:
    """Build three products of 512 by 512, in all of `factor`."""
    model = onnx.load_model_from_string(models.weights(3, 512))
    for tensor in model.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor) * factor
        tensor.CopyFrom(onnx.numpy_helper.from_array(array.astype("f4"), tensor.name))
    return model.SerializeToString()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, factor in enumerate((1, 2)):
        (tmp_path / f"{number}.onnx").write_bytes(scaled(factor))
    (tmp_path / "model.onnx").write_bytes(scaled(1))
    return tmp_path


def results(folder: Path) -> list[float]:
    """Return what the two models compute."""
    feed = {"h0": np.ones((1, 512), "f4")}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return [
        float(onnxruntime.InferenceSession(str(path), options).run(None, feed)[0].sum())
        for path in (folder / "0.onnx", folder / "1.onnx")
    ]


def outcomes(folder: Path, kind: str) -> list[float | str]:
    found = ask_python(REPLACING, folder, kind, OPENERS, OPENINGS)
    assert len(found) == OPENERS * OPENINGS + 1
    return found


def test_onnxruntime_opens_one_or_the_other(folder):
    assert set(outcomes(folder, "onnxruntime")) <= set(results(folder))


@pytest.mark.parametrize("kind", ["none", "cold", "warm"])
def test_a_session_is_of_one_or_the_other(folder, kind):
    assert [o for o in outcomes(folder, kind) if o not in results(folder)] == []


def test_a_cached_session_is_of_the_file_that_is_there(folder):
    """After all replacing, the cache's entries are of the models that they are found by."""
    cache = folder / "cache"
    options = ortmmap.SessionOptions()
    options.intra_op_num_threads = 1
    feed = {"h0": np.ones((1, 512), "f4")}
    for number in (0, 1, 0, 1):
        (folder / "new").write_bytes((folder / f"{number}.onnx").read_bytes())
        (folder / "new").rename(folder / "model.onnx")
        session = ortmmap.Session(folder / "model.onnx", options, cache=cache)
        assert float(session.run(None, feed)[0].sum()) == results(folder)[number]


def test_a_file_that_is_written_in_place_meanwhile_is_refused(folder):
    """Its mapped bytes are no longer those of one model."""
    code = """
import os, sys, threading, ortmmap
path, ended = sys.argv[1], threading.Event()
def write():
    with open(path, "r+b") as file:
        content = file.read()
        while not ended.is_set():
            file.seek(0)
            file.write(content)
            file.flush()
threading.Thread(target=write).start()
refused = 0
for _ in range(30):
    try:
        ortmmap.Session(path, cache=False)
    except ortmmap.errors.ModelChangedError:
        refused += 1
ended.set()
print(refused)
"""
    assert ask_python(code, folder / "model.onnx") > 0
