"""What several test modules need: onnxruntime's answers, child processes, /proc."""

import functools
import gc
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime

import ortmmap

REPOSITORY = Path(__file__).resolve().parent.parent
NOBODY = 65534


def wait_for_server(port: int, server: subprocess.Popen, log: Callable[[], str]) -> None:
    """Return once a server accepts connections; it must not have ended."""
    for _ in range(600):
        assert server.poll() is None, log()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the server does not answer")


@functools.cache
def to_ort(model: bytes, level: int = 99) -> bytes:
    """Convert an ONNX model to ORT format, by onnxruntime itself."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel(level)
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.save_model_format", "ORT")
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = str(Path(folder, "model.ort"))
        onnxruntime.InferenceSession(model, options, enable_fallback=0)
        return Path(options.optimized_model_filepath).read_bytes()


def onnxruntime_session(source: object, **settings: object) -> onnxruntime.InferenceSession:
    """Open a session of onnxruntime's, quiet and of one thread unless `settings` say otherwise."""
    options = configured(onnxruntime.SessionOptions(), **settings)
    return onnxruntime.InferenceSession(source, options, enable_fallback=0)


def ortmmap_session(source: object, **settings: object) -> ortmmap.Session:
    return ortmmap.Session(source, configured(ortmmap.SessionOptions(), **settings))


def configured(options: object, config: dict | None = None, **settings: object) -> object:
    for name, value in {"intra_op_num_threads": 1, "log_severity_level": 4, **settings}.items():
        setattr(options, name, value)
    for key, value in (config or {}).items():
        options.add_session_config_entry(key, value)
    return options


def assert_same(ours: object, theirs: object) -> None:
    """Compare two results of a run, to the bit."""
    assert type(ours) is type(theirs)
    if isinstance(ours, (list, tuple)):
        assert len(ours) == len(theirs)
        for our, their in zip(ours, theirs, strict=True):
            assert_same(our, their)
    elif isinstance(ours, np.ndarray):
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
        assert contents(ours) == contents(theirs)
    else:
        assert ours == theirs
        if isinstance(ours, dict):
            assert_same([*ours, *ours.values()], [*theirs, *theirs.values()])


def contents(array: np.ndarray) -> object:
    return array.tolist() if array.dtype == object else array.tobytes()


def class_names(error: type[BaseException] | BaseException) -> set[str]:
    kind = error if isinstance(error, type) else type(error)
    return {cls.__name__ for cls in kind.__mro__}


def caught(function: object, *args: object, **kwargs: object) -> BaseException | None:
    """Call, and return what was raised."""
    try:
        function(*args, **kwargs)
    except Exception as error:
        return error
    return None


def run_python(
    code: str, *args: object, check: bool = True, env: dict | None = None, **kwargs: object
) -> subprocess.CompletedProcess:
    """Run `code` in a fresh interpreter that finds the same ortmmap, warnings being errors."""
    folders = [Path(ortmmap.__file__).parent.parent, Path(__file__).parent]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders)), **(env or {})}
    environment = {name: value for name, value in environment.items() if value is not None}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *map(str, args)],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env=environment,
        **kwargs,
    )
    if check:
        assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def ask_python(code: str, *args: object, **kwargs: object) -> object:
    """Run `code` as run_python does, and decode the JSON of the last line that it prints."""
    return json.loads(run_python(code, *args, **kwargs).stdout.splitlines()[-1])


def maps(path: str | Path) -> list[str]:
    """Return the lines of /proc/self/maps that name `path`."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return [line for line in lines if line.endswith(f" {path}")]


def descriptors() -> list[str]:
    """Return what the open descriptors of this process refer to."""
    targets = []
    for link in Path("/proc/self/fd").iterdir():
        try:
            targets.append(str(link.readlink()))
        except OSError:  # the descriptor of the listing itself
            continue
    return targets


def smaps_rollup(process: int | str = "self") -> dict[str, int]:
    """Return the sums of a process's memory map, in bytes."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
    fields = (line.split() for line in lines)
    return {name.rstrip(":"): int(size) * 1024 for name, size, *_ in fields}


def status(field: str) -> int:
    """Return a field of /proc/self/status that is a size, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise KeyError(field)


def drop_privileges() -> None:
    """Become an ordinary user; for a child process."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def assert_flat(call: Callable[[], object], count: int = 2000, periods: int = 6) -> None:
    """Call `count` times, until one such period adds no private memory worth the name.

    The heap takes some periods to settle. A leak of 128 bytes a call would show in each of them.
    """
    sizes = [smaps_rollup()["Anonymous"]]
    while len(sizes) <= periods:
        for _ in range(count):
            call()
        gc.collect()
        sizes.append(smaps_rollup()["Anonymous"])
        if sizes[-1] - sizes[-2] < 128 * count:
            return
    raise AssertionError(f"private memory grows: {sizes}")
