"""A build step: convert a model, look into it, map its file."""

import json
from pathlib import Path

import ortmmap


def convert(source: Path, folder: Path) -> str:
    options = ortmmap.SessionOptions()
    options.graph_optimization_level = ortmmap.GraphOptimizationLevel.ORT_ENABLE_BASIC
    return ortmmap.convert(source, folder / "model.ort", options)


def largest(path: str) -> dict[str, int]:
    info = ortmmap.inspect(path, largest=3)
    return {initializer.name: initializer.nbytes for initializer in info.largest}


def report(info: ortmmap.ModelInfo) -> str:
    shapes = {value.name: value.shape or [] for value in info.inputs}
    dynamic = [name for name, shape in shapes.items() if any(isinstance(d, str) for d in shape)]
    return json.dumps({**info.to_dict(), "dynamic": dynamic})


def magic(path: str | Path) -> bytes:
    with ortmmap.Mapping(path) as mapping, memoryview(mapping) as view:
        mapping.advise("willneed")
        assert len(view) == mapping.nbytes
        assert mapping.resident() <= mapping.nbytes + 4096
        return bytes(view[4:8])


def open_mapped(path: str) -> str:
    with ortmmap.Mapping(path) as mapping, ortmmap.Session(mapping) as session:
        file = session.mapping
        return session.get_inputs()[0].type if file is None else file.path


def missing(path: Path) -> tuple[str, int | None, int | None]:
    try:
        ortmmap.Mapping(path)
    except ortmmap.errors.NoSuchFile as error:
        return Path(error.path or "").name, error.errno, error.code
    return "", None, None


def main(path: str, folder: str) -> None:
    converted = convert(Path(path), Path(folder))
    assert magic(converted) == b"ORTM"
    assert largest(converted)
    assert json.loads(report(ortmmap.inspect(path)))["format"] == "ONNX"
    assert open_mapped(converted)
    assert missing(Path(folder, "nothing.onnx")) == ("nothing.onnx", 2, 3)
