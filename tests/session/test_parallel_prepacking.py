"""The threads of a session prepack its weights, if it has two or more: ONNX Runtime 1.31."""

import json
from pathlib import Path

import models
import numpy as np
import onnxruntime
import pytest
from cache_entries import linux
from support import ask_python, onnxruntime_session

from ortmmap.cache.recognition import VARIABLE, is_proven

LAYERS, WIDTH = 24, 1024  # 96 MiB of weights, each of them prepacked
IS_KNOWN = tuple(map(int, onnxruntime.__version__.split(".")[:2])) >= (1, 31)
SLOW = 2_000_000  # nanoseconds; a thread that prepacks nothing takes a tenth of a millisecond

OPEN = """
import json, os, sys
import numpy as np
import ortmmap
from ortmmap.session.filing import wait_for_all
from support import configured

def threads():
    return set(os.listdir("/proc/self/task"))

path, folder, settings = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
first = configured(ortmmap.SessionOptions(), intra_op_num_threads=1)
if not settings.get("use_per_session_threads", True):
    ortmmap.set_global_thread_pool_sizes(2, 1)
ortmmap.Session(path, first, cache=False)   # ONNX Runtime's own threads are made
before = threads()
options = configured(ortmmap.SessionOptions(), **settings)
options.add_session_config_entry("session.intra_op.allow_spinning", "0")
session = ortmmap.Session(path, options, cache=folder or False)
time = 0
for thread in threads() - before if session.cached.state != "filing" else ():
    with open(f"/proc/self/task/{thread}/schedstat") as file:
        time += int(file.read().split()[0])
feed = {"h0": np.linspace(-1, 1, 1024, dtype="f4").reshape(1, 1024)}
result = session.run(None, feed)[0].tobytes().hex()
assert session.cached.wait(60)
assert wait_for_all(60)  # later sessions recognize their blocks
memory = session.memory()
print(json.dumps([time, result, memory.shared_blocks, memory.recognized_blocks]))
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("parallel") / "weights.onnx"
    path.write_bytes(models.weights(LAYERS, WIDTH))
    return path


@pytest.fixture(scope="module")
def expected(model) -> str:
    feed = {"h0": np.linspace(-1, 1, WIDTH, dtype="f4").reshape(1, WIDTH)}
    session = onnxruntime_session(model, intra_op_num_threads=2)
    return session.run(None, feed)[0].tobytes().hex()


def opened(model: Path, folder: object = "", entry: str | None = None, **settings: object) -> list:
    """Return what the session's further threads took, in nanoseconds, its result and blocks.

    The last item is how many of the blocks were recognized.
    """
    config = {} if entry is None else {"session.prepack.enable_parallel": entry}
    settings = {"intra_op_num_threads": 2, "config": config, **settings}
    return ask_python(OPEN, model, folder, json.dumps(settings))


@linux
@pytest.mark.parametrize("entry", [None, "0", "1"])
def test_threads_prepack_unless_the_user_says_no(model, expected, entry):
    time, result, *_ = opened(model, entry=entry)
    assert result == expected
    assert (time > SLOW) == (IS_KNOWN and entry != "0")


@linux
@pytest.mark.parametrize("entry", [None, "0"])
def test_sessions_with_and_without_it_share_all_blocks(
    model, expected, tmp_path, entry, monkeypatch
):
    """Whichever of them has filled the cache."""
    monkeypatch.setenv(VARIABLE, "0")
    assert opened(model, tmp_path / "cache", entry)[1:] == [expected, LAYERS, 0]
    for other in (None, "0", "1"):
        time, *found = opened(model, tmp_path / "cache", other)
        assert found == [expected, LAYERS, 0]
        assert (time > SLOW) == (IS_KNOWN and other != "0")


proven = pytest.mark.skipif(not is_proven(onnxruntime.__version__), reason="no stand-ins")


@linux
@proven
@pytest.mark.parametrize("entry", [None, "0", "1"])
def test_threads_pack_stand_ins_unless_the_user_says_no(model, expected, tmp_path, entry):
    """The kernel packs blocks that are alike in all but their weights."""
    opened(model, tmp_path)
    for _ in range(3):
        time, *found = opened(model, tmp_path, entry)
        assert found == [expected, LAYERS, LAYERS]
        assert (time > SLOW) == (IS_KNOWN and entry != "0")


@linux
@proven
def test_many_threads_pack_stand_ins_in_turn(model, expected, tmp_path):
    """Each of them would need a fold."""
    opened(model, tmp_path)
    time, *found = opened(model, tmp_path, intra_op_num_threads=9)
    assert found == [expected, LAYERS, LAYERS]
    assert time < SLOW


# Blocks begin at the same place of a huge page, and nothing is packed in turn after a failure.
ALIKE = """
import ortmmap.cache.pages
import ortmmap.session.recorded_creation
ortmmap.cache.pages.ALIGNMENT = 1 << 21
ortmmap.session.recorded_creation.IN_TURN = {}
"""


@linux
@proven
def test_blocks_that_lie_alike_on_folds_are_told_apart(model, expected, tmp_path):
    """ONNX Runtime takes packed buffers of one digest for one, so it must not digest them later."""
    settings = json.dumps({"intra_op_num_threads": 2})
    assert ask_python(ALIKE + OPEN, model, tmp_path, settings)[1:3] == [expected, LAYERS]
    for _ in range(3):
        time, *found = ask_python(ALIKE + OPEN, model, tmp_path, settings)
        assert found == [expected, LAYERS, LAYERS]
        assert (time > SLOW) == IS_KNOWN


@linux
def test_threads_of_the_environment_prepack_nothing(model, expected, tmp_path):
    """Their blocks would not be recorded."""
    for _ in range(2):
        found = opened(model, tmp_path / "cache", use_per_session_threads=False)
    assert found[1:3] == [expected, LAYERS]
