"""patch_onnxruntime: ortmmap's sessions in code that imports onnxruntime.

``onnxruntime.InferenceSession`` becomes a class whose sessions are ortmmap's, or ortmmap's for
large models and onnxruntime's for small ones (`stand_in`), so that ``isinstance`` and ``except``
keep their meaning, wherever and whenever the name was imported. A subclass defined before the patch
has a fixed base and keeps onnxruntime's sessions; one defined afterwards has the new class as its
base.

onnxruntime's options objects stay as they are. Calls that set something on them are recorded
(`recording`), for `ortmmap.session.foreign_options` to repeat on ortmmap's.

The native layer is imported when the first model is ortmmap's.
"""

import sys
import warnings
from _thread import RLock
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

from ortmmap.compat import between, recording
from ortmmap.compat.stand_in import StandIn, binding_of, choosing_class, mapped_class
from ortmmap.compat.threshold import threshold_of
from ortmmap.runtime import call_when_open
from ortmmap.session import recorded

__all__ = ["Patch", "patch_onnxruntime"]

# Functions that change state of the whole process, which each of the two libraries has.
PROCESS_WIDE = (
    "disable_telemetry_events",
    "enable_telemetry_events",
    "register_execution_provider_library",
    "set_default_logger_callback",
    "set_default_logger_severity",
    "set_default_logger_verbosity",
    "set_seed",
    "unregister_execution_provider_library",
)

_lock = RLock()
_patches = 0  # patches in effect; guarded by the lock
_threshold = 0  # theirs
_changes: list[tuple[object, str, object]] = []  # (object, attribute, original value)
_factories: dict[type, Callable[..., object]] = {}  # make the instances of a class while patched
_redirected: set[type] = set()


class Patch:
    """A patch of onnxruntime in effect, until `undo` or the end of its ``with`` block."""

    def __init__(self) -> None:
        self._undone = False

    def __enter__(self) -> "Patch":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.undo()

    def undo(self) -> None:
        """Restore onnxruntime, if no other patch is in effect. A second call does nothing."""
        global _patches
        with _lock:
            if self._undone:
                return
            self._undone = True
            _patches -= 1
            if _patches == 0:
                _restore()


def patch_onnxruntime(threshold: int | None = None) -> Patch:
    """Replace ``onnxruntime.InferenceSession`` by ortmmap's, in other people's code too.

    Sessions created from now on are ortmmap's if the model is large enough, by whatever name the
    class was imported before or after, and so are those of subclasses defined from now on. Existing
    sessions do not change. Patches may be nested.

    Parameters
    ----------
    threshold : int, optional
        Sessions of models of fewer bytes, weights in other files included, stay onnxruntime's own:
        for them a second ONNX Runtime would take more memory than it saves. If no model is
        larger, ortmmap's library is never loaded. None stands for the variable
        ``ORTMMAP_PATCH_THRESHOLD``, or else 16 MiB; 0 for no such sessions. In a nested patch, None
        stands for the threshold in effect.

    Returns
    -------
    Patch
        A context manager with a method ``undo()``.

    Raises
    ------
    ImportError
        If onnxruntime is not installed.
    RuntimeError
        If a patch with another threshold is in effect.
    ValueError
        If the threshold is negative, or the variable's value is no integer.

    Notes
    -----
    Programs see onnxruntime's ``OrtValue`` and ``SparseTensor``, which both kinds of sessions take.
    With a threshold of 0 they see ortmmap's, which a session of onnxruntime's from before the patch
    does not take.
    """
    global _patches, _threshold
    with _lock:
        if _patches == 0:
            wanted = threshold_of(threshold)
            try:
                _apply(wanted)
            except BaseException:
                _restore()
                raise
            _threshold = wanted
        elif threshold is not None and threshold != _threshold:
            raise RuntimeError(
                f"onnxruntime is patched with a threshold of {_threshold} bytes; undo that patch "
                f"before one with a threshold of {threshold}"
            )
        _patches += 1
    return Patch()


def _apply(threshold: int) -> None:
    onnxruntime = import_module("onnxruntime")
    classes = import_module(between.CLASSES)
    _patch_sessions(onnxruntime, classes.InferenceSession, threshold)
    _patch_binding(onnxruntime, classes, our_values=threshold == 0)
    _patch_values(onnxruntime, classes, our_values=threshold == 0)
    recording.record_options(_change)
    recording.record_adapters(_change)
    for name in PROCESS_WIDE:
        if hasattr(onnxruntime, name):
            function = _in_both_libraries(name, getattr(onnxruntime, name), threshold == 0)
            _change(onnxruntime, name, function)
    _change_thread_pools(onnxruntime)


def _patch_sessions(onnxruntime: Any, theirs: Any, threshold: int) -> None:
    if threshold == 0:
        mapped = mapped_class(theirs, our_values=True)
        _redirect(theirs, lambda *_args, **_kwargs: mapped.__new__(mapped))
        _change(onnxruntime, "InferenceSession", mapped)
        return
    chooser = choosing_class(theirs, threshold)
    _redirect(theirs, chooser._choose)
    _change(onnxruntime, "InferenceSession", chooser)


def _restore() -> None:
    _factories.clear()
    while _changes:
        target, name, original = _changes.pop()
        setattr(target, name, original)


def _change(target: object, name: str, value: object) -> None:
    original = vars(target)[name]  # a descriptor itself, not the value that it returns
    setattr(target, name, value)
    _changes.append((target, name, original))


