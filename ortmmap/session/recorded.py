"""What `patch_onnxruntime` records about onnxruntime's objects, for `foreign_options` to repeat.

The module imports nothing of the native layer: a patched process whose models are all small does
not load it.
"""

from typing import Any
from weakref import WeakKeyDictionary, WeakSet

__all__ = ["MODULE", "adapter_paths", "calls", "created", "is_theirs", "repeated", "run_options"]

MODULE = "onnxruntime.capi.onnxruntime_pybind11_state"  # which defines the classes of the objects

# Calls of methods on onnxruntime's options, as (method, arguments), and the options that were
# created under the patch, all of whose calls are therefore recorded.
calls: "WeakKeyDictionary[object, list[tuple[str, tuple[object, ...]]]]" = WeakKeyDictionary()
created: "WeakSet[object]" = WeakSet()

# The files that onnxruntime's adapters were loaded from.
adapter_paths: "WeakKeyDictionary[object, Any]" = WeakKeyDictionary()

# ortmmap's RunOptions by the one of onnxruntime's that they were made from, so that setting
# `terminate` there reaches them; and the number of recorded calls that were repeated on them.
run_options: "WeakKeyDictionary[object, Any]" = WeakKeyDictionary()
repeated: "WeakKeyDictionary[object, int]" = WeakKeyDictionary()


def is_theirs(options: object, name: str) -> bool:
    """Return whether `options` is an instance of onnxruntime's class `name`."""
    return any(cls.__name__ == name and cls.__module__ == MODULE for cls in type(options).__mro__)
