"""Tuning results of execution providers, of which the CPU's has none.

The C API has no function for them. Sessions on the CPU alone return and accept what onnxruntime's
do; sessions on other providers refuse.
"""

from collections.abc import Sequence
from typing import Any

from ortmmap.errors import OrtError, warn_caller
from ortmmap.runtime.providers import CPU

__all__ = ["set_tuning_results", "tuning_results"]


def tuning_results(providers: Sequence[str]) -> list[dict[str, Any]]:
    """Return the tuning results of a session on `providers`.

    Raises
    ------
    NotImplementedError
        If one of them is not the CPU's.
    """
    if any(name != CPU for name in providers):
        raise NotImplementedError("ONNX Runtime's C API does not report tuning results")
    return []


def set_tuning_results(
    providers: Sequence[str], results: list[dict[str, Any]], error_on_invalid: bool
) -> None:
    """Set tuning results; those that no provider takes raise OrtError, or are left out.

    Raises
    ------
    KeyError
        If a result lacks ``ep``, ``results`` or ``validators``.
    NotImplementedError
        If a result is of another provider of the session than the CPU's.
    TypeError
        If `results` is not a list of dicts.
    """
    if not isinstance(results, list):
        raise TypeError(
            f"set_tuning_results(): incompatible function arguments: {results!r} is not a list"
        )
    names = [_provider_of(result) for result in results]
    for index, name in enumerate(names):
        if name == CPU:
            refusal = f"Invalid TuningResults (index={index}). {CPU} does not support TunableOp."
        elif name not in providers:
            refusal = f"Cannot find execution provider {name}"
        else:
            raise NotImplementedError("ONNX Runtime's C API cannot set tuning results")
        if error_on_invalid:
            raise OrtError(f"Error in execution: {refusal}")
        warn_caller(refusal)


def _provider_of(result: Any) -> str:
    if not isinstance(result, dict):
        raise TypeError(f"{type(result).__name__!r} object is not a dict of tuning results")
    name, _, _ = result["ep"], dict(result["results"]), dict(result["validators"])
    return str(name)
