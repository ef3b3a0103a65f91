"""ONNX Runtime sessions that map the model file instead of reading it.

The names are those of ``onnxruntime``, and a few of this package's own: `Mapping`, `convert`,
`inspect`, `patch_onnxruntime`, `get_include`. Most are imported when they are first asked for.
"""

import os as _os
from importlib import import_module as _import_module
from typing import TYPE_CHECKING

from ortmmap._core import Session
from ortmmap._mapping import Mapping
from ortmmap._metadata import ModelMetadata, NodeArg
from ortmmap._options import RunOptions
from ortmmap._runtime import (
    get_available_providers,
    get_build_info,
    get_library_path,
    get_version_string,
    set_global_thread_pool_sizes,
)
from ortmmap.options import ExecutionMode, ExecutionOrder, GraphOptimizationLevel, SessionOptions

if TYPE_CHECKING:
    from ortmmap import capi, errors
    from ortmmap._binding import IOBinding
    from ortmmap._capi import get_capi
    from ortmmap._environment import (
        disable_telemetry_events,
        enable_telemetry_events,
        get_ep_devices,
        register_execution_provider_library,
        set_default_logger_severity,
        unregister_execution_provider_library,
    )
    from ortmmap._memory import (
        OrtMemoryInfo,
        create_and_register_allocator,
        create_and_register_allocator_v2,
    )
    from ortmmap._options import LoraAdapter
    from ortmmap._ort_value import OrtValue, OrtValueVector
    from ortmmap._sparse import OrtSparseFormat, SparseTensor
    from ortmmap.cache_folder import CacheWarning
    from ortmmap.convert import convert
    from ortmmap.copying import copy_tensors
    from ortmmap.devices import OrtDevice, OrtDeviceVendorId
    from ortmmap.ep_devices import (
        OrtEpDevice,
        OrtExecutionProviderDevicePolicy,
        OrtHardwareDevice,
        OrtHardwareDeviceType,
    )
    from ortmmap.inspect import ModelInfo, inspect
    from ortmmap.memory import (
        OrtAllocatorType,
        OrtArenaCfg,
        OrtDeviceMemoryType,
        OrtMemoryInfoDeviceType,
        OrtMemType,
    )
    from ortmmap.package import cuda_version as cuda_version
    from ortmmap.package import package_name as package_name
    from ortmmap.package import preload_dlls, print_debug_info
    from ortmmap.package import version as version
    from ortmmap.patch import patch_onnxruntime
    from ortmmap.providers import get_all_providers, get_device, has_collective_ops
    from ortmmap.session_binding import SessionIOBinding
    from ortmmap.unsupported import (
        set_default_logger_callback,
        set_default_logger_verbosity,
        set_seed,
    )

InferenceSession = Session

__version__ = "0.1.0"

# Where the names are that are imported when first asked for.
_LATER = {
    "_binding": ("IOBinding",),
    "_capi": ("get_capi",),
    "_environment": (
        "disable_telemetry_events",
        "enable_telemetry_events",
        "get_ep_devices",
        "register_execution_provider_library",
        "set_default_logger_severity",
        "unregister_execution_provider_library",
    ),
    "_memory": (
        "OrtMemoryInfo",
        "create_and_register_allocator",
        "create_and_register_allocator_v2",
    ),
    "_options": ("LoraAdapter",),
    "_ort_value": ("OrtValue", "OrtValueVector"),
    "_sparse": ("OrtSparseFormat", "SparseTensor"),
    "cache_folder": ("CacheWarning",),
    "convert": ("convert",),
    "copying": ("copy_tensors",),
    "devices": ("OrtDevice", "OrtDeviceVendorId"),
    "ep_devices": (
        "OrtEpDevice",
        "OrtExecutionProviderDevicePolicy",
        "OrtHardwareDevice",
        "OrtHardwareDeviceType",
    ),
    "inspect": ("ModelInfo", "inspect"),
    "memory": (
        "OrtAllocatorType",
        "OrtArenaCfg",
        "OrtDeviceMemoryType",
        "OrtMemType",
        "OrtMemoryInfoDeviceType",
    ),
    "package": ("cuda_version", "package_name", "preload_dlls", "print_debug_info", "version"),
    "patch": ("patch_onnxruntime",),
    "providers": ("get_all_providers", "get_device", "has_collective_ops"),
    "session_binding": ("SessionIOBinding",),
    "unsupported": ("set_default_logger_callback", "set_default_logger_verbosity", "set_seed"),
}
_MODULE_OF = {name: module for module, names in _LATER.items() for name in names}
_MODULES = ("_capi", "capi", "errors")

# Without `version` and the like: whoever imports all names does not need the library for that.
__all__ = [
    "CacheWarning",
    "ExecutionMode",
    "ExecutionOrder",
    "GraphOptimizationLevel",
    "IOBinding",
    "InferenceSession",
    "LoraAdapter",
    "Mapping",
    "ModelInfo",
    "ModelMetadata",
    "NodeArg",
    "OrtAllocatorType",
    "OrtArenaCfg",
    "OrtDevice",
    "OrtDeviceMemoryType",
    "OrtDeviceVendorId",
    "OrtEpDevice",
    "OrtExecutionProviderDevicePolicy",
    "OrtHardwareDevice",
    "OrtHardwareDeviceType",
    "OrtMemType",
    "OrtMemoryInfo",
    "OrtMemoryInfoDeviceType",
    "OrtSparseFormat",
    "OrtValue",
    "OrtValueVector",
    "RunOptions",
    "Session",
    "SessionIOBinding",
    "SessionOptions",
    "SparseTensor",
    "capi",
    "convert",
    "copy_tensors",
    "create_and_register_allocator",
    "create_and_register_allocator_v2",
    "disable_telemetry_events",
    "enable_telemetry_events",
    "errors",
    "get_all_providers",
    "get_available_providers",
    "get_build_info",
    "get_capi",
    "get_device",
    "get_ep_devices",
    "get_include",
    "get_library_path",
    "get_version_string",
    "has_collective_ops",
    "inspect",
    "patch_onnxruntime",
    "preload_dlls",
    "print_debug_info",
    "register_execution_provider_library",
    "set_default_logger_callback",
    "set_default_logger_severity",
    "set_default_logger_verbosity",
    "set_global_thread_pool_sizes",
    "set_seed",
    "unregister_execution_provider_library",
]


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return _import_module(f"ortmmap.{name}")
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'ortmmap' has no attribute {name!r}")
    value = getattr(_import_module(f"ortmmap.{_MODULE_OF[name]}"), name)
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
