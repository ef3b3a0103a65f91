"""Functions of ``onnxruntime.capi.onnxruntime_inference_collection`` that programs import."""

from collections.abc import Sequence
from typing import Any

from ortmmap.errors import warn_caller
from ortmmap.runtime.providers import is_available, provider_pairs
from ortmmap.values.devices import OrtDevice

__all__ = ["FUNCTIONS"]


def check_and_normalize_provider_args(
    providers: Sequence[str | tuple[str, dict[Any, Any]]] | None,
    provider_options: Sequence[dict[Any, Any]] | None,
    available_provider_names: Sequence[str],
) -> tuple[list[str], list[dict[str, str]]]:
    """Pair execution providers with their options.

    Parameters
    ----------
    providers : sequence of str or of (str, dict), or None
    provider_options : sequence of dict, or None
        One for each of `providers`, which must then be names only.
    available_provider_names : sequence of str

    Returns
    -------
    (list of str, list of dict)
        Distinct names, available or not, and the options of each as strings.

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
        is_available(name, available_provider_names)  # warns; the name is returned in any case
        if name in wanted:
            warn_caller(f"Duplicate provider '{name}' encountered, ignoring.")
        else:
            wanted[name] = {str(key): str(value) for key, value in options.items()}
    return list(wanted), list(wanted.values())


def get_ort_device_type(device_type: str) -> int:
    """Return ONNX Runtime's number of a kind of device such as ``cpu``."""
    return OrtDevice.make(device_type, 0).device_type()


FUNCTIONS = {
    function.__name__: function
    for function in (check_and_normalize_provider_args, get_ort_device_type)
}
