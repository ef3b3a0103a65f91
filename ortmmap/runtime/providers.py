"""Execution providers: the requested ones, checked against those of the library in use."""

from collections.abc import Callable, Iterable, Sequence

from ortmmap.errors import InvalidArgument, OrtError, warn_caller
from ortmmap.runtime.library import get_available_providers

__all__ = [
    "CPU",
    "CompiledData",
    "check_available",
    "get_all_providers",
    "get_device",
    "has_collective_ops",
    "normalize",
    "provider_pairs",
]

CPU = "CPUExecutionProvider"
GPU_PROVIDERS = {"CUDAExecutionProvider", "MIGraphXExecutionProvider", "ROCMExecutionProvider"}

# The order of preference of onnxruntime 1.23 to 1.32. Some of them are in no current build.
ALL_PROVIDERS = (
    "NvTensorRTRTXExecutionProvider",
    "TensorrtExecutionProvider",
    "CUDAExecutionProvider",
    "MIGraphXExecutionProvider",
    "ROCMExecutionProvider",
    "OpenVINOExecutionProvider",
    "DnnlExecutionProvider",
    "VitisAIExecutionProvider",
    "QNNExecutionProvider",
    "NnapiExecutionProvider",
    "VSINPUExecutionProvider",
    "JsExecutionProvider",
    "CoreMLExecutionProvider",
    "ArmNNExecutionProvider",
    "ACLExecutionProvider",
    "DmlExecutionProvider",
    "RknpuExecutionProvider",
    "WebNNExecutionProvider",
    "WebGpuExecutionProvider",
    "XnnpackExecutionProvider",
    "CANNExecutionProvider",
    "AzureExecutionProvider",
    "CPUExecutionProvider",
)


def normalize(
    providers: Sequence | None,
    provider_options: Sequence | None,
    available: Sequence[str],
) -> list[tuple[str, dict[str, str]]]:
    """Pair providers with their options, as onnxruntime does, and drop unavailable ones.

    Parameters
    ----------
    providers : sequence of str or of (str, dict), or None
        In order of preference.
    provider_options : sequence of dict, or None
        One for each of `providers`, which must then be names only.
    available : sequence of str
        The providers of the library in use.

    Returns
    -------
    list of (str, dict)
        Distinct names with their options as strings. The CPU provider has no options.

    Raises
    ------
    ValueError
        If the arguments do not have that form.

    Warns
    -----
    UserWarning
        If a provider is not available, or is named twice.
    """
    wanted: dict[str, dict[str, str]] = {}
    for name, options in provider_pairs(providers, provider_options):
        if not is_available(name, available):
            continue
        if name in wanted:
            warn_caller(f"Duplicate provider '{name}' encountered, ignoring.")
        else:
            wanted[name] = {str(key): str(value) for key, value in options.items()}
    return [(name, {} if name == CPU else options) for name, options in wanted.items()]


def is_available(name: str, available: Sequence[str]) -> bool:
    """Return whether a provider is among the available ones, with a warning if it is not."""
    if name in available:
        return True
    warn_caller(
        f"Specified provider '{name}' is not in available provider names. "
        f"Available providers: '{', '.join(available)}'"
    )
    return False


def check_available(name: str) -> None:
    """Raise if the library in use does not have the provider `name`.

    Raises
    ------
    InvalidArgument
        If another build of the library may have it.
    OrtError
        If no provider has that name.
    """
    available = get_available_providers()
    if name in available:
        return
    if name not in ALL_PROVIDERS:
        raise OrtError(f"Unknown Provider Type: {name} (available: {', '.join(available)})")
    raise InvalidArgument(
        f"[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Failed to add provider of type '{name}' to "
        f"SessionOptions: the library in use has only {', '.join(available)}."
    )


def get_all_providers() -> list[str]:
    """Return the execution providers of all builds, in order of preference."""
    return list(ALL_PROVIDERS)


def get_device() -> str:
    """Return ``GPU`` if the library in use has a provider for NVIDIA or AMD, else ``CPU``."""
    return "GPU" if GPU_PROVIDERS & set(get_available_providers()) else "CPU"


def has_collective_ops() -> bool:
    """Return False: only builds for training have collective operators."""
    return False


class CompiledData:
    """Methods of `SessionOptions` for data that providers have compiled, which ortmmap refuses."""

    __slots__ = ()

    def set_ep_context_data_read_func(self, read_func: Callable[..., object]) -> None:
        """Raise: a model that was compiled for a provider keeps its data in files here.

        Raises
        ------
        NotImplementedError
        """
        raise NotImplementedError(
            f"ortmmap calls no function ({read_func!r}) to read what an execution provider has "
            "compiled: keep the data in a file beside the model"
        )

    def clear_ep_context_data_read_func(self) -> None:
        """Do nothing: no function is set."""


class _NotIterable(TypeError, ValueError):  # noqa: N818
    """`providers` is not iterable: onnxruntime 1.23 and 1.32 raise one base class each."""


def provider_pairs(
    providers: Sequence | None, provider_options: Sequence | None
) -> list[tuple[str, dict]]:
    """Return the name and the options of each provider; raise ValueError for another form."""
    if providers is None:
        return []
    if isinstance(providers, str):  # to onnxruntime, a sequence of one-letter names
        raise ValueError("'providers' should be a sequence of names, not one name.")
    if not isinstance(providers, Iterable):
        raise _NotIterable(f"'providers' should be a sequence, not {type(providers).__name__}.")
    if not isinstance(providers, Sequence):
        raise ValueError("'providers' should be a sequence.")
    if provider_options is None:
        return [_pair(provider) for provider in providers]
    if not isinstance(provider_options, Sequence):
        raise ValueError("'provider_options' should be a sequence.")
    if len(providers) != len(provider_options):
        raise ValueError(
            "'providers' and 'provider_options' should be the same length if both are given."
        )
    if not all(isinstance(provider, str) for provider in providers):
        raise ValueError(
            "Only string values for 'providers' are supported if 'provider_options' is given."
        )
    if not all(isinstance(options, dict) for options in provider_options):
        raise ValueError("'provider_options' values must be dicts.")
    return list(zip(providers, provider_options, strict=True))


def _pair(provider: object) -> tuple[str, dict]:
    match provider:
        case str():
            return provider, {}
        case (str() as name, dict() as options) if isinstance(provider, tuple):
            return name, options
    raise ValueError("'providers' values must be either strings or (string, dict) tuples.")
