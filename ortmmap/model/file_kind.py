"""Why the bytes of a file are no model: what kind of file they are, and how many are missing.

Only imported once a model has failed to load.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

from ortmmap.errors import OrtError
from ortmmap.model import flatbuffer

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["explain", "why_no_model"]

PICKLE = "a Python pickle, such as PyTorch or scikit-learn saves: export the model to ONNX"
PAGE = "an HTML page, as a server returns instead of a file that it does not have"
# Bytes, the offset that they are found at, and the kind of file. The first match counts.
MARKS = (
    (b"PK\x05\x06", 0, "an empty zip file"),
    (b"\x1f\x8b", 0, "a gzip file: decompress it first"),
    (b"BZh", 0, "a bzip2 file: decompress it first"),
    (b"\xfd7zXZ\0", 0, "an xz file: decompress it first"),
    (b"\x28\xb5\x2f\xfd", 0, "a zstd file: decompress it first"),
    (b"7z\xbc\xaf\x27\x1c", 0, "a 7-Zip archive"),
    (b"\x89HDF\r\n\x1a\n", 0, "an HDF5 file, such as Keras saves: export the model with tf2onnx"),
    (b"GGUF", 0, "a GGUF model, which llama.cpp runs"),
    (b"\x93NUMPY", 0, "a numpy array"),
    (b"\x7fELF", 0, "a Linux program or library"),
    (b"%PDF", 0, "a PDF document"),
    (b"\x80\2", 0, PICKLE),
    (b"\x80\3", 0, PICKLE),
    (b"\x80\4", 0, PICKLE),
    (b"\x80\5", 0, PICKLE),
    (b"TFL3", 4, "a TensorFlow Lite model: convert it with tf2onnx"),
)
# How text begins that is of a kind of its own, in lower case.
TEXTS = (
    (b"<!doctype html", PAGE),
    (b"<html", PAGE),
    (b"<?xml", "an XML document, such as an OpenVINO model or a server's error"),
    (b"{", "JSON text"),
    (b"[", "JSON text"),
)
SHOWN = 16  # bytes of the beginning in a message
LOOKED_AT = 4096  # bytes of the beginning that decide whether it is text
MOST_VARINT = 10  # bytes
LENGTH_DELIMITED, FIXED64, FIXED32 = 2, 1, 5  # protobuf's wire types
IR_VERSION, GRAPH = 1, 7  # fields of ModelProto


def explain(error: OrtError, source: Buffer) -> None:
    """Add to the text of an error what kind of file a model is that could not be loaded."""
    said = str(error)
    with memoryview(source) as whole, whole.cast("B") as data:
        reason = why_no_model(data, said)
    if reason is not None:
        error.args = (f"{said} ({reason})",)


def why_no_model(data: memoryview, said: str) -> str | None:
    """Return why these bytes could not be loaded as a model, as part of a message; None if unknown.

    Parameters
    ----------
    data : memoryview
        All bytes of the file or buffer, in ONNX or ORT format, or no model at all.
    said : str
        The text of the error so far.
    """
    if data[4:8] == b"ORTM":
        return _why_no_ort_model(data, said)
    beginning = bytes(data[:LOOKED_AT])
    kind = _kind(beginning, len(data))
    if kind is not None:
        return f"not an ONNX model: begins with {beginning[:SHOWN]!r}, which is {kind}"
    missing = _end_of_onnx(data)
    if missing is not None:
        return f"truncated: expected at least {missing} bytes, found {len(data)}"
    return None


def _kind(beginning: bytes, size: int) -> str | None:
    """Return the kind of file, with an article and, if there is one, a remedy."""
    for mark, at, kind in MARKS:
        if beginning.startswith(mark, at):
            return kind
    if beginning.startswith(b"PK\x03\x04"):
        return _zip(beginning)
    if _is_safetensors(beginning, size):
        return "a safetensors file, which has weights and no graph: export the model to ONNX"
    if not beginning.strip(b"\0"):
        return "a file of zeros, as an interrupted download leaves"
    return _text(beginning) if _is_text(beginning) else _tensorflow(beginning)


def _text(beginning: bytes) -> str:
    if beginning.startswith(b"version https://git-lfs"):
        return _lfs_pointer(beginning)
    lowered = beginning.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return next((kind for first, kind in TEXTS if lowered.startswith(first)), "text")


def _tensorflow(beginning: bytes) -> str | None:
    """Return the kind of a protobuf message of TensorFlow's; None for another."""
    if b"\x12\x05serve" in beginning:
        return "a TensorFlow SavedModel: convert its folder with tf2onnx"
    if beginning[:1] == b"\n" and b"\x12\x0bPlaceholder" in beginning:
        return "a TensorFlow graph: convert it with tf2onnx"
    return None


