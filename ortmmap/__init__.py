"""ONNX Runtime sessions that map the model file instead of reading it.

The names are those of ``onnxruntime``, and a few of this package's own: `Mapping`, `convert`,
`inspect`, `low_memory`, `patch_onnxruntime`, `get_include`. Each is imported when it is first asked
for.
"""

import os as _os
from importlib import import_module as _import_module

__version__ = "0.2.0"

# Every public name, by the module that it lives in. `tools/public_names.py` makes `__init__.pyi`
# of this table.
_PUBLIC = {
    "cache.folder": ("CacheWarning",),
    "compat.parity": (
        "SessionIOBinding",
        "preload_dlls",
        "print_debug_info",
        "set_default_logger_verbosity",
        "set_seed",
    ),
    "compat.patch": ("patch_onnxruntime",),
    "embed.table": ("get_capi",),
    "errors": (
        "EPFail",
        "EmptyFileError",
        "EmptyPathError",
        "EngineError",
        "Fail",
        "FolderError",
        "InvalidArgument",
        "InvalidGraph",
        "InvalidProtobuf",
        "LibraryError",
        "MappingError",
        "MappingPermissionError",
        "ModelChangedError",
        "ModelLoadCanceled",
        "ModelLoaded",
        "ModelRequiresCompilation",
        "NoModel",
        "NoSuchFile",
        "NotFound",
        "OrtError",
        "RuntimeException",
    ),
    "inference_session": ("InferenceSession",),
    "model.inspect": ("ModelInfo", "inspect"),
    "model.mapping": ("Mapping",),
    "options": ("ExecutionMode", "ExecutionOrder", "GraphOptimizationLevel", "SessionOptions"),
    "runtime.environment": (
        "disable_telemetry_events",
        "enable_telemetry_events",
        "get_ep_devices",
        "register_execution_provider_library",
        "set_default_logger_severity",
        "unregister_execution_provider_library",
    ),
    "runtime.ep_devices": (
        "OrtEpAssignedNode",
        "OrtEpAssignedSubgraph",
        "OrtEpDevice",
        "OrtExecutionProviderDevicePolicy",
        "OrtHardwareDevice",
        "OrtHardwareDeviceType",
    ),
    "runtime.library": (
        "get_available_providers",
        "get_build_info",
        "get_library_path",
        "get_version_string",
        "set_global_thread_pool_sizes",
    ),
    "runtime.logger": ("set_default_logger_callback",),
    "runtime.providers": ("get_all_providers", "get_device", "has_collective_ops"),
    "session.adapter": ("LoraAdapter",),
    "session.allocators": (
        "OrtMemoryInfo",
        "create_and_register_allocator",
        "create_and_register_allocator_v2",
    ),
    "session.binding": ("IOBinding",),
    "session.convert": ("convert",),
    "session.low_memory": ("low_memory",),
    "session.metadata": ("ModelMetadata", "NodeArg"),
    "session.native_options": ("RunOptions",),
    "values.copying": ("copy_tensors",),
    "values.devices": ("OrtDevice", "OrtDeviceVendorId"),
    "values.memory": (
        "OrtAllocatorType",
        "OrtArenaCfg",
        "OrtDeviceMemoryType",
        "OrtMemType",
        "OrtMemoryInfoDeviceType",
    ),
    "values.ort_value": ("OrtValue",),
    "values.ort_value_vector": ("OrtValueVector",),
    "values.sparse": ("OrtSparseFormat", "SparseTensor"),
}
# What `from ortmmap import *` leaves out: these open the library, the capsule is for C, and
# NotImplemented would hide Python's.
_UNLISTED = {
    "compat.parity": ("cuda_version", "package_name", "version"),
    "embed.table": ("_C_API",),
    "errors": ("NotImplemented",),
}
_MODULES = ("capi", "errors")
_ALIASES = {"Session": "InferenceSession"}
_NOT_BUILT = (
    f"ortmmap is imported from {_os.path.dirname(_os.path.abspath(__file__))}, a source tree that "
    "is not built. Build it in place with `pip install --editable .`, or run Python in another "
    "folder, where it finds the installed package."
)
_MODULE_OF = {
    name: module for table in (_PUBLIC, _UNLISTED) for module in table for name in table[module]
}

__all__ = ["Session", "capi", "errors", "get_include"]
__all__ += [name for names in _PUBLIC.values() for name in names]


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return _import_module(f"ortmmap.{name}")
    name_there = _ALIASES.get(name, name)
    if name_there not in _MODULE_OF:
        raise AttributeError(_import_module("ortmmap.compat.absent").explained("ortmmap", name))
    try:
        module = _import_module(f"ortmmap.{_MODULE_OF[name_there]}")
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("ortmmap."):
            raise
        raise ImportError(_NOT_BUILT) from error
    value = getattr(module, name_there)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULE_OF})


def get_include() -> str:
    """Return the folder to give a C compiler for ``#include <ortmmap/...>``."""
    package = _os.path.dirname(_os.path.abspath(__file__))
    installed = _os.path.join(package, "include")
    if _os.path.isdir(installed):
        return installed
    return _os.path.join(_os.path.dirname(package), "include")  # an editable install
