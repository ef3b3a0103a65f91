"""Sessions of ONNX files whose weights stay in the file, wherever it lies."""

import threading
from pathlib import Path

import models
import numpy as np
import onnx
import pytest
from support import ask_python, maps, ortmmap_session, run_python

import ortmmap

LAYERS, WIDTH = 4, 256  # 1 MiB of weights


def feed() -> dict[str, np.ndarray]:
    return {"h0": np.linspace(-1, 1, WIDTH, dtype="f4").reshape(1, WIDTH)}


def output(path: object) -> bytes:
    return ortmmap.Session(path, cache=False).run(None, feed())[0].tobytes()


@pytest.fixture(scope="module")
def model() -> bytes:
    return models.weights(LAYERS, WIDTH)


@pytest.fixture(scope="module")
def expected(model) -> bytes:
    return ortmmap.Session(model).run(None, feed())[0].tobytes()


@pytest.fixture
def path(tmp_path, model) -> Path:
    path = tmp_path / "zoë 日.onnx"
    path.write_bytes(model)
    return path


def test_the_weights_stay_in_the_file(path, expected):
    session = ortmmap_session(path, config={"session.disable_prepacking": "1"})
    assert session.mapping.path == str(path)
    assert len(maps(path)) > LAYERS  # the file, and each weight, which ONNX Runtime maps from it
    np.testing.assert_allclose(
        session.run(None, feed())[0].ravel(), np.frombuffer(expected, "f4"), rtol=1e-4, atol=1e-6
    )


def test_a_link_to_a_file_of_another_name_as_in_a_hubs_cache(path, expected, tmp_path):
    (tmp_path / "blobs").mkdir()
    (tmp_path / "snapshots" / "x").mkdir(parents=True)
    path.rename(tmp_path / "blobs" / "0123abcd")
    link = tmp_path / "snapshots" / "x" / "model.onnx"
    link.symlink_to(Path("..", "..", "blobs", "0123abcd"))
    assert output(link) == expected


def test_links_to_a_model_and_its_data_as_in_a_hubs_cache(model, expected, tmp_path):
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "x"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    onnx.save(
        onnx.load_from_string(model),
        tmp_path / "model.onnx",
        save_as_external_data=True,
        location="model.onnx_data",
    )
    for name in ("model.onnx", "model.onnx_data"):
        (tmp_path / name).rename(blobs / f"hash of {name}")
        (snapshot / name).symlink_to(Path("..", "..", "blobs", f"hash of {name}"))
    assert output(snapshot / "model.onnx") == expected


def test_a_relative_path_and_a_changed_working_directory(path, expected):
    code = """
import json, os, sys
import numpy as np
import ortmmap
folder, name = os.path.split(sys.argv[1])
os.chdir(folder)
session = ortmmap.Session(name, cache=False)
os.chdir("/")
feed = {"h0": np.linspace(-1, 1, 256, dtype="f4").reshape(1, 256)}
print(json.dumps(session.run(None, feed)[0].tobytes().hex()))
"""
    assert ask_python(code, path) == expected.hex()


def test_a_read_only_folder(public_path, model, expected):
    path = public_path / "model.onnx"
    path.write_bytes(model)
    path.chmod(0o444)
    public_path.chmod(0o555)
    code = """
import sys
from support import drop_privileges
import numpy as np
import ortmmap
ortmmap.get_version_string()
drop_privileges()
feed = {"h0": np.linspace(-1, 1, 256, dtype="f4").reshape(1, 256)}
assert ortmmap.Session(sys.argv[1], cache=False).run(None, feed)[0].tobytes().hex() == sys.argv[2]
"""
    try:
        run_python(code, path, expected.hex())
    finally:
        public_path.chmod(0o755)


def test_a_file_that_is_replaced_meanwhile_is_one_or_the_other_or_refused(tmp_path):
    contents = [models.weights(LAYERS, WIDTH), models.weights(LAYERS + 1, WIDTH)]
    answers = {ortmmap.Session(content).run(None, feed())[0].tobytes() for content in contents}
    path, stop = tmp_path / "model.onnx", threading.Event()
    path.write_bytes(contents[0])

    def replace() -> None:
        count = 0
        while not stop.is_set():
            count += 1
            other = tmp_path / f"{count}.tmp"
            other.write_bytes(contents[count % 2])
            other.replace(path)

    thread = threading.Thread(target=replace)
    thread.start()
    try:
        outputs = {output(path) for _ in range(100)}
    finally:
        stop.set()
        thread.join()
    assert outputs <= answers


def test_prefault_and_lock_go_with_onnx_files_too(path, expected):
    session = ortmmap.Session(path, cache=False, prefault=True, lock=True)
    assert session.memory().resident >= path.stat().st_size
    assert session.run(None, feed())[0].tobytes() == expected
