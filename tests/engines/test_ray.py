"""Ray: actors on several raylets of one cluster share the model and survive faults."""

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from time import sleep
from typing import Any

import models
import numpy as np
import pytest
from engine_faults import Killed, Replaced, with_place
from support import onnxruntime_session, smaps_rollup

from ortmmap.errors import NoSuchFile, OrtError
from ortmmap.ray import Predictor, digest, pinned, resources, warm

ray = pytest.importorskip("ray", reason="ray is not installed")
pytest.importorskip("ray.data", reason="ray's data is not installed")
pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # Ray's own warnings
    pytest.mark.usefixtures("raylets"),
]


@pytest.fixture(scope="module")
def raylets(ray_cluster) -> Iterator[Any]:
    """The cluster, whose driver this process is."""
    with pytest.MonkeyPatch.context() as context:
        context.setenv("RAY_USAGE_STATS_ENABLED", "0")  # or the driver starts another actor
        ray.init(address=ray_cluster.address, log_to_driver=False, logging_level="ERROR")
        ray.data.DataContext.get_current().enable_progress_bars = False
        yield ray_cluster
        ray.shutdown()


@contextmanager
def added(raylets: Any, name: str, cache: Path | None = None) -> Iterator[None]:
    node = raylets.add(name, cache)
    try:
        yield
    finally:
        raylets.remove(node)


_datasets: dict[int, Any] = {}  # by number of rows, since Ray starts processes to make one


def dataset(rows: np.ndarray) -> Any:
    """Return the first of all rows as 12 blocks with the columns ``id`` and ``v``."""
    ids = np.arange(len(rows))
    if len(rows) not in _datasets:
        _datasets[len(rows)] = ray.data.from_arrow(
            [pa.table({"id": ids[one], "v": list(rows[one])}) for one in np.array_split(ids, 12)]
        )
    return _datasets[len(rows)]


def scored(
    rows: np.ndarray, model: object, actors: int = 2, actor: dict | None = None, **settings: Any
) -> dict[str, np.ndarray]:
    """Return the columns that a job has made, in the order of the rows."""
    settings = {"inputs": {"v": "h0"}, "outputs": {"h8": "y"}, "keep": ["id"], **settings}
    done = dataset(rows).map_batches(
        Predictor,
        fn_constructor_args=[model],
        fn_constructor_kwargs=settings,
        batch_size=10,
        compute=ray.data.ActorPoolStrategy(size=actors),
        **(actor or {"num_cpus": 1}),
    )
    batches = list(done.iter_batches(batch_size=None))
    columns = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    order = np.argsort(columns["id"])
    return {name: column[order] for name, column in columns.items()}


def failure(call: Callable[..., object], *args: object, **kwargs: object) -> str:
    """Call, and return the text of the error that Ray raises."""
    with pytest.raises((ray.exceptions.RayError, OrtError, ValueError)) as caught:
        call(*args, **kwargs)
    return str(caught.value)


def leftovers(cache: Path) -> list[Path]:
    return [
        path for path in cache.rglob("*") if path.name.startswith("tmp-") or "fetching" in path.name
    ]


def test_actors_of_two_nodes_fetch_once_a_node_and_share(raylets, served, rows, answers):
    """Each node is warmed with one request; the actors make none."""
    found = warm(served.url)
    assert len(served.gets) == 2
    made = scored(rows, served.url, 2, resources(served.url, threads=1), digest=found)
    np.testing.assert_allclose(made["y"], answers, rtol=1e-5, atol=1e-6)
    assert len(served.gets) == 2
    for name in ("first", "second"):
        (model,) = (raylets.cache(name) / "models").glob("*/model.onnx")
        assert model.parent.name == found
        assert list(raylets.cache(name).glob("pages-*"))
        assert leftovers(raylets.cache(name)) == []


@pytest.mark.parametrize("cpus", [1, 2])
def test_threads_follow_the_actors_cpus(model_file, cpus):
    @ray.remote(num_cpus=cpus)
    def threads(model: str) -> int:
        return Predictor(model).session.get_session_options().intra_op_num_threads

    assert ray.get(threads.remote(str(model_file))) == cpus


def test_an_actor_that_is_killed_is_replaced_and_no_row_is_lost(
    model_file, rows, answers, tmp_path
):
    faulty = Killed(str(tmp_path / "killed"))
    made = scored(rows, model_file, preprocess=faulty, postprocess=with_place)
    assert (tmp_path / "killed").exists()
    np.testing.assert_array_equal(made["id"], np.arange(len(rows)))
    np.testing.assert_allclose(made["y"], answers, rtol=1e-5, atol=1e-6)


def test_a_node_that_is_added_during_a_job_computes(raylets, served, rows, answers):
    """The job's only actor waits for a resource of that node."""
    actor = {"num_cpus": 1, "resources": {"late": 1}}
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(scored, rows[:20], served.url, 1, actor, postprocess=with_place)
        sleep(2)
        with added(raylets, "late"):
            made = job.result(120)
    np.testing.assert_allclose(made["y"], answers[:20], rtol=1e-5, atol=1e-6)
    assert set(made["node"]) == {"late"}
    assert list((raylets.cache("late") / "models").glob("*/model.onnx"))


