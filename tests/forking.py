"""Programs that fork, with a session that is open: their beginning, and the models they open."""

from pathlib import Path

import models
from support import run_python, to_ort

PREAMBLE = """
import faulthandler, gc, os, signal, sys, threading, time
import numpy as np
import ortmmap
from support import assert_same, caught, descriptors, maps, smaps_rollup

feed = {"x": np.arange(16, dtype="f4").reshape(2, 8)}

def fork(work):
    '''Call `work` in a child, and raise where it raised, crashed or hung.'''
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.alarm(60)
            work()
            status = 0
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    return child

def wait(child):
    _, status = os.waitpid(child, 0)
    assert status == 0, os.waitstatus_to_exitcode(status)

def run_in_child(work):
    wait(fork(work))

def is_inherited():
    '''Whether a use of `session` finds the parent's `OpenSession`.'''
    return session._opened() is opened

def options_of(**settings):
    options = ortmmap.SessionOptions()
    options.intra_op_num_threads = 1
    for name, value in settings.items():
        setattr(options, name, value)
    return options
"""

SOURCES = {
    "ort file": "ortmmap.Session(sys.argv[1], options, cache=cache)",
    "onnx file": "ortmmap.Session(sys.argv[2], options, cache=cache)",
    "external data": "ortmmap.Session(sys.argv[4], options, cache=cache)",
    "ort bytes": "ortmmap.Session(open(sys.argv[1], 'rb').read(), options)",
    "onnx bytes": "ortmmap.Session(open(sys.argv[2], 'rb').read(), options)",
    "bytearray": "ortmmap.Session(bytearray(open(sys.argv[1], 'rb').read()), options)",
    "mapping": "ortmmap.Session(ortmmap.Mapping(sys.argv[1]), options)",
}


def files_in(folder: Path) -> tuple[Path, ...]:
    """Write a model in ORT format and in ONNX format, and one with external data.

    The third path is that of a folder for a cache.
    """
    onnx_file, ort_file, cache = folder / "m.onnx", folder / "m.ort", folder / "cache"
    model = models.weights(3, 256)
    onnx_file.write_bytes(model)
    ort_file.write_bytes(to_ort(model))
    external, _ = models.external(folder, 3, 256)
    return ort_file, onnx_file, cache, external


def run_forking(code: str, *args: object) -> None:
    run_python(PREAMBLE + code, *args, timeout=100)


MODEL = """
cache = {cache}
options = options_of(intra_op_num_threads={threads})
feed = {{"h0": np.ones((2, 256), "f4")}}
session = {source}
expected = session.run(None, feed)
opened = session._opened()
"""
