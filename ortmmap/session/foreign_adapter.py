"""onnxruntime's own ``LoraAdapter`` objects, converted to ortmmap's.

onnxruntime's adapter does not say which file it was loaded from. `patch_onnxruntime` records it.
"""

from typing import Any
from weakref import WeakKeyDictionary

from ortmmap.session import recorded
from ortmmap.session.adapter import LoraAdapter

__all__ = ["adapter_from"]

# ortmmap's adapters, with their path, by the one of onnxruntime's that they were made from.
_converted: "WeakKeyDictionary[object, tuple[Any, LoraAdapter]]" = WeakKeyDictionary()


def adapter_from(adapter: Any) -> LoraAdapter:
    """Return a `LoraAdapter` of the file that onnxruntime's adapter has loaded.

    Parameters
    ----------
    adapter : onnxruntime.LoraAdapter

    Raises
    ------
    TypeError
        If `adapter` is an object of another kind.
    ValueError
        If its file is not known: it is empty, or was loaded without `patch_onnxruntime`.
    """
    if not recorded.is_theirs(adapter, "LoraAdapter"):
        raise TypeError(f"adapter should be a LoraAdapter, not {type(adapter).__name__}")
    path: Any = recorded.adapter_paths.get(adapter)
    if path is None:
        raise ValueError(
            "the file of onnxruntime's LoraAdapter is not known: call its Load(path) while "
            "patch_onnxruntime is in effect, or use ortmmap.LoraAdapter"
        )
    known = _converted.get(adapter)
    if known is None or known[0] is not path:
        known = _converted[adapter] = (path, LoraAdapter.Load(path))
    return known[1]