def test_a_model_that_is_replaced_during_a_job_changes_no_result(
    model_file, rows, answers, tmp_path
):
    model, other = tmp_path / "model.onnx", tmp_path / "other.onnx"
    shutil.copy(model_file, model)
    other.write_bytes(models.weights(8, 512).replace(b"h8", b"h9"))
    made = scored(
        rows, model, preprocess=Replaced(str(tmp_path / "marker"), str(model), str(other))
    )
    assert not other.exists()
    np.testing.assert_allclose(made["y"], answers, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("by", ["digest", "pinned", "path"])
def test_an_actor_that_restarts_with_another_model_is_an_error(model_file, rows, tmp_path, by):
    model, other = tmp_path / "model.onnx", tmp_path / "other.onnx"
    shutil.copy(model_file, model)
    other.write_bytes(models.affine())
    wanted = digest(model)
    replaced = Replaced(str(tmp_path / "marker"), str(model), str(other), kill=True)
    given = pinned(model) if by == "pinned" else model
    more = {"digest": wanted} if by == "digest" else {}
    said = failure(scored, rows, given, 1, preprocess=replaced, **more)
    assert f"{model}: its digest is {digest(model)}" in said
    assert f"the job was started with {wanted}" in said


def test_a_job_that_starts_after_the_model_was_replaced_computes_with_the_new_one(rows, tmp_path):
    model = tmp_path / "model.onnx"
    for seed in (1, 2):
        model.write_bytes(models.weights(8, 512, seed=seed))
        expected = onnxruntime_session(model).run(None, {"h0": rows[:12]})[0]
        made = scored(rows[:12], model, 1)
        np.testing.assert_allclose(made["y"], expected, rtol=1e-5, atol=1e-6)


def test_a_column_of_a_wrong_type_is_an_error_that_names_it(model_file):
    batches = ray.data.from_items([{"id": 0, "v": "text"}]).map_batches(
        Predictor,
        fn_constructor_args=[model_file],
        fn_constructor_kwargs={"inputs": {"v": "h0"}},
        compute=ray.data.ActorPoolStrategy(size=1),
    )
    assert "column 'v', input 'h0'" in failure(batches.take_all)


def test_a_dataset_without_rows_has_no_result(model_file, rows):
    empty = dataset(rows[:12]).filter(lambda row: row["id"] < 0)
    done = empty.map_batches(
        Predictor,
        fn_constructor_args=[model_file],
        fn_constructor_kwargs={"inputs": {"v": "h0"}},
        compute=ray.data.ActorPoolStrategy(size=1),
    )
    assert done.count() == 0


def test_a_model_that_no_node_can_fetch_is_an_error_that_names_it(served):
    said = failure(warm, served.url.replace("model", "absent"))
    assert "absent.onnx: not warmed on" in said
    assert "cannot be fetched" in said


@pytest.fixture
def full_node(raylets, full_disk) -> Iterator[Path]:
    """A third node, whose disk is full."""
    with added(raylets, "full", full_disk / "cache"):
        yield full_disk


def test_a_node_with_a_full_disk_says_so_and_has_nothing_half_written(
    served, model_file, rows, answers, full_node
):
    said = failure(warm, served.url)
    assert "not warmed on 1 of" in said
    assert "too little room" in said
    assert "ORTMMAP_CACHE_DIR" in said
    actor = {"num_cpus": 1, "resources": {"full": 1}}
    assert "too little room" in failure(scored, rows, served.url, 1, actor)
    assert leftovers(full_node) == []
    assert list((full_node / "cache" / "models").glob("*/*")) == []
    made = scored(rows, model_file, 1, actor, cache=str(full_node / "cache"))
    np.testing.assert_allclose(made["y"], answers, rtol=1e-5, atol=1e-6)
    assert leftovers(full_node) == []


def test_actors_add_little_to_the_memory_of_their_node(tmp_path, rows):
    """The weights are 64 MiB, and two actors of a node have them in memory once."""
    model = tmp_path / "model.onnx"
    model.write_bytes(models.weights(64, 512))

    @ray.remote(num_cpus=1, resources={"first": 1})
    class Actor:
        def __init__(self, path: str) -> None:
            self._before = smaps_rollup()["Anonymous"]
            self._predictor = Predictor(path, inputs={"v": "h0"}, keep=False)

        def added(self, batch: dict) -> int:
            self._predictor(batch)
            assert self._predictor.session.cached.wait(60)
            return smaps_rollup()["Anonymous"] - self._before

    actors = [Actor.remote(str(model)) for _ in range(2)]
    added_bytes = ray.get([actor.added.remote({"v": rows[:4]}) for actor in actors])
    assert max(added_bytes) < 40 << 20, added_bytes


def test_resources_hold_private_memory_only(tmp_path):
    model = tmp_path / "model.onnx"
    model.write_bytes(models.weights(64, 512))
    size = model.stat().st_size
    shared = resources(model, threads=3, run_bytes=0, cache=True)
    private = resources(model, run_bytes=0, cache=False)
    assert shared["num_cpus"] == 3
    assert private["memory"] - shared["memory"] == pytest.approx(size, rel=0.01)
    assert resources(model, run_bytes=5, cache=True)["memory"] == shared["memory"] + 5


def test_resources_of_a_model_that_does_not_exist_are_an_error(tmp_path):
    with pytest.raises(NoSuchFile):
        resources(tmp_path / "absent.onnx")
