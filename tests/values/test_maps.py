"""Sequences of maps come out as lists of dicts, whatever the keys of one map and the next."""

import gc
import weakref

import models
import numpy as np
import onnx
import pytest
from models import ML, TensorProto, helper
from support import assert_same, caught, onnxruntime_session, ortmmap_session, to_ort

import ortmmap

SEQUENCES = {
    "int64": [{1: 0.5}, {1: 0.25, 7: 1.5}, {}, {-3: 2.0}, {-3: 1.0}, {2**62: -0.5}],
    "string": [
        {"a": 1.0},
        {"": 2.0, "zoë": 0.5},
        {},
        {"ab": 1.0},
        {"a": 1.0, "b": 2.0},
        {"ab": 0.0},
    ],
    "many int64": [{key: key / 4 for key in range(count)} for count in (1000, 1000, 3)],
    "many strings": [
        {f"label {key:04}": key / 4 for key in range(count)} for count in (500, 500, 3)
    ],
    "empty first": [{}, {"a": 1.0}, {}],
    # In memory the offsets and texts of the one are those of the other.
    "ambiguous": [{"\x00": 1.0, "a" * 8: 2.0}, {"\x01" + "\0" * 8 + "a" * 8: 3.0}],
    "long strings": [{"é" * 5000: 1.0, "b" * 70000: 2.0}] * 2,
}


def handed_through(maps: list[dict]) -> ortmmap.Session:
    """Open a model that hands a sequence of maps through: what goes in has to come out."""
    strings = any(isinstance(key, str) for each in maps for key in each)
    inner = helper.make_map_type_proto(
        TensorProto.STRING if strings else TensorProto.INT64,
        helper.make_tensor_type_proto(TensorProto.FLOAT, None),
    )
    maps_info = helper.make_value_info("maps", helper.make_sequence_type_proto(inner))
    return ortmmap_session(
        models.build(
            [models.node("Neg", "x", "y")],
            [maps_info, models.tensor("x")],
            [maps_info, models.tensor("y")],
        )
    )


def classifier(labels: list) -> bytes:
    key = "classlabels_strings" if isinstance(labels[0], str) else "classlabels_int64s"
    inner = helper.make_map_type_proto(
        TensorProto.STRING if isinstance(labels[0], str) else TensorProto.INT64,
        helper.make_tensor_type_proto(TensorProto.FLOAT, None),
    )
    return models.build(
        [
            models.node("Softmax", "x", "scores"),
            models.node("ZipMap", "scores", "maps", domain=ML, **{key: labels}),
        ],
        [models.tensor("x", shape=["n", len(labels)])],
        [helper.make_value_info("maps", helper.make_sequence_type_proto(inner))],
    )


@pytest.mark.parametrize("kind", SEQUENCES)
def test_each_map_has_its_own_keys(kind):
    maps = SEQUENCES[kind]
    result, _ = handed_through(maps).run(None, {"maps": maps, "x": np.ones(1, "f4")})
    assert result == maps
    assert {type(value) for each in result for value in each.values()} == {float}


@pytest.mark.parametrize("count", [1, 2, 10, 300])
@pytest.mark.parametrize("label", [int, "label {}".format, "ünï {}".format])
@pytest.mark.parametrize("rows", [0, 1, 500])
@pytest.mark.parametrize("convert", [bytes, to_ort], ids=["ONNX", "ORT"])
def test_the_maps_of_a_classifier_are_onnxruntimes(count, label, rows, convert):
    model = convert(classifier([label(number) for number in range(count)]))
    feed = {"x": np.random.default_rng(count).random((rows, count), "f4")}
    assert_same(ortmmap_session(model).run(None, feed), onnxruntime_session(model).run(None, feed))


@pytest.mark.parametrize("convert", [bytes, to_ort], ids=["ONNX", "ORT"])
def test_equal_keys_are_the_same_objects(convert):
    session = ortmmap_session(convert(classifier(["some label", "another label"])))
    (maps,) = session.run(None, {"x": np.ones((3, 2), "f4")})
    assert len({id(key) for each in maps for key in each}) == 2


@pytest.mark.parametrize("convert", [bytes, to_ort], ids=["ONNX", "ORT"])
def test_dicts_outlive_the_session_and_its_maps(convert):
    session = ortmmap_session(convert(classifier(["a label"])))
    gone = weakref.ref(session)
    (maps,) = session.run(None, {"x": np.ones((3, 1), "f4")})
    del session
    gc.collect()
    assert gone() is None
    assert maps == [{"a label": 1.0}] * 3


def test_keys_that_are_no_utf_8_raise_as_in_onnxruntime():
    labels = helper.make_attribute("classlabels_strings", [b"ab", b"\xff\xfe"])
    model = onnx.load_from_string(classifier(["ab", "cd"]))
    del model.graph.node[1].attribute[:]
    model.graph.node[1].attribute.append(labels)
    feed = {"x": np.ones((3, 2), "f4")}
    for make in (onnxruntime_session, ortmmap_session):
        session = make(model.SerializeToString())
        assert isinstance(caught(session.run, None, feed), UnicodeDecodeError)
