"""Calls on onnxruntime's options and adapters, recorded for `ortmmap.session.foreign_options`."""

import os
from collections.abc import Callable
from importlib import import_module
from typing import Any
from weakref import WeakKeyDictionary

from ortmmap.compat import between
from ortmmap.session import recorded

__all__ = ["record_adapters", "record_options"]

Change = Callable[[object, str, object], None]  # sets an attribute until the patch is undone

# Methods whose effect cannot be read back from onnxruntime's options objects.
RECORDED = {
    "SessionOptions": (
        "add_external_initializers",
        "add_external_initializers_from_files_in_memory",
        "add_free_dimension_override_by_denotation",
        "add_free_dimension_override_by_name",
        "add_initializer",
        "add_provider",
        "add_provider_for_devices",
        "add_session_config_entry",
        "clear_ep_context_data_read_func",
        "register_custom_ops_library",
        "set_ep_context_data_read_func",
        "set_load_cancellation_flag",
        "set_provider_selection_policy",
        "set_provider_selection_policy_delegate",
    ),
    "RunOptions": ("add_active_adapter", "add_run_config_entry"),
}

# onnxruntime's options point into the values that they were given: these live as long as they do.
_lent: "WeakKeyDictionary[object, list[tuple[object, ...]]]" = WeakKeyDictionary()


def record_options(change: Change) -> None:
    """Record what is set on onnxruntime's options, and have ``terminate`` reach ortmmap's runs."""
    natives = import_module(recorded.MODULE)
    for name, methods in RECORDED.items():
        cls = getattr(natives, name)
        for method in methods:
            if hasattr(cls, method):
                change(cls, method, _recording(method, getattr(cls, method)))
        change(cls, "__init__", _remembering(cls.__init__))
    change(natives.RunOptions, "terminate", _forwarding(vars(natives.RunOptions)["terminate"]))


def record_adapters(change: Change) -> None:
    """Record which file each of onnxruntime's adapters is loaded from."""
    cls = getattr(import_module(recorded.MODULE), "LoraAdapter", None)
    if cls is None:
        return
    load = cls.Load

    def Load(adapter: object, path: object) -> None:  # noqa: N802 - onnxruntime's name
        load(adapter, path)
        recorded.adapter_paths[adapter] = path

    Load.__doc__ = load.__doc__
    change(cls, "Load", Load)


def _remembering(initialize: Callable[..., None]) -> Callable[..., None]:
    def __init__(self: object, *args: object, **kwargs: object) -> None:  # noqa: N807
        initialize(self, *args, **kwargs)
        recorded.created.add(self)

    return __init__


def _recording(name: str, method: Callable[..., object]) -> Callable[..., object]:
    def call(options: object, *args: object, **kwargs: object) -> object:
        theirs = tuple(_to_onnxruntime(argument) for argument in args)
        named = {key: _to_onnxruntime(argument) for key, argument in kwargs.items()}
        result = method(options, *theirs, **named)
        recorded.calls.setdefault(options, []).append((name, (*args, *kwargs.values())))
        _lent.setdefault(options, []).append((*theirs, *named.values()))
        return result

    call.__name__, call.__doc__ = name, method.__doc__
    return call


def _to_onnxruntime(argument: Any) -> object:
    """Convert ortmmap's values and adapters in an argument to onnxruntime's."""
    if isinstance(argument, list):
        return [_to_onnxruntime(item) for item in argument]
    if between.is_our("ortmmap.values.ort_value", "OrtValue", argument):
        return between.to_theirs(argument)
    if between.is_our("ortmmap.session.adapter", "LoraAdapter", argument) and argument._path:
        adapter = import_module(recorded.MODULE).LoraAdapter()
        adapter.Load(os.fspath(argument._path))
        return adapter
    return argument


def _forwarding(theirs: Any) -> property:
    def set_terminate(options: object, value: bool) -> None:
        theirs.fset(options, value)
        ours = recorded.run_options.get(options)
        if ours is not None:
            ours.terminate = value

    return property(theirs.fget, set_terminate, doc=theirs.__doc__)