def _lfs_pointer(beginning: bytes) -> str:
    size = re.search(rb"^size (\d+)$", beginning, re.MULTILINE)
    model = f"the model itself, of {int(size[1])} bytes," if size else "the model itself"
    return f"a git-lfs pointer: {model} was not fetched; run `git lfs pull`"


def _zip(beginning: bytes) -> str:
    """Return the kind of zip file by the name of its first member."""
    length = int.from_bytes(beginning[26:28], "little")
    name = beginning[30 : 30 + length]
    if name.endswith((b"/data.pkl", b"/constants.pkl")) or b"/.format_version" in name:
        return "a PyTorch file: export the model with torch.onnx.export"
    if name in (b"metadata.json", b"config.json", b"model.weights.h5"):
        return "a zip file, such as Keras saves: export the model to ONNX"
    return "a zip file: extract the model first"


def _is_safetensors(beginning: bytes, size: int) -> bool:
    """Whether the bytes begin with the length of a JSON header, and the header."""
    return beginning[8:9] == b"{" and int.from_bytes(beginning[:8], "little") <= size - 8


def _is_text(beginning: bytes) -> bool:
    """Whether the bytes are UTF-8 without control characters, maybe cut off in a character."""
    if any(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in beginning):
        return False
    try:
        beginning.decode()
    except UnicodeDecodeError as error:
        return error.start > len(beginning) - 4 and error.start > 0
    return True


def _end_of_onnx(data: memoryview) -> int | None:
    """Return where the bytes should end at least, if they are the beginning of an ONNX model."""
    at = 0
    fields: set[int] = set()
    while at < len(data):
        tag, at = _varint(data, at)
        if tag is None or (not fields and tag >> 3 != IR_VERSION):
            return None
        fields.add(tag >> 3)
        length, kind = 0, tag & 7
        if kind == FIXED64:
            length = 8
        elif kind == FIXED32:
            length = 4
        elif kind in (0, LENGTH_DELIMITED):
            value, at = _varint(data, at)
            if value is None:
                return at + 1 if at >= len(data) else None
            length = value if kind == LENGTH_DELIMITED else 0
        else:
            return None
        if at + length > len(data):
            return at + length
        at += length
    return None


def _varint(data: memoryview, at: int) -> tuple[int | None, int]:
    """Read a number of protobuf's; return it, or None if it does not end, and where it ends."""
    value = 0
    for index, byte in enumerate(data[at : at + MOST_VARINT]):
        value |= (byte & 127) << 7 * index
        if byte < 128:
            return value, at + index + 1
    return None, min(at + MOST_VARINT, len(data))


def _why_no_ort_model(data: memoryview, said: str) -> str | None:
    """Return why bytes with the identifier of ORT format could not be loaded."""
    try:
        end = _end_of_ort(data)
        version = flatbuffer.root(data).text(0)
    except (struct.error, RecursionError):
        return f"truncated or damaged: expected more than {len(data)} bytes, found {len(data)}"
    if end > len(data):
        return f"truncated: expected at least {end} bytes, found {len(data)}"
    if "ORT format model version" in said:
        return (
            f"the file has version {version} of ORT format, which another version of ONNX Runtime "
            "made: convert the ONNX model again with this one, by `ortmmap convert MODEL.onnx`"
        )
    return None


def _end_of_ort(data: memoryview) -> int:
    """Return where a model in ORT format should end at least; raise `struct.error` if not known."""
    graph = flatbuffer.root(data).required(1).required(7)
    ends = [graph.extent(position) for position in (0, 1, 2, 5, 6)]
    ends += [tensor.extent(4) for tensor in graph.tables(0)]
    for node in graph.tables(2):
        ends += [node.extent(position) for position in (5, 2, 8, 9)]
    return max(map(sum, ends))
