"""Names of onnxruntime that ortmmap does not have, each with the reason.

An attribute error for one of them says why. ``tests/compat/test_absent_names.py`` compares the
tables with what each supported version of onnxruntime has.
"""

__all__ = ["NATIVE_REASONS", "REASONS", "explained"]

COMPILES = (
    "it compiles models for execution providers other than the CPU's; use onnxruntime for that"
)
PACKAGES = "it describes packages of models, of which the C API opens no session"
DEVICES = "it is of devices that compute beside the CPU"
ADAPTERS = "it writes adapters; use onnxruntime for that, and LoraAdapter to load them"
PACKAGE = "it is a part of the package onnxruntime itself"
KERNELS = "it describes kernels and operators for onnxruntime's documentation"
PARTS = "it is a part of a Python class of onnxruntime's, whose counterpart here is one class"

REASONS = {
    **dict.fromkeys(
        (
            "ModelCompiler",
            "OrtCompileApiFlags",
            "OrtEpContextData",
            "OrtEpContextDataBuffer",
            "OrtExternalInitializerInfo",
        ),
        COMPILES,
    ),
    **dict.fromkeys(
        (
            "ModelPackage",
            "ModelPackageComponentContext",
            "ModelPackageContext",
            "ModelPackageOptions",
            "ModelPackageWriteMode",
        ),
        PACKAGES,
    ),
    "AdapterFormat": ADAPTERS,
    "OrtSyncStream": DEVICES,
    **dict.fromkeys(("contextlib", "import_capi_exception", "onnxruntime_validation"), PACKAGE),
}

# Of the module that holds onnxruntime's C++ part.
NATIVE_REASONS = {
    **REASONS,
    **dict.fromkeys(
        (
            "ArenaExtendStrategy",
            "SessionObjectInitializer",
            "SparseBlockSparseView",
            "SparseCooView",
            "SparseCsrView",
            "get_session_initializer",
            "is_dlpack_uint8_tensor",
            "kNextPowerOfTwo",
            "kSameAsRequested",
        ),
        PARTS,
    ),
    **dict.fromkeys(
        (
            "get_all_operator_schema",
            "get_all_opkernel_def",
            "get_registered_ep_kernel_defs",
            "opkernel",
            "schemadef",
        ),
        KERNELS,
    ),
    "DeviceReset": DEVICES,
    **dict.fromkeys(
        (
            "OrtCompiledModelCompatibility",
            "OrtDeviceEpIncompatibilityReason",
            "get_compatibility_info_from_model",
            "get_compatibility_info_from_model_bytes",
            "get_hardware_device_ep_incompatibility_details",
            "get_hardware_devices",
            "get_model_compatibility_for_ep_devices",
        ),
        COMPILES,
    ),
}


def explained(module: str, name: str) -> str:
    """Return the text of the AttributeError of a module for an absent name."""
    text = f"module {module!r} has no attribute {name!r}"
    reason = (REASONS if module == "ortmmap" else NATIVE_REASONS).get(name)
    return f"{text}, which onnxruntime has: {reason}" if reason else text
