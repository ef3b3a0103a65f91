"""A model's own metadata come in onnxruntime's order, from the file, the cache and ORT format."""

from pathlib import Path

import models
import numpy as np
import onnxruntime
import pytest

import ortmmap

METADATA = {f"key {number}": str(number) for number in range(12)}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    content = models.build(
        [models.node("MatMul", "x w", "y")],
        [models.tensor("x", shape=[1, 64])],
        [models.tensor("y")],
        [models.constant("w", np.ones((64, 64), "f4"))],
        metadata=METADATA,
    )
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    return path


def order_of(session: object) -> list[str]:
    found = session.get_modelmeta().custom_metadata_map
    assert found == METADATA
    return list(found)


@pytest.fixture
def expected(model: Path) -> list[str]:
    return order_of(onnxruntime.InferenceSession(str(model)))


def test_the_order_of_a_file_is_onnxruntimes(model, expected):
    assert order_of(ortmmap.Session(model, cache=False)) == expected


@pytest.mark.parametrize("openings", [1, 2], ids=["cold", "warm"])
def test_the_order_of_a_cached_model_is_onnxruntimes(model, expected, tmp_path, openings):
    for _ in range(openings):
        session = ortmmap.Session(model, cache=tmp_path / "cache")
    assert order_of(session) == expected


def test_the_order_of_ort_format_is_onnxruntimes(model):
    converted = ortmmap.convert(model)
    theirs = order_of(onnxruntime.InferenceSession(str(converted)))
    assert order_of(ortmmap.Session(converted)) == theirs
