"""Objects for `misuse_calls`: instances in every state, good arguments by name, bad ones by kind.

Functions that make an object take a `World`, which holds what is made once in a process.
"""

import os
from collections.abc import Callable
from pathlib import Path

import models
import numpy as np
import onnxruntime
from onnx import TensorProto

import ortmmap
from ortmmap import errors
from ortmmap.options import SessionOptions

MODEL = models.affine()
X = np.ones((2, 8), "f4")
SEVERITY_FATAL = 4


class World:
    """Files in the current folder; and the session of the binding that was made last."""

    owner: ortmmap.Session

    def __init__(self) -> None:
        self.onnx = Path("model.onnx").absolute()
        self.onnx.write_bytes(MODEL)
        self.ort = Path("model.ort").absolute()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = SEVERITY_FATAL
        options.optimized_model_filepath = str(self.ort)
        options.add_session_config_entry("session.save_model_format", "ORT")
        onnxruntime.InferenceSession(MODEL, options, ["CPUExecutionProvider"])
        self.ort_bytes = self.ort.read_bytes()
        self.adapter = Path("parameters.onnx_adapter").absolute()
        exported = onnxruntime.AdapterFormat()
        exported.set_parameters({"w": onnxruntime.OrtValue.ortvalue_from_numpy(X)})
        exported.export_adapter(str(self.adapter))


def session_options(**settings: object) -> SessionOptions:
    options = SessionOptions()
    for name, value in {
        "log_severity_level": SEVERITY_FATAL,
        "intra_op_num_threads": 1,
        **settings,
    }.items():
        setattr(options, name, value)
    return options


def session(world: World, **settings: object) -> ortmmap.Session:
    return ortmmap.Session(world.ort_bytes, session_options(**settings))


def closed_session(world: World) -> ortmmap.Session:
    made = session(world)
    made.close()
    return made


def running_options(_: World) -> ortmmap.RunOptions:
    options = ortmmap.RunOptions()
    options.log_severity_level = SEVERITY_FATAL
    return options


def binding(world: World) -> ortmmap.IOBinding:
    world.owner = session(world)
    return world.owner.io_binding()


def native_binding(world: World) -> ortmmap.SessionIOBinding:
    world.owner = session(world)
    return ortmmap.SessionIOBinding(world.owner)


def binding_that_ran(world: World) -> ortmmap.IOBinding:
    made = binding(world)
    made.bind_cpu_input("x", X)
    made.bind_output("y")
    world.owner.run_with_iobinding(made)
    return made


def binding_of_closed_session(world: World) -> ortmmap.IOBinding:
    made = binding_that_ran(world)
    world.owner.close()
    return made


def value(_: World) -> ortmmap.OrtValue:
    return ortmmap.OrtValue.ortvalue_from_numpy(X.copy())


def texts(_: World) -> ortmmap.OrtValue:
    return ortmmap.OrtValue.ortvalue_from_numpy(np.array(["a", "größe"]))


def result_of_closed_session(world: World) -> ortmmap.OrtValue:
    owner = session(world)
    (result,) = owner.run_with_ort_values(None, {"x": value(world)})
    owner.close()
    return result


def bound_result_of_closed_session(world: World) -> ortmmap.OrtValue:
    return binding_that_ran(world).get_outputs()[0]


def opened(model: bytes) -> ortmmap.Session:
    return ortmmap.Session(model, session_options())


def identity_of(kind: Callable) -> bytes:
    return models.build([models.node("Identity", "x", "y")], [kind("x")], [kind("y")])


def result_of(model: bytes, feed: dict[str, np.ndarray], name: str) -> ortmmap.OrtValue:
    owner = opened(model)
    values = {key: ortmmap.OrtValue.ortvalue_from_numpy(array) for key, array in feed.items()}
    (result,) = owner.run_with_ort_values([name], values)
    return result


def sequence(_: World) -> ortmmap.OrtValue:
    feed = {"x": np.ones(3, "f4"), "text": np.array(["a"])}
    return result_of(models.sequences(), feed, "list")


def maps(_: World) -> ortmmap.OrtValue:
    return result_of(models.zip_map(strings=True), {"x": np.ones((2, 3), "f4")}, "maps")


def nothing(_: World) -> ortmmap.OrtValue:
    return result_of(models.make_optional(), {"x": np.ones(3, "f4")}, "nothing")


def coo(_: World) -> ortmmap.SparseTensor:
    indices = np.array([1, 5, 6])
    return ortmmap.SparseTensor.sparse_coo_from_numpy([3, 3], np.ones(3, "f4"), indices)


def coo_of_texts(_: World) -> ortmmap.SparseTensor:
    indices = np.array([1, 5, 6])
    return ortmmap.SparseTensor.sparse_coo_from_numpy([3, 3], np.array(["a", "b", "c"]), indices)


def csr(_: World) -> ortmmap.SparseTensor:
    rows = np.array([0, 1, 2, 3])
    return ortmmap.SparseTensor.sparse_csr_from_numpy(
        [3, 3], np.ones(3, "f4"), np.array([1, 2, 0]), rows
    )


