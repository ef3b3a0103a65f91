"""inspect: the contents of a model file, their places, and their use by a Session."""

import os
import struct
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from heapq import nlargest
from typing import NamedTuple

from ortmmap.errors import OrtError, from_status
from ortmmap.model import flatbuffer as _flatbuffer
from ortmmap.model.mapping import Mapping
from ortmmap.model.message import Message
from ortmmap.model.skeleton import Skeleton, TensorBytes, scan
from ortmmap.values.element_types import onnx_name

__all__ = ["Initializer", "ModelInfo", "Value", "inspect"]

INVALID_PROTOBUF = 7
MOST_ALIGNMENT = 64
ML_DOMAIN = "ai.onnx.ml"
# The union TypeInfoValue and the enum DimensionValueType of onnxruntime's ort.fbs.
ORT_TENSOR_TYPE, ORT_SEQUENCE_TYPE, ORT_MAP_TYPE = 1, 2, 3
ORT_FIXED_DIMENSION = 1


@dataclass(frozen=True)
class Value:
    """An input or output.

    Attributes
    ----------
    name, type : str
        The type as `NodeArg` names it, such as ``tensor(float)``.
    shape : list of (int, str or None), or None
        A symbolic dimension is its name, or None if it has no name. None if the rank is unknown or
        the value is not a tensor.
    """

    name: str
    type: str
    shape: list[int | str | None] | None


@dataclass(frozen=True)
class Initializer:
    """A tensor of weights.

    Attributes
    ----------
    name, dtype : str
    dims : list of int
    nbytes : int
        Bytes of its data.
    place : {"mapped", "inline", "external"}
        In the file, and used in place; in the file, and copied; in another file.
    offset : int or None
        Position of its data, in bytes, in the file that holds it; None if it is not known.
    location : str or None
        The other file, if there is one.
    """

    name: str
    dtype: str
    dims: list[int]
    nbytes: int
    place: str
    offset: int | None
    location: str | None = None


@dataclass(frozen=True)
class ModelInfo:
    """The contents of a model file.

    Attributes
    ----------
    path : str
    format : {"ONNX", "ORT"}
    file_bytes : int
        Size of the file.
    ir_version : int
    opsets : dict of str to int
        Versions by operator domain; ONNX's own domain is ``ai.onnx``.
    producer : str
        Name and version of the program that wrote the model.
    inputs, outputs : list of Value
        Inputs that are initializers are left out.
    nodes : int
        Number of nodes of the main graph.
    initializers : int
        Number of tensors of weights, in inner graphs and functions too.
    mapped_bytes, inline_bytes, external_bytes : int
        Bytes of tensors that are used in place in the file, that are copied when a session is
        created, and that are in other files.
    structure_bytes : int
        The rest of the file: nodes, names, types.
    external_files : list of str
        The other files, relative to the model's folder.
    alignment : dict of int to int
        Number of mapped tensors by the alignment of their data: the largest of 1, 2, 4 … 64 bytes
        that divides its offset.
    largest : list of Initializer
        The largest first.
    session : str
        What `Session` does with the file, in words.
    notes : list of str
        Advice on parts of the model that make its runs slow.
    """

    path: str
    format: str
    file_bytes: int
    ir_version: int
    opsets: dict[str, int]
    producer: str
    inputs: list[Value]
    outputs: list[Value]
    nodes: int
    initializers: int
    mapped_bytes: int
    inline_bytes: int
    external_bytes: int
    structure_bytes: int
    external_files: list[str]
    alignment: dict[int, int]
    largest: list[Initializer]
    session: str
    notes: list[str]

    def to_dict(self) -> dict[str, object]:
        """Return the contents as dicts and lists, for JSON."""
        return asdict(self)


def inspect(path: str | os.PathLike, *, largest: int = 10) -> ModelInfo:
    """Describe a model file, without ONNX Runtime.

    Parameters
    ----------
    path : str or os.PathLike
        A model in ONNX or ORT format.
    largest : int, default 10
        Number of initializers to list, the largest first.

    Returns
    -------
    ModelInfo

    Raises
    ------
    InvalidProtobuf
        If the file is not a model; the text names the offset of the error.
    InvalidGraph
        If the model refers to files outside its folder.
    NoSuchFile, MappingError
        If the file cannot be mapped.
    """
    path = os.fsdecode(path)
    with Mapping(path) as mapping, memoryview(mapping) as data:
        try:
            if data[4:8] == b"ORTM":
                return _inspect_ort(path, data, largest)
            return _inspect_onnx(path, data, largest)
        except OrtError as error:
            from ortmmap.model.file_kind import explain

            explain(error, data)
            raise


