"""Attributes that onnxruntime does not document, and that packages read all the same."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np

from situations import attempt, natives, situation
from situations.opening import CPU, X, scaled

Read = Callable[[SimpleNamespace], object]


def args(found: list) -> list:
    return [[arg.name, arg.type, arg.shape] for arg in found]


def metadata(found: object) -> list:
    return [found.producer_name, found.graph_name, found.version, found.custom_metadata_map]


def values(found: list) -> list:
    return [value.numpy() for value in found]


def inner(value: object) -> list:
    return [value.shape(), value.data_type(), value.device_name(), value.is_tensor(), value.numpy()]


def ran(on: SimpleNamespace) -> object:
    binding = on.session.io_binding()
    binding.bind_cpu_input("X", X)
    binding.bind_output("Y")
    on.session.run_with_iobinding(binding)
    return binding


def run_inner_binding(on: SimpleNamespace) -> list:
    binding = ran(on)
    on.session._sess.run_with_iobinding(binding._iobinding, None)
    return binding.copy_outputs_to_cpu()


def bound(on: SimpleNamespace) -> list:
    binding = on.session.io_binding()
    binding._iobinding.bind_input("X", X)
    binding._iobinding.bind_output("Y", on.device._get_c_device())
    on.session.run_with_iobinding(binding)
    return binding.copy_outputs_to_cpu()


def vector(on: SimpleNamespace) -> list:
    made = natives(on.module).OrtValueVector()
    made.push_back(on.value._ortvalue)
    return values(made)


OF_SESSION: dict[str, Read] = {
    "_enable_fallback": lambda on: on.session._enable_fallback,
    "_fallback_providers": lambda on: on.session._fallback_providers,
    "_input_epdevices": lambda on: len(on.session._input_epdevices),
    "_input_meminfos": lambda on: [info.name for info in on.session._input_meminfos],
    "_inputs_meta": lambda on: args(on.session._inputs_meta),
    "_model_bytes": lambda on: [on.session._model_bytes, on.of_bytes._model_bytes == scaled()],
    "_model_meta": lambda on: metadata(on.session._model_meta),
    "_model_path": lambda on: [on.session._model_path, on.of_bytes._model_path],
    "_output_meminfos": lambda on: [info.name for info in on.session._output_meminfos],
    "_outputs_meta": lambda on: args(on.session._outputs_meta),
    "_overridable_initializers": lambda on: args(on.session._overridable_initializers),
    "_profiling_start_time_ns": lambda on: isinstance(on.session._profiling_start_time_ns, int),
    "_provider_options": lambda on: on.session._provider_options,
    "_providers": lambda on: on.session._providers,
    "_read_config_from_model": lambda on: on.session._read_config_from_model,
    "_sess_options": lambda on: [s._sess_options.logid for s in (on.session, on.with_options)],
    "_sess_options_initial": lambda on: [
        on.session._sess_options_initial,
        on.with_options._sess_options_initial is on.options,
    ],
    "_validate_input": lambda on: [
        attempt(on.session._validate_input, names) for names in (["X"], ["Z"], [])
    ],
}

OF_INNER_SESSION: dict[str, Read] = {
    "_sess.end_profiling": lambda on: on.session._sess.end_profiling(),
    "_sess.get_profiling_start_time_ns": lambda on: isinstance(
        on.session._sess.get_profiling_start_time_ns, int
    ),
    "_sess.get_provider_options": lambda on: on.session._sess.get_provider_options(),
    "_sess.get_providers": lambda on: on.session._sess.get_providers(),
    "_sess.input_meminfos": lambda on: [info.name for info in on.session._sess.input_meminfos],
    "_sess.input_epdevices": lambda on: len(on.session._sess.input_epdevices),
    "_sess.output_meminfos": lambda on: [info.name for info in on.session._sess.output_meminfos],
    "_sess.inputs_meta": lambda on: args(on.session._sess.inputs_meta),
    "_sess.model_meta": lambda on: metadata(on.session._sess.model_meta),
    "_sess.outputs_meta": lambda on: args(on.session._sess.outputs_meta),
    "_sess.overridable_initializers": lambda on: args(on.session._sess.overridable_initializers),
    "_sess.run": lambda on: on.session._sess.run(["Y"], {"X": X}, None),
    "_sess.run_with_iobinding": run_inner_binding,
    "_sess.run_with_ort_values": lambda on: values(
        on.session._sess.run_with_ort_values({"X": on.value._ortvalue}, ["Y"], None)
    ),
    "_sess.session_options": lambda on: on.with_options._sess.session_options.logid,
}

OF_OTHERS: dict[str, Read] = {
    "IOBinding._iobinding": lambda on: values(ran(on)._iobinding.get_outputs()),
    "IOBinding._iobinding.bind_output": bound,
    "IOBinding._numpy_obj_references": lambda on: list(ran(on)._numpy_obj_references),
    "OrtDevice._get_c_device": lambda on: on.device._get_c_device().device_type(),
    "OrtValue._get_c_value": lambda on: inner(on.value._get_c_value()),
    "OrtValue._numpy_obj": lambda on: on.value._numpy_obj is X,
    "OrtValue._ortvalue": lambda on: inner(on.value._ortvalue),
    "OrtValue(an inner value)": lambda on: on.module.OrtValue(on.value._ortvalue).numpy(),
    "SparseTensor._get_c_tensor": lambda on: on.sparse._get_c_tensor().dense_shape(),
    "SparseTensor._tensor": lambda on: on.sparse._tensor.dense_shape(),
    "a vector of inner values": vector,
}

READS = {**OF_SESSION, **OF_INNER_SESSION, **OF_OTHERS}


def objects(ort: ModuleType) -> SimpleNamespace:
    Path("model.onnx").write_bytes(scaled())
    options = ort.SessionOptions()
    options.logid = "mine"
    device = ort.OrtDevice.make("cpu", 0)
    return SimpleNamespace(
        module=ort,
        device=device,
        of_bytes=ort.InferenceSession(scaled(), providers=CPU),
        options=options,
        session=ort.InferenceSession("model.onnx", providers=CPU),
        sparse=ort.SparseTensor.sparse_coo_from_numpy(
            [3, 3], np.ones(2, "f4"), np.array([1, 5]), device
        ),
        value=ort.OrtValue.ortvalue_from_numpy(X),
        with_options=ort.InferenceSession(scaled(), options, providers=CPU),
    )


@situation()
def private_attributes_are_read(ort):
    return {name: attempt(read, objects(ort)) for name, read in READS.items()}


@situation()
def private_attributes_follow_the_providers_that_are_set(ort):
    on = objects(ort)
    on.session.set_providers(CPU, [{}])
    names = ("_inputs_meta", "_outputs_meta", "_providers", "_provider_options", "_model_meta")
    return {name: attempt(OF_SESSION[name], on) for name in names}