def sparse_value(world: World) -> ortmmap.OrtValue:
    return ortmmap.OrtValue.ort_value_from_sparse_tensor(coo(world))


def closed_mapping(world: World) -> ortmmap.Mapping:
    mapping = ortmmap.Mapping(world.ort)
    mapping.close()
    return mapping


def undone_patch(_: World) -> object:
    patch = ortmmap.patch_onnxruntime(threshold=0)
    patch.undo()
    return patch


def vector(world: World) -> ortmmap.OrtValueVector:
    made = ortmmap.OrtValueVector()
    made.push_back(value(world))
    return made


def vector_of_anything(world: World) -> ortmmap.OrtValueVector:
    made = vector(world)
    made += [None, "nothing", made, empty(ortmmap.OrtValue)]
    return made


def empty(cls: type) -> object:
    return cls.__new__(cls)


# Sessions that differ from others in some methods only, and what the names of these begin with.
OF_SOURCE = ("_restore", "__copy__", "__deepcopy__", "__reduce", "changed", "memory", "set_prov")
VARIANTS: dict[str, tuple[str, ...]] = {
    "Session of a file": OF_SOURCE,
    "Session of ONNX bytes": OF_SOURCE,
    "Session with threads": ("close", "run"),
    "Session of strings": ("run",),
    "Session of a sequence": ("run",),
    "Session of an optional": ("run",),
    "Session of bfloat16": ("run",),
}

# Instances by a name that says the state they are in. Classes that can be made without arguments
# need no entry.
INSTANCES: dict[str, Callable[[World], object]] = {
    "Session": session,
    "Session of a file": lambda world: ortmmap.Session(str(world.onnx), session_options()),
    "Session of ONNX bytes": lambda _: ortmmap.Session(MODEL, session_options()),
    "Session with threads": lambda world: session(world, intra_op_num_threads=2),
    "Session of strings": lambda _: opened(models.identity(object)),
    "Session of a sequence": lambda _: opened(identity_of(models.sequence)),
    "Session of an optional": lambda _: opened(identity_of(models.optional)),
    "Session of bfloat16": lambda _: opened(models.identity(TensorProto.BFLOAT16)),
    "closed Session": closed_session,
    "IOBinding": binding,
    "IOBinding that ran": binding_that_ran,
    "IOBinding of a closed Session": binding_of_closed_session,
    "SessionIOBinding": native_binding,
    "OrtValue": value,
    "OrtValue of strings": texts,
    "OrtValue of a closed Session": result_of_closed_session,
    "OrtValue of a dropped IOBinding": bound_result_of_closed_session,
    "OrtValue, a sequence": sequence,
    "OrtValue, a sequence of maps": maps,
    "OrtValue, an empty optional": nothing,
    "OrtValue, sparse": sparse_value,
    "OrtValueVector": vector,
    "OrtValueVector of anything": vector_of_anything,
    "SparseTensor": coo,
    "SparseTensor of strings": coo_of_texts,
    "SparseTensor, CSR": csr,
    "SparseCooView": lambda world: coo(world).as_coo_view(),
    "SparseCsrView": lambda world: csr(world).as_csrc_view(),
    "Mapping": lambda world: ortmmap.Mapping(world.ort),
    "closed Mapping": closed_mapping,
    "NodeArg": lambda world: session(world).get_inputs()[0],
    "ModelMetadata": lambda world: session(world).get_modelmeta(),
    "Memory": lambda world: session(world).memory(),
    "ModelInfo": lambda world: ortmmap.inspect(world.onnx),
    "Patch": lambda _: ortmmap.patch_onnxruntime(threshold=0),
    "undone Patch": undone_patch,
    "LoraAdapter": lambda world: ortmmap.LoraAdapter.Load(str(world.adapter)),
    "OrtEpDevice": lambda _: ortmmap.get_ep_devices()[0],
    "OrtHardwareDevice": lambda _: ortmmap.get_ep_devices()[0].device,
    "OrtEpAssignedNode": lambda _: ortmmap.OrtEpAssignedNode("name", "domain", "Add"),
    "OrtEpAssignedSubgraph": lambda _: ortmmap.OrtEpAssignedSubgraph("CPU", ()),
    "OrtArenaCfg": lambda _: ortmmap.OrtArenaCfg(0, -1, -1, -1),
    "OrtDevice": lambda _: ortmmap.OrtDevice.make("cpu", 0),
    "OrtMemoryInfo": lambda _: memory_info(),
    "SessionOptions": lambda _: session_options(),
    "InvalidArgument": lambda _: errors.InvalidArgument("text"),
    "MappingError": lambda _: errors.file_error(errors.MappingError, "reason", "/nothing", 2),
}


def memory_info() -> ortmmap.OrtMemoryInfo:
    return ortmmap.OrtMemoryInfo(
        "Cpu", ortmmap.OrtAllocatorType.ORT_DEVICE_ALLOCATOR, 0, ortmmap.OrtMemType.DEFAULT
    )


