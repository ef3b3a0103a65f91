"""Execution providers: what is asked for, against what the library in use has."""

import warnings
from collections.abc import Sequence

__all__ = ["CPU", "normalize", "short_name"]

CPU = "CPUExecutionProvider"

# What OrtApi::SessionOptionsAppendExecutionProvider calls them, where it is not the plain stem.
SHORT_NAMES = {
    "AzureExecutionProvider": "AZURE",
    "JsExecutionProvider": "JS",
    "SNPEExecutionProvider": "SNPE",
    "VitisAIExecutionProvider": "VitisAI",
    "XnnpackExecutionProvider": "XNNPACK",
}


def short_name(provider: str) -> str:
    """Return what the C API calls a provider."""
    return SHORT_NAMES.get(provider, provider.removesuffix("ExecutionProvider"))


def normalize(
    providers: Sequence | None, provider_options: Sequence | None, available: Sequence[str]
) -> list[tuple[str, dict[str, str]]]:
    """Pair providers with their options, as onnxruntime does, and leave out what is not there.

    Parameters
    ----------
    providers : sequence of str or of (str, dict), or None
        In order of preference.
    provider_options : sequence of dict, or None
        One for each of `providers`, where these are names only.
    available : sequence of str
        The names that the library in use knows.

    Returns
    -------
    list of (str, dict)
        Names, each once, with the options as strings.

    Raises
    ------
    ValueError
        Where the arguments are not of that form.

    Warns
    -----
    UserWarning
        Where a provider is not available, or named twice.
    """
    wanted: dict[str, dict[str, str]] = {}
    for name, options in _pairs(providers, provider_options):
        if name not in available:
            _warn(
                f"Specified provider '{name}' is not in available provider names. "
                f"Available providers: '{', '.join(available)}'"
            )
        elif name in wanted:
            _warn(f"Duplicate provider '{name}' encountered, ignoring.")
        else:
            wanted[name] = {str(key): str(value) for key, value in options.items()}
    return list(wanted.items())


def _warn(text: str) -> None:
    warnings.warn(text, UserWarning, stacklevel=5)


def _pairs(providers: Sequence | None, provider_options: Sequence | None) -> list[tuple]:
    if providers is None:
        return []
    if isinstance(providers, str) or not isinstance(providers, Sequence):
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