def _inspect_onnx(path: str, data: memoryview, largest: int) -> ModelInfo:
    name = os.fsencode(os.path.basename(os.path.realpath(path)))
    skeleton = scan(data, name, path)
    model = Message(data, 0, len(data))
    graph = Message.merged(model.messages(7))
    tensors = skeleton.tensors
    weights = [tensor for tensor in tensors if tensor.nbytes]
    initialized = {message.text(8) for message in graph.messages(5)}
    outputs = [_value(entry) for entry in graph.messages(12)]
    return ModelInfo(
        path=path,
        format="ONNX",
        file_bytes=len(data),
        ir_version=model.integer(1),
        opsets={entry.text(1) or "ai.onnx": entry.integer(2) for entry in model.messages(8)},
        producer=f"{model.text(2)} {model.text(3)}".strip(),
        inputs=[_value(entry) for entry in graph.messages(11) if entry.text(1) not in initialized],
        outputs=outputs,
        nodes=graph.count(1),
        initializers=len(tensors),
        mapped_bytes=skeleton.mapped_bytes,
        inline_bytes=skeleton.inline_bytes,
        external_bytes=skeleton.external_bytes,
        structure_bytes=len(data) - skeleton.mapped_bytes - skeleton.inline_bytes,
        external_files=[os.fsdecode(location) for location in skeleton.external_locations],
        alignment=_alignment(tensor.data for tensor in tensors if tensor.place == "mapped"),
        largest=[
            _initializer(data, tensor)
            for tensor in nlargest(largest, weights, key=lambda tensor: tensor.nbytes)
        ],
        session=_plan(skeleton),
        notes=_notes(outputs, lambda: map(_node, graph.messages(1))),
    )


class _Node(NamedTuple):
    """A node of a graph, as far as notes need it."""

    op_type: str
    domain: str
    inputs: list[str]
    outputs: list[str]


def _value(message: Message) -> Value:
    described = Message.merged(message.messages(2))
    tensors = described.messages(1) or described.messages(8)
    shapes = tensors[-1].messages(2) if tensors else []
    shape = [_dimension(entry) for entry in shapes[-1].messages(1)] if shapes else None
    return Value(message.text(1), _type_name(described), shape)


def _dimension(message: Message) -> int | str | None:
    return message.integer(1) if message.count(1) else message.text(2) or None


def _type_name(message: Message) -> str:
    """Name a TypeProto as ONNX Runtime does."""
    for number, form in ((1, "tensor({})"), (8, "sparse_tensor({})")):
        for inner in message.messages(number):
            return form.format(onnx_name(inner.integer(1)))
    for number, form in ((4, "seq({})"), (9, "optional({})")):
        for inner in message.messages(number):
            return form.format(_type_name(Message.merged(inner.messages(1))))
    for inner in message.messages(5):
        value = _type_name(Message.merged(inner.messages(2)))
        return f"map({onnx_name(inner.integer(1))},{value})"
    return "unknown"


def _initializer(data: memoryview, tensor: TensorBytes) -> Initializer:
    message = Message(data, tensor.start, tensor.stop)
    offset, location = tensor.data or None, None
    if tensor.place == "external":
        entries = {entry.text(1): entry.raw(2) for entry in message.messages(13)}
        location = os.fsdecode(entries.get("location", b""))
        number = entries.get("offset", b"0")
        offset = int(number) if number.isdigit() else None
    return Initializer(
        name=message.text(8),
        dtype=onnx_name(message.integer(2)),
        dims=message.integers(1),
        nbytes=tensor.nbytes,
        place=tensor.place,
        offset=offset,
        location=location,
    )


def _alignment(offsets: Iterable[int]) -> dict[int, int]:
    """Count offsets by the largest power of two that divides them."""
    counted = Counter(min(offset & -offset, MOST_ALIGNMENT) for offset in offsets)
    return dict(sorted(counted.items()))


def _node(message: Message) -> _Node:
    return _Node(message.text(4), message.text(7), message.texts(1), message.texts(2))


def _notes(outputs: list[Value], nodes: Callable[[], Iterable[_Node]]) -> list[str]:
    """Return notes on outputs that are lists of dicts; `nodes` is called if there are any."""
    slow = {value.name for value in outputs if not value.type.startswith("tensor(")}
    return [
        _zip_map_note(node, [value.name for value in outputs])
        for node in (nodes() if slow else ())
        if (node.op_type, node.domain) == ("ZipMap", ML_DOMAIN)
        and node.inputs
        and slow.intersection(node.outputs)
    ]


def _zip_map_note(node: _Node, outputs: list[str]) -> str:
    dicts, tensor = node.outputs[0], node.inputs[0]
    instead = (
        f'take output "{tensor}" instead'
        if tensor in outputs
        else f'make the tensor "{tensor}" an output of the model, and take that instead'
    )
    return (
        f'ZipMap makes output "{dicts}" a list of dicts, one for each row: making them may take '
        "several times as long as the rest of the run. Export the model with "
        f"options={{'zipmap': False}} (skl2onnx), or {instead}"
    )


