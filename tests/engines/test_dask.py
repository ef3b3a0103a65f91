"""Dask: workers of a local cluster, to which a pickled session is sent."""

import os
import pickle
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_faults import once
from support import REPOSITORY, configured

import ortmmap
from ortmmap.errors import ModelChangedError

dask = pytest.importorskip("dask", reason="dask is not installed")
distributed = pytest.importorskip("distributed", reason="dask is not installed")
pandas = pytest.importorskip("pandas", reason="pandas is not installed")
dd = pytest.importorskip("dask.dataframe", reason="dask's data frames are not installed")
sys.path.append(str(REPOSITORY / "examples" / "dask_batch"))
from score import Warm  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # Dask's own warnings


@pytest.fixture(scope="module")
def client(engine_environment) -> Iterator[Any]:
    folders = [engine_environment["PYTHONPATH"], str(REPOSITORY / "examples" / "dask_batch")]
    variables = {**engine_environment, "PYTHONPATH": os.pathsep.join(folders)}
    with (
        pytest.MonkeyPatch.context() as context,
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, env=variables
        ) as cluster,
        distributed.Client(cluster) as made,
    ):
        for name in ("ORTMMAP_CACHE", "ORTMMAP_CACHE_DIR"):
            context.setenv(name, variables[name])
        made.cache_folder = Path(variables["ORTMMAP_CACHE_DIR"])
        yield made


@pytest.fixture
def frame(rows):
    table = pandas.DataFrame({"id": np.arange(len(rows)), "features": list(rows)})
    with dask.config.set({"dataframe.convert-string": False}):  # it makes text of arrays
        return dd.from_pandas(table, npartitions=6)


def compute(part: Any, session: ortmmap.Session, marker: str | None = None) -> Any:
    """Return a partition with the column ``score``; kill the worker once if there is a marker."""
    if marker and (part["id"] == 60).any() and once(marker):
        os.kill(os.getpid(), signal.SIGKILL)
    (outputs,) = session.run(None, {"h0": np.stack(part["features"].to_list())})
    return part.assign(score=list(outputs))


def scored(client: Any, frame: Any, path: Path, *arguments: object) -> np.ndarray:
    session = ortmmap.Session(path, configured(ortmmap.SessionOptions()))
    sent = client.scatter(session, broadcast=True)
    meta = frame._meta.assign(score=pandas.Series(dtype=object))
    found = frame.map_partitions(compute, sent, *arguments, meta=meta).compute()
    return np.stack(found.sort_values("id")["score"])


def test_workers_open_the_session_that_is_sent(client, frame, model_file, answers):
    client.register_plugin(Warm(str(model_file)))
    assert list(client.cache_folder.glob("pages-*"))
    np.testing.assert_allclose(scored(client, frame, model_file), answers, rtol=1e-5, atol=1e-6)


def test_a_worker_that_is_killed_is_replaced_and_no_row_is_lost(
    client, frame, model_file, answers, tmp_path
):
    marker = tmp_path / "killed"
    found = scored(client, frame, model_file, str(marker))
    assert marker.exists()
    np.testing.assert_allclose(found, answers, rtol=1e-5, atol=1e-6)


def test_a_worker_that_is_added_is_warmed_and_computes(client, frame, model_file, answers):
    client.cluster.scale(3)
    client.wait_for_workers(3, timeout=60)
    np.testing.assert_allclose(scored(client, frame, model_file), answers, rtol=1e-5, atol=1e-6)


def test_a_model_that_is_replaced_before_a_worker_opens_it_is_an_error(
    client, model_file, tmp_path
):
    path = tmp_path / "model.onnx"
    shutil.copy(model_file, path)
    sent = client.submit(pickle.dumps, ortmmap.Session(path), pure=False)
    content = sent.result()
    shutil.copy(model_file, tmp_path / "other.onnx")
    (tmp_path / "other.onnx").replace(path)
    with pytest.raises(ModelChangedError, match=r"model\.onnx"):
        client.submit(pickle.loads, content, pure=False).result()