# What goes well, by the name of the parameter.
GOOD: dict[str, Callable[[World], object]] = {
    "adapter": INSTANCES["LoraAdapter"],
    "adapter_path": lambda world: str(world.adapter),
    "arena_cfg": lambda _: ortmmap.OrtArenaCfg(0, -1, -1, -1),
    "arr_on_cpu": lambda _: X,
    "buffer_ptr": lambda _: X.ctypes.data,
    "buffers": lambda _: [b"bytes"],
    "callback": lambda _: lambda *_: None,
    "coo_indices": lambda _: np.array([1, 5, 6]),
    "data": lambda _: X,
    "delegate": lambda _: lambda devices, *_: devices[:1],
    "dense_shape": lambda _: [3, 3],
    "denotation": lambda _: "DATA_BATCH",
    "device_id": lambda _: 0,
    "device_type": lambda _: "cpu",
    "dst": lambda world: [value(world)],
    "element_type": lambda _: np.float32,
    "ep_devices": lambda _: ortmmap.get_ep_devices()[:1],
    "feed_names": lambda _: ["x"],
    "feeds": vector,
    "fetch_names": lambda _: ["y"],
    "fetches": lambda _: ortmmap.OrtValueVector(),
    "index": lambda _: 0,
    "inner_indices": lambda _: np.array([1, 2, 0]),
    "input_dict_ort_values": lambda world: {"x": value(world)},
    "input_feed": lambda _: {"x": X},
    "iobinding": INSTANCES["IOBinding"],
    "is_cancel": lambda _: False,
    "key": lambda _: "session.use_env_allocators",
    "lengths": lambda _: [5],
    "library_path": lambda world: str(world.onnx),
    "mem_info": lambda _: memory_info(),
    "memo": lambda _: {},
    "name": lambda _: "x",
    "names": lambda _: ["w"],
    "numpy_obj": lambda _: X,
    "onnx_element_type": lambda _: 1,
    "options": lambda _: {},
    "ort_device": lambda _: ortmmap.OrtDevice.make("cpu", 0),
    "ort_value": value,
    "ort_values": lambda world: [value(world)],
    "ortvalue": value,
    "outer_indices": lambda _: np.array([0, 1, 2, 3]),
    "output_names": lambda _: ["y"],
    "path": lambda world: str(world.ort),
    "path_or_bytes": lambda world: world.ort_bytes,
    "protocol": lambda _: 5,
    "provider_options": lambda _: {},
    "provider_type": lambda _: "CPUExecutionProvider",
    "providers": lambda _: ["CPUExecutionProvider"],
    "run_options": running_options,
    "sess_options": lambda _: session_options(),
    "session": session,
    "shape": lambda _: [2, 8],
    "size": lambda _: 2,
    "source": lambda world: str(world.onnx),
    "sparse_tensor": coo,
    "src": lambda world: [value(world)],
    "target": lambda world: os.fspath(world.onnx.with_name("converted.ort")),
    "user_data": lambda _: "data",
    "value": lambda _: "1",
    "values": lambda _: np.ones(3, "f4"),
}


# What holds values, by the name of the parameter: bad ones are put into it too.
HOLDERS: dict[str, Callable[[object], object]] = {
    "buffers": lambda item: [item],
    "callback": lambda item: lambda *_: item,
    "delegate": lambda item: lambda *_: item,
    "dst": lambda item: [item],
    "ep_devices": lambda item: [item],
    "feeds": lambda item: [item],
    "fetches": lambda item: ortmmap.OrtValueVector([item]),
    "input_dict_ort_values": lambda item: {"x": item},
    "input_feed": lambda item: {"x": item},
    "lengths": lambda item: [item],
    "names": lambda item: [item],
    "options": lambda item: {"key": item},
    "ort_values": lambda item: [item],
    "output_names": lambda item: ["y", item],
    "provider_options": lambda item: [item],
    "providers": lambda item: [("CPUExecutionProvider", item)],
    "shape": lambda item: [item, 8],
    "src": lambda item: [item],
    "what": lambda item: (ortmmap.OrtDevice.make("cpu", 0), np.float32, [2, 8], item),
}


# What objects are for: each is used after a call that changed it.


def run_with(options: ortmmap.RunOptions, world: World) -> object:
    return session(world).run(None, {"x": X}, options)


def open_with(options: SessionOptions, _: World) -> object:
    return ortmmap.Session(MODEL, options, enable_fallback=0).run(None, {"x": X})


def run_bound(made: ortmmap.IOBinding, world: World) -> object:
    world.owner.run_with_iobinding(made)
    return made.copy_outputs_to_cpu()


def run_again(owner: ortmmap.Session, _: World) -> object:
    return owner.run(None, {owner.get_inputs()[0].name: X})


USES: dict[type, Callable[[object, World], object]] = {
    ortmmap.IOBinding: run_bound,
    ortmmap.RunOptions: run_with,
    ortmmap.Session: run_again,
    ortmmap.SessionOptions: open_with,
}
