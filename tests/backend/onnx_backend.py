"""ONNX's backend interface (``onnx.backend.base``) over sessions of ortmmap's or onnxruntime's."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx.backend.base import Backend, BackendRep

import ortmmap
import ortmmap.model.skeleton
import ortmmap.session.opening

# Weights of any size stay in their files, so that every model with weights takes these ways.
ortmmap.model.skeleton.DEFAULT_THRESHOLD = ortmmap.session.opening.DEFAULT_THRESHOLD = 1


def options_of(module: object) -> object:
    options = module.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.allow_released_opsets_only", "0")
    return options


def theirs(model: bytes) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(model, options_of(onnxruntime), enable_fallback=0)


def ours(model: bytes) -> ortmmap.Session:
    return ortmmap.Session(model, options_of(ortmmap))


def theirs_converted(model: bytes) -> onnxruntime.InferenceSession:
    """Convert to ORT format by onnxruntime, and open that."""
    options = options_of(onnxruntime)
    options.add_session_config_entry("session.save_model_format", "ORT")
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = str(Path(folder, "model.ort"))
        onnxruntime.InferenceSession(model, options, enable_fallback=0)
        return theirs(Path(options.optimized_model_filepath).read_bytes())


def ours_converted(model: bytes) -> ortmmap.Session:
    """Convert to ORT format, and map that."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "model.onnx")
        source.write_bytes(model)
        target = ortmmap.convert(source, sess_options=options_of(ortmmap))
        session = ortmmap.Session(target, options_of(ortmmap))
        assert session.mapping is not None
        return session


def ours_cached(model: bytes) -> ortmmap.Session:
    """Open from a file by a cache that a session before has filled."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        path.write_bytes(model)
        with ortmmap.Session(path, options_of(ortmmap), cache=Path(folder, "cache")) as filling:
            filling.cached.wait()
        return ortmmap.Session(path, options_of(ortmmap), cache=Path(folder, "cache"))


VARIANTS: dict[str, Callable] = {
    "theirs": theirs,
    "ours": ours,
    "theirs converted": theirs_converted,
    "ours converted": ours_converted,
    "ours cached": ours_cached,
}


class Prepared(BackendRep):
    """A model that is ready to run."""

    def __init__(self, session: object) -> None:
        self.session = session

    def run(self, inputs: object, **_kwargs: object) -> list:
        names = [argument.name for argument in self.session.get_inputs()]
        values = [_value(item) for item in (inputs if isinstance(inputs, list) else [inputs])]
        return self.session.run(None, dict(zip(names, values, strict=False)))


def _value(item: object) -> object:
    return np.asarray(item) if isinstance(item, np.generic) else item


class SessionBackend(Backend):
    """Prepares models by the variant that is set."""

    variant = "ours"

    @classmethod
    def is_compatible(cls, *_args: object, **_kwargs: object) -> bool:
        return True

    @classmethod
    def supports_device(cls, device: str) -> bool:
        return device == "CPU"

    @classmethod
    def prepare(cls, model: onnx.ModelProto, *_args: object, **_kwargs: object) -> Prepared:
        return Prepared(VARIANTS[cls.variant](model.SerializeToString()))

    @classmethod
    def run_model(cls, model: onnx.ModelProto, inputs: object, *args: object) -> list:
        return cls.prepare(model, *args).run(inputs)
