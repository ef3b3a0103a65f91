"""What programs in a container use: they report in lines of JSON, and wait for a line between."""

import importlib
import json
import resource
import sys

import numpy as np

_DTYPES = {"tensor(float)": "f4", "tensor(int64)": "i8"}


def say(value: object) -> None:
    print(json.dumps(value), flush=True)


def wait() -> None:
    sys.stdin.readline()


def digest(arrays: list) -> str:
    """Return a digest of the outputs of a run, equal for outputs that are equal to the bit."""
    import hashlib  # loads OpenSSL, which workers in small limits do without

    sums = hashlib.sha256()
    for array in arrays:
        sums.update(np.ascontiguousarray(array).tobytes())
    return sums.hexdigest()


def open_as(module: str, model: str, threads: int = 1) -> object:
    """Open a session of onnxruntime's or ortmmap's, which has then written what it is going to."""
    runtime = importlib.import_module(module)
    made = runtime.SessionOptions()
    made.intra_op_num_threads = threads
    session = runtime.InferenceSession(model, made)
    if module == "ortmmap":
        session.cached.wait()
    return session


def feeds(session: object) -> dict[str, np.ndarray]:
    """Return ones for the inputs of a session: a sequence of 128, other dimensions of 1."""
    sizes = {"sequence": 128}
    return {
        one.name: np.ones(
            [n if isinstance(n, int) else sizes.get(n, 1) for n in one.shape], _DTYPES[one.type]
        )
        for one in session.get_inputs()
    }


def spent() -> tuple[float, int]:
    """Return what this process has spent: seconds of processor time, and bytes read from disk."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime, usage.ru_inblock * 512


def opened(module: str, model: str) -> None:
    """Open and run a session, with a report and a pause before and after."""
    importlib.import_module(module).get_version_string()  # loads the library
    say("imported")
    wait()
    session = open_as(module, model)
    cached = getattr(session, "cached", None)
    say({"state": str(cached), "reason": getattr(cached, "reason", None)})
    wait()
    say(digest(session.run(None, feeds(session))))
    wait()
