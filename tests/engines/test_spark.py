"""Spark: Python workers of a local cluster share the model and survive faults."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import models
import numpy as np
import pytest
from engine_faults import Killed, Replaced

from ortmmap.spark import AddedFile, digest, predict_batch_udf

pyspark = pytest.importorskip("pyspark", reason="pyspark is not installed")
pandas = pytest.importorskip("pandas", reason="pandas is not installed")
if shutil.which("java") is None:
    pytest.skip("Java is not installed", allow_module_level=True)
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # Spark's own warnings

QUICK_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"  # starts sooner, as the tests are short


def started(environment: dict[str, str], folder: Path, *, reuse: bool) -> Any:
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master("local-cluster[2,1,512]")
    settings = {
        "spark.driver.extraJavaOptions": QUICK_JAVA,
        "spark.driver.host": "127.0.0.1",
        "spark.executor.extraJavaOptions": QUICK_JAVA,
        "spark.executor.memory": "512m",
        "spark.local.dir": str(folder),
        "spark.python.worker.reuse": str(reuse).lower(),
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "20",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.task.maxFailures": "2",
        "spark.ui.enabled": "false",
        **{f"spark.executorEnv.{name}": value for name, value in environment.items()},
    }
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    return spark


REUSED, NOT_REUSED = "reused", "not reused"
# Every test says which, so that pytest starts one cluster for all tests of each.
reused = pytest.mark.parametrize("spark", [REUSED], indirect=True)
not_reused = pytest.mark.parametrize("spark", [NOT_REUSED], indirect=True)
both = pytest.mark.parametrize("spark", [REUSED, NOT_REUSED], indirect=True)


@pytest.fixture(scope="module")
def spark(request, engine_environment, tmp_path_factory) -> Iterator[Any]:
    """A cluster of two executors of one core; its Python workers are reused, or not."""
    folder = tmp_path_factory.mktemp("spark")
    variables = {**engine_environment, "ORTMMAP_CACHE_DIR": str(folder / "cache")}
    made = started(variables, folder, reuse=request.param == REUSED)
    made.cache_folder = folder / "cache"
    # A local cluster's executors work in the package's own folder.
    work = Path(pyspark.__file__).parent / "work" / made.sparkContext.applicationId
    yield made
    made.stop()
    shutil.rmtree(work, ignore_errors=True)


@pytest.fixture(scope="module")
def frame(spark, rows):
    """A table with the columns ``id`` and ``v``, in two partitions."""
    table = pandas.DataFrame({"id": np.arange(len(rows), dtype=float), "v": list(rows)})
    return spark.createDataFrame(table, "id double, v array<float>")


def scoring(model: object, **settings: Any) -> Any:
    """Return a UDF of the columns ``id`` and ``v``."""
    return predict_batch_udf(
        model,
        inputs={"v": "h0"},
        columns=["id", "v"],
        return_type="array<float>",
        batch_size=10,
        input_tensor_shapes=[None, [512]],
        **settings,
    )


def scored(frame: Any, model: object, **settings: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the ids and the model's outputs, in the order of the ids."""
    found = (
        frame.withColumn("y", scoring(model, **settings)("id", "v")).select("id", "y").toPandas()
    )
    found = found.sort_values("id")
    return found["id"].to_numpy(), np.stack(found["y"])


def failure(frame: Any, *args: object, **settings: Any) -> str:
    """Run a job of one partition that fails, at its second attempt, and return the error's text."""
    from pyspark.errors import PySparkException

    with pytest.raises(PySparkException) as caught:
        scored(frame.coalesce(1), *args, **settings)
    return str(caught.value)


def leftovers(cache: Path) -> list[Path]:
    return [
        one for one in cache.rglob("*") if one.name.startswith("tmp-") or "fetching" in one.name
    ]


@both
def test_workers_compute_what_onnxruntime_does_and_fill_the_cache(
    spark, frame, model_file, answers
):
    ids, outputs = scored(frame, model_file, cache=True)
    assert ids.tolist() == list(range(len(answers)))
    np.testing.assert_allclose(outputs, answers, rtol=1e-5, atol=1e-6)
    assert list(spark.cache_folder.glob("pages-*"))
    assert leftovers(spark.cache_folder) == []


