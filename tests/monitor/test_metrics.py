"""Prometheus' metrics, as its own client reads them."""

import pytest
from cache_entries import linux
from monitor_workers import worker

from ortmmap.monitor import Collector, Model, Snapshot, snapshot
from ortmmap.monitor.memory_map import Sizes
from ortmmap.monitor.metrics import text_format
from ortmmap.monitor.process import Process
from ortmmap.monitor.snapshot import Holding

parser = pytest.importorskip("prometheus_client.parser")

NAME = 'a "quoted"\\name\n.onnx'


def made() -> Snapshot:
    sizes = Sizes(100, 50, 25, 40, 10, 5, 0)
    process = Process(7, 0, "root", "serve", ("ortmmap", "onnxruntime"), False, sizes, [])
    model = Model(NAME, 80, False, [Holding(process, [], sizes)])
    return Snapshot([model, model], [process], 3)


def samples(text: str) -> dict[tuple, float]:
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_text_format_is_what_prometheus_parses():
    found = samples(text_format(made()))
    # Two models of one name, such as a replaced one that is still mapped, are one series.
    assert found["ortmmap_model_physical_bytes", ("model", NAME)] == 50
    assert found["ortmmap_model_unshared_bytes", ("model", NAME)] == 100
    assert found["ortmmap_model_processes", ("model", NAME)] == 2
    assert found["ortmmap_mapped_model_shared_bytes", ("model", NAME), ("pid", "7")] == 80
    runtime = ("runtime", "ortmmap,onnxruntime")
    assert found["ortmmap_process_anonymous_bytes", ("pid", "7"), runtime] == 5
    assert found[("ortmmap_unreadable_processes",)] == 3


@linux
def test_a_registry_collects_the_models_of_other_processes(ort_file):
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry()
    registry.register(Collector())
    with worker(ort_file):
        collected = samples(generate_latest(registry).decode())
        expected = samples(text_format(snapshot()))
    own = {key for key in expected if ("model", str(ort_file)) in key}
    assert len(own) > 5
    assert {key: collected[key] for key in own} == {key: expected[key] for key in own}


def test_a_path_that_is_not_utf_8_is_replaced():
    found = made()
    model = found.models[0]._replace(path="odd-\udcff.onnx")
    text_format(found._replace(models=[model])).encode()