def _plan(skeleton: Skeleton) -> str:
    """Describe in words what `Session` does with an ONNX file."""
    if skeleton.oversized:
        return "refuses it: ONNX Runtime reads no ONNX file beyond 2 GiB"
    parts = []
    if skeleton.externalized:
        count = skeleton.externalized
        tensors = "1 tensor where it lies" if count == 1 else f"{count} tensors where they lie"
        parts.append(f"uses {tensors} in the mapped file, copies the rest")
    elif skeleton.inline_bytes:
        parts.append("copies all of the file's tensors")
    if skeleton.external_locations:
        parts.append("lets ONNX Runtime map the external files")
    return "; ".join(parts) or "reads it: the file has no weights"


def _inspect_ort(path: str, data: memoryview, largest: int) -> ModelInfo:
    try:
        return _read_ort(path, data, largest)
    except (struct.error, RecursionError) as error:
        # An offset beyond the end, a missing table, a type that contains itself.
        raise from_status(INVALID_PROTOBUF, f"Not an ORT-format model: {error}", path) from None


def _read_ort(path: str, data: memoryview, largest: int) -> ModelInfo:
    model = _flatbuffer.root(data).required(1)
    graph = model.required(7)
    values = {entry.text(0): entry for entry in graph.tables(1)}
    tensors = graph.tables(0)
    initialized = {tensor.text(0) for tensor in tensors}
    offsets = [offset for offset, _ in (tensor.extent(4) for tensor in tensors) if offset]
    mapped = sum(size for _, size in (tensor.extent(4) for tensor in tensors))
    outputs = [_ort_value(name, values.get(name)) for name in graph.texts(6)]
    return ModelInfo(
        path=path,
        format="ORT",
        file_bytes=len(data),
        ir_version=model.integer(0, "<q"),
        opsets={entry.text(0) or "ai.onnx": entry.integer(1, "<q") for entry in model.tables(1)},
        producer=f"{model.text(2)} {model.text(3)}".strip(),
        inputs=[
            _ort_value(name, values.get(name)) for name in graph.texts(5) if name not in initialized
        ],
        outputs=outputs,
        nodes=graph.extent(2)[1],
        initializers=len(tensors),
        mapped_bytes=mapped,
        inline_bytes=0,
        external_bytes=0,
        structure_bytes=len(data) - mapped,
        external_files=[],
        alignment=_alignment(offsets),
        largest=[
            _ort_initializer(tensor)
            for tensor in nlargest(largest, tensors, key=lambda tensor: tensor.extent(4)[1])
        ],
        session="uses it where it lies, mapped",
        notes=_notes(outputs, lambda: map(_ort_node, graph.tables(2))),
    )


def _ort_node(node: _flatbuffer.Table) -> _Node:
    return _Node(node.text(5), node.text(2), node.texts(8), node.texts(9))


def _ort_initializer(tensor: _flatbuffer.Table) -> Initializer:
    """Describe an initializer; the bytes of strings count as the model's structure."""
    offset, nbytes = tensor.extent(4)
    return Initializer(
        name=tensor.text(0),
        dtype=onnx_name(tensor.integer(3)),
        dims=tensor.integers(2),
        nbytes=nbytes,
        place="mapped" if offset else "inline" if tensor.extent(5)[1] else "external",
        offset=offset or None,
    )


def _ort_value(name: str, entry: _flatbuffer.Table | None) -> Value:
    described = entry and entry.table(2)
    if described is None:
        return Value(name, "unknown", None)
    tensor = described.table(2) if described.integer(1, "<B") == ORT_TENSOR_TYPE else None
    shape = tensor and tensor.table(1)
    dims = None if shape is None else [_ort_dimension(entry) for entry in shape.tables(0)]
    return Value(name, _ort_type_name(described), dims)


def _ort_dimension(dimension: _flatbuffer.Table) -> int | str | None:
    value = dimension.table(0)
    if value is None:
        return None
    if value.integer(0, "<b") == ORT_FIXED_DIMENSION:
        return value.integer(1, "<q")
    return value.text(2) or None


def _ort_type_name(described: _flatbuffer.Table) -> str:
    inner = described.table(2)
    if inner is None:
        return "unknown"
    kind = described.integer(1, "<B")
    if kind == ORT_TENSOR_TYPE:
        return f"tensor({onnx_name(inner.integer(0))})"
    if kind == ORT_SEQUENCE_TYPE:
        return f"seq({_ort_type_name(inner.required(0))})"
    if kind == ORT_MAP_TYPE:
        return f"map({onnx_name(inner.integer(0))},{_ort_type_name(inner.required(1))})"
    return "unknown"