def _redirect(cls: Any, factory: Callable[..., object]) -> None:
    """Have calls of `cls` itself return the factory's objects while a patch is in effect.

    A factory that returns None leaves the call to the class. The added ``__new__`` stays after the
    patch, and does nothing then: CPython lets no class take arguments that has lost a ``__new__``.
    """
    _factories[cls] = factory
    if cls in _redirected:
        return
    _redirected.add(cls)

    def __new__(wanted: type, *args: object, **kwargs: object) -> object:  # noqa: N807
        factory = _factories.get(wanted)
        made = factory and factory(*args, **kwargs)
        return object.__new__(wanted) if made is None else made

    vars(__new__)["__wrapped__"] = cls.__init__  # the arguments that inspect.signature shows
    cls.__new__ = __new__


def _patch_binding(onnxruntime: Any, classes: Any, our_values: bool) -> None:
    """Have ``IOBinding(session)`` make ortmmap's binding if the session is ortmmap's."""
    factory = partial(binding_of, our_values=our_values)
    _redirect(classes.IOBinding, factory)
    stand_in = _install_stand_in(onnxruntime, classes.IOBinding, "ortmmap.session.binding")
    _factories[stand_in] = factory


def _patch_values(onnxruntime: Any, classes: Any, our_values: bool) -> None:
    """Have ``isinstance`` count ortmmap's values in, and with `our_values` factories make them."""
    for name, module in (
        ("OrtValue", "ortmmap.values.ort_value"),
        ("SparseTensor", "ortmmap.values.sparse"),
    ):
        theirs = getattr(classes, name)
        if our_values:
            ours = getattr(import_module(module), name)
            for factory, value in list(vars(theirs).items()):
                if isinstance(value, (classmethod, staticmethod)) and hasattr(ours, factory):
                    _change(theirs, factory, staticmethod(getattr(ours, factory)))
        _install_stand_in(onnxruntime, theirs, module)
    if our_values:
        _patch_inner_values(onnxruntime, classes)
    if hasattr(onnxruntime, "copy_tensors"):
        _change(onnxruntime, "copy_tensors", _copy_tensors(onnxruntime.copy_tensors))
    if our_values and hasattr(classes, "AdapterFormat"):
        write = classes.AdapterFormat.set_parameters

        def set_parameters(self: Any, params: dict[str, Any]) -> None:
            write(self, {name: _value_of_theirs(value) for name, value in params.items()})

        _change(classes.AdapterFormat, "set_parameters", set_parameters)


def _patch_inner_values(onnxruntime: Any, classes: Any) -> None:
    """Have ``OrtValue(inner)`` take ortmmap's inner values, and make vectors of ortmmap's."""
    ours = import_module("ortmmap.values.ort_value").OrtValue

    def factory(ortvalue: object, *args: object, **kwargs: object) -> object:
        return ours(ortvalue, *args, **kwargs) if isinstance(ortvalue, ours) else None

    for cls in (classes.OrtValue, onnxruntime.OrtValue):
        _redirect(cls, factory)
    vector = import_module("ortmmap.values.ort_value_vector").OrtValueVector
    _change(import_module(recorded.MODULE), "OrtValueVector", vector)


def _value_of_theirs(value: Any) -> Any:
    is_ours = between.is_our("ortmmap.values.ort_value", "OrtValue", value)
    return between.to_theirs(value) if is_ours else value


def _install_stand_in(onnxruntime: Any, theirs: type, module: str) -> type:
    """Replace onnxruntime's class by a subclass that counts instances of both as its own.

    `module` has ortmmap's class of the same name.
    """
    name = theirs.__name__
    namespace = {
        "__module__": "onnxruntime",
        "__doc__": theirs.__doc__,
        "_stands_for": (theirs, (module, name)),
    }
    stand_in = StandIn(name, (theirs,), namespace)
    _change(onnxruntime, name, stand_in)
    return stand_in


def _copy_tensors(theirs: Callable[..., None]) -> Callable[..., None]:
    def copy_tensors(src: Any, dst: Any, stream: object = None) -> None:
        if any(between.is_our("ortmmap.values.ort_value", "OrtValue", value) for value in dst):
            return import_module("ortmmap.values.copying").copy_tensors(src, dst, stream)
        return theirs(src, dst, stream)

    return copy_tensors


def _in_both_libraries(
    name: str, theirs: Callable[..., object], at_once: bool
) -> Callable[..., object]:
    """Have a call reach ortmmap's library too: at once, or when it has been opened."""

    def call(*args: object, **kwargs: object) -> object:
        result = theirs(*args, **kwargs)
        caller = sys._getframe(1)
        ours = partial(_call_ours, name, args, kwargs, caller.f_code.co_filename, caller.f_lineno)
        if at_once:
            ours()
        else:
            call_when_open(ours)
        return result

    call.__name__, call.__doc__ = name, theirs.__doc__
    return call


def _call_ours(
    name: str, args: tuple[object, ...], kwargs: dict[str, object], filename: str, line: int
) -> None:
    """Call ortmmap's function; warn with the place of the program's call if it has no effect."""
    try:
        getattr(import_module("ortmmap"), name)(*args, **kwargs)
    except NotImplementedError as error:
        text = f"onnxruntime.{name} has no effect on ortmmap: {error}"
        warnings.warn_explicit(text, UserWarning, filename, line)


def _change_thread_pools(onnxruntime: Any) -> None:
    """Have ``set_global_thread_pool_sizes`` reach ortmmap's library, before that is opened."""
    name = "set_global_thread_pool_sizes"
    if hasattr(onnxruntime, name):
        _change(onnxruntime, name, _in_both_libraries(name, getattr(onnxruntime, name), True))