@reused
def test_a_url_is_fetched_once_a_node(frame, served, answers):
    """Both executors are on this node."""
    for _ in range(2):
        _, outputs = scored(frame, served.url)
        np.testing.assert_allclose(outputs, answers, rtol=1e-5, atol=1e-6)
        assert len(served.gets) == 1


@both
def test_executors_share_one_copy_of_an_added_file(spark, frame, model_file, answers, tmp_path):
    added = tmp_path / f"added-{spark.conf.get('spark.python.worker.reuse')}.onnx"
    shutil.copy(model_file, added)
    spark.sparkContext.addFile(str(added))
    _, outputs = scored(frame, AddedFile(added.name), digest=digest(added))
    np.testing.assert_allclose(outputs, answers, rtol=1e-5, atol=1e-6)
    assert (spark.cache_folder / "models" / digest(added) / "model.onnx").exists()
    said = failure(frame, AddedFile(added.name), digest="0" * 32)
    assert "the job was started with 0000" in said


@reused
def test_several_outputs_become_a_struct(frame, model_file, answers):
    def sums(made):
        return {"total": made["h8"].sum(1), "best": made["h8"].argmax(1)}

    score = predict_batch_udf(
        model_file,
        inputs={"v": "h0"},
        postprocess=sums,
        return_type="struct<total: float, best: long>",
        batch_size=50,
        input_tensor_shapes=[[512]],
    )
    found = frame.select("id", score("v").alias("s")).select("id", "s.*").toPandas()
    found = found.sort_values("id")
    np.testing.assert_allclose(found["total"], answers.sum(1), rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(found["best"], answers.argmax(1))


@both
def test_a_worker_that_is_killed_is_replaced_and_no_row_is_lost(
    frame, model_file, answers, tmp_path
):
    ids, outputs = scored(frame, model_file, preprocess=Killed(str(tmp_path / "killed")))
    assert (tmp_path / "killed").exists()
    assert ids.tolist() == list(range(len(answers)))
    np.testing.assert_allclose(outputs, answers, rtol=1e-5, atol=1e-6)


@not_reused
def test_a_worker_that_opens_another_model_than_the_job_began_with_is_an_error(
    frame, model_file, tmp_path
):
    """The task is repeated by a new worker; one that is reused may still have the old model."""
    model, other = tmp_path / "model.onnx", tmp_path / "other.onnx"
    shutil.copy(model_file, model)
    other.write_bytes(models.affine())
    wanted = digest(model)
    replaced = Replaced(str(tmp_path / "marker"), str(model), str(other), kill=True)
    said = failure(frame, model, preprocess=replaced)
    assert "ModelChangedError" in said
    assert f"the job was started with {wanted}" in said


@reused
def test_a_column_of_a_wrong_type_is_an_error_that_names_it(spark, model_file):
    frame = spark.createDataFrame([("text",)] * 4, "v string")
    score = predict_batch_udf(
        model_file, inputs={"v": "h0"}, return_type="array<float>", batch_size=2
    )
    from pyspark.errors import PySparkException

    with pytest.raises(PySparkException, match="column 'v', input 'h0'"):
        frame.coalesce(1).select(score("v")).collect()


@reused
def test_a_frame_without_rows_has_no_result(frame, model_file):
    found = frame.filter("id < 0").withColumn("y", scoring(model_file)("id", "v"))
    assert found.collect() == []


@reused
def test_a_model_that_cannot_be_fetched_is_an_error_that_names_it(spark, frame, served):
    said = failure(frame, served.url.replace("model", "absent"))
    assert "absent.onnx: cannot be fetched" in said
    assert leftovers(spark.cache_folder) == []


@reused
def test_a_full_disk_is_an_error_and_nothing_is_half_written(
    frame, served, model_file, answers, full_disk
):
    cache = str(full_disk / "cache")
    assert "too little room" in failure(frame, served.url, cache=cache)
    assert leftovers(full_disk) == []
    _, outputs = scored(frame, model_file, cache=cache)
    np.testing.assert_allclose(outputs, answers, rtol=1e-5, atol=1e-6)
