"""Made by tools/public_names.py of the table in __init__.py."""

from ortmmap import capi as capi
from ortmmap import errors as errors
from ortmmap._core import (
    Session as Session,
)
from ortmmap.cache.folder import (
    CacheWarning as CacheWarning,
)
from ortmmap.compat.package import (
    cuda_version as cuda_version,
)
from ortmmap.compat.package import (
    package_name as package_name,
)
from ortmmap.compat.package import (
    preload_dlls as preload_dlls,
)
from ortmmap.compat.package import (
    print_debug_info as print_debug_info,
)
from ortmmap.compat.package import (
    version as version,
)
from ortmmap.compat.patch import (
    patch_onnxruntime as patch_onnxruntime,
)
from ortmmap.compat.session_binding import (
    SessionIOBinding as SessionIOBinding,
)
from ortmmap.compat.unsupported import (
    set_default_logger_callback as set_default_logger_callback,
)
from ortmmap.compat.unsupported import (
    set_default_logger_verbosity as set_default_logger_verbosity,
)
from ortmmap.compat.unsupported import (
    set_seed as set_seed,
)
from ortmmap.embed.table import (
    _C_API as _C_API,
)
from ortmmap.embed.table import (
    get_capi as get_capi,
)
from ortmmap.model.inspect import (
    ModelInfo as ModelInfo,
)
from ortmmap.model.inspect import (
    inspect as inspect,
)
from ortmmap.model.mapping import (
    Mapping as Mapping,
)
from ortmmap.options import (
    ExecutionMode as ExecutionMode,
)
from ortmmap.options import (
    ExecutionOrder as ExecutionOrder,
)
from ortmmap.options import (
    GraphOptimizationLevel as GraphOptimizationLevel,
)
from ortmmap.options import (
    SessionOptions as SessionOptions,
)
from ortmmap.runtime.environment import (
    disable_telemetry_events as disable_telemetry_events,
)
from ortmmap.runtime.environment import (
    enable_telemetry_events as enable_telemetry_events,
)
from ortmmap.runtime.environment import (
    get_ep_devices as get_ep_devices,
)
from ortmmap.runtime.environment import (
    register_execution_provider_library as register_execution_provider_library,
)
from ortmmap.runtime.environment import (
    set_default_logger_severity as set_default_logger_severity,
)
from ortmmap.runtime.environment import (
    unregister_execution_provider_library as unregister_execution_provider_library,
)
from ortmmap.runtime.ep_devices import (
    OrtEpDevice as OrtEpDevice,
)
from ortmmap.runtime.ep_devices import (
    OrtExecutionProviderDevicePolicy as OrtExecutionProviderDevicePolicy,
)
from ortmmap.runtime.ep_devices import (
    OrtHardwareDevice as OrtHardwareDevice,
)
from ortmmap.runtime.ep_devices import (
    OrtHardwareDeviceType as OrtHardwareDeviceType,
)
from ortmmap.runtime.library import (
    get_available_providers as get_available_providers,
)
from ortmmap.runtime.library import (
    get_build_info as get_build_info,
)
from ortmmap.runtime.library import (
    get_library_path as get_library_path,
)
from ortmmap.runtime.library import (
    get_version_string as get_version_string,
)
from ortmmap.runtime.library import (
    set_global_thread_pool_sizes as set_global_thread_pool_sizes,
)
from ortmmap.runtime.providers import (
    get_all_providers as get_all_providers,
)
from ortmmap.runtime.providers import (
    get_device as get_device,
)
from ortmmap.runtime.providers import (
    has_collective_ops as has_collective_ops,
)
from ortmmap.session.allocators import (
    OrtMemoryInfo as OrtMemoryInfo,
)
from ortmmap.session.allocators import (
    create_and_register_allocator as create_and_register_allocator,
)
from ortmmap.session.allocators import (
    create_and_register_allocator_v2 as create_and_register_allocator_v2,
)
from ortmmap.session.binding import (
    IOBinding as IOBinding,
)
from ortmmap.session.convert import (
    convert as convert,
)
from ortmmap.session.metadata import (
    ModelMetadata as ModelMetadata,
)
from ortmmap.session.metadata import (
    NodeArg as NodeArg,
)
from ortmmap.session.native_options import (
    LoraAdapter as LoraAdapter,
)
from ortmmap.session.native_options import (
    RunOptions as RunOptions,
)
from ortmmap.values.copying import (
    copy_tensors as copy_tensors,
)
from ortmmap.values.devices import (
    OrtDevice as OrtDevice,
)
from ortmmap.values.devices import (
    OrtDeviceVendorId as OrtDeviceVendorId,
)
from ortmmap.values.memory import (
    OrtAllocatorType as OrtAllocatorType,
)
from ortmmap.values.memory import (
    OrtArenaCfg as OrtArenaCfg,
)
from ortmmap.values.memory import (
    OrtDeviceMemoryType as OrtDeviceMemoryType,
)
from ortmmap.values.memory import (
    OrtMemoryInfoDeviceType as OrtMemoryInfoDeviceType,
)
from ortmmap.values.memory import (
    OrtMemType as OrtMemType,
)
from ortmmap.values.ort_value import (
    OrtValue as OrtValue,
)
from ortmmap.values.ort_value import (
    OrtValueVector as OrtValueVector,
)
from ortmmap.values.sparse import (
    OrtSparseFormat as OrtSparseFormat,
)
from ortmmap.values.sparse import (
    SparseTensor as SparseTensor,
)

InferenceSession = Session

__version__: str

def get_include() -> str: ...

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
