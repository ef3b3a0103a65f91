"""A file that is no model: the error says what it is, after onnxruntime's text."""

import gzip
import io
import pickle
import re
import zipfile

import models
import numpy as np
import pytest
from onnx import numpy_helper
from support import caught, ortmmap_session, to_ort

import ortmmap
from ortmmap.model import flatbuffer


def zipped(name: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as file:
        file.writestr(name, b"content")
    return target.getvalue()


HEADER = b'{"__metadata__":{"format":"pt"}}'
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4665\nsize 435826\n"
KINDS = {
    "text": (b"hello, this is text\n", "text"),
    "text of another language": ("größer als alles ".encode() * 400, "text"),
    "HTML": (b"\n<!DOCTYPE html>\n<html><body>404", "an HTML page"),
    "HTML without doctype": (b"<HTML><body>404", "an HTML page"),
    "XML": (b"<?xml version='1.0'?><net/>", "an XML document"),
    "JSON": (b'{"error": "Repository not found"}', "JSON text"),
    "git-lfs": (LFS, "a git-lfs pointer: the model itself, of 435826 bytes, was not fetched"),
    "zip": (zipped("model.onnx"), "a zip file: extract the model first"),
    "PyTorch": (zipped("model/data.pkl"), "a PyTorch file: export the model"),
    "Keras": (zipped("metadata.json"), "a zip file, such as Keras saves"),
    "pickle": (pickle.dumps({"weights": [1.0]}, 2), "a Python pickle"),
    "safetensors": (len(HEADER).to_bytes(8, "little") + HEADER, "a safetensors file"),
    "TensorFlow Lite": (b"\x1c\0\0\0TFL3" + bytes(40), "a TensorFlow Lite model"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(40), "an HDF5 file"),
    "GGUF": (b"GGUF\3\0\0\0" + bytes(40), "a GGUF model"),
    "gzip": (gzip.compress(models.affine()), "a gzip file: decompress it first"),
    "numpy": (b"\x93NUMPY\1\0" + bytes(40), "a numpy array"),
    "zeros": (bytes(5000), "a file of zeros"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_another_kind_is_named(write, kind):
    content, expected = KINDS[kind]
    path = write(content, "model.onnx")
    for source in (path, content, bytearray(content)):
        error = caught(ortmmap_session, source)
        assert isinstance(error, ortmmap.errors.OrtError)
        said = f"(not an ONNX model: begins with {content[:16]!r}, which is {expected}"
        assert said in str(error)
    assert expected in str(caught(ortmmap.inspect, path))


def test_tensorflow_graphs_are_named(write):
    saved_model = b"\x08\x01\x12\xff\x01\x12\x05serve" + bytes(100)
    graph = b"\n\x20\n\x01x\x12\x0bPlaceholder*" + bytes(100)
    assert "a TensorFlow SavedModel" in str(caught(ortmmap_session, write(saved_model)))
    assert "a TensorFlow graph" in str(caught(ortmmap_session, write(graph)))


def weighty() -> bytes:
    return models.build(
        [models.node("MatMul", "x w", "y")],
        [models.tensor("x", shape=["n", 64])],
        [models.tensor("y")],
        [numpy_helper.from_array(np.ones((64, 64), "f4"), "w")],
    )


@pytest.mark.parametrize("share", [0.2, 0.5, 0.99])
def test_a_truncated_model_says_how_much_is_missing(write, share):
    content = weighty()
    cut = content[: int(len(content) * share)]
    for source in (write(cut, "cut.onnx"), cut):
        error = caught(ortmmap_session, source)
        found = re.search(r"truncated: expected at least (\d+) bytes, found (\d+)", str(error))
        assert found is not None
        assert len(cut) < int(found[1]) <= len(content)
        assert int(found[2]) == len(cut)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.99])
def test_a_truncated_model_in_ort_format_says_so(write, share):
    content = to_ort(weighty())
    cut = content[: int(len(content) * share)]
    error = caught(ortmmap_session, write(cut, "cut.ort"))
    assert re.search(rf"truncated.*: expected .+ bytes, found {len(cut)}\b", str(error))


def test_a_version_of_ort_format_that_the_library_lacks_is_named(write):
    content = bytearray(to_ort(models.affine()))
    table = flatbuffer.root(memoryview(content))
    content[table._follow(table._field(0)) + 4] = ord("9")
    error = caught(ortmmap_session, write(content, "other.ort"))
    assert "version 9 of ORT format" in str(error)
    assert "ortmmap convert" in str(error)


@pytest.mark.parametrize("content", [b"\x08", b"\xff\xfe\xfd", b"\x80", b"\n", b"{", b"ORT"])
def test_short_files_are_explained_or_not_without_another_error(write, content):
    assert isinstance(caught(ortmmap_session, write(content)), ortmmap.errors.OrtError)


def test_the_error_of_a_model_is_not_explained_by_its_file():
    wrong = models.build(
        [models.node("Nonsense", "x", "y")], [models.tensor("x")], [models.tensor("y")]
    )
    error = str(caught(ortmmap_session, wrong))
    assert "not an ONNX model" not in error
    assert "truncated" not in error
