"""patch_onnxruntime: ortmmap's sessions in code that imports onnxruntime.

``onnxruntime.InferenceSession`` becomes a class that derives from `ortmmap.Session` and from
onnxruntime's class, so that ``isinstance`` and ``except`` keep their meaning, wherever and whenever
the name was imported. A subclass defined before the patch has a fixed base and keeps onnxruntime's
sessions; a subclass defined afterwards gets ortmmap's.

onnxruntime's options objects stay as they are. Calls that set something on them are recorded, for
`ortmmap.session.foreign_options` to repeat on ortmmap's.
"""

import functools
import os
import warnings
from _thread import RLock
from collections.abc import Callable
from importlib import import_module
from typing import Any
from weakref import WeakKeyDictionary

import ortmmap
from ortmmap import Session
from ortmmap.session import foreign_options

__all__ = ["Patch", "patch_onnxruntime"]

CLASSES = "onnxruntime.capi.onnxruntime_inference_collection"  # the module that defines them

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
        "register_custom_ops_library",
        "set_ep_context_data_read_func",
        "set_load_cancellation_flag",
        "set_provider_selection_policy",
        "set_provider_selection_policy_delegate",
    ),
    "RunOptions": ("add_active_adapter", "add_run_config_entry"),
}

# Functions that change state of the whole process, which each of the two libraries has.
PROCESS_WIDE = (
    "disable_telemetry_events",
    "enable_telemetry_events",
    "register_execution_provider_library",
    "set_default_logger_severity",
    "set_default_logger_verbosity",
    "set_global_thread_pool_sizes",
    "set_seed",
    "unregister_execution_provider_library",
)

_lock = RLock()
_patches = 0  # patches in effect; guarded by the lock
_changes: list[tuple[object, str, object]] = []  # (object, attribute, original value)
_factories: dict[type, Callable[..., object]] = {}  # make the instances of a class while patched
_redirected: set[type] = set()

# onnxruntime's options point into the values that they were given: these live as long as they do.
_lent: "WeakKeyDictionary[object, list[tuple[object, ...]]]" = WeakKeyDictionary()


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


def patch_onnxruntime() -> Patch:
    """Replace ``onnxruntime.InferenceSession`` by `ortmmap.Session`, in other people's code too.

    Sessions created from now on are ortmmap's, by whatever name the class was imported before or
    after, and so are those of subclasses defined from now on. ``OrtValue``, ``IOBinding`` and
    ``SparseTensor`` are replaced alike. Existing sessions do not change. Patches may be nested.

    Returns
    -------
    Patch
        A context manager with a method ``undo()``.

    Raises
    ------
    ImportError
        If onnxruntime is not installed.

    Notes
    -----
    Values made while the patch is in effect work with ortmmap's sessions only. A session of
    onnxruntime's that was created earlier takes numpy arrays, but not these values.
    """
    global _patches
    with _lock:
        if _patches == 0:
            try:
                _apply()
            except BaseException:
                _restore()
                raise
        _patches += 1
    return Patch()


def _apply() -> None:
    onnxruntime = import_module("onnxruntime")
    classes = import_module(CLASSES)
    natives = import_module(foreign_options.MODULE)
    session = _session_class(classes.InferenceSession)
    _redirect(classes.InferenceSession, lambda *_args, **_kwargs: session.__new__(session))
    _change(onnxruntime, "InferenceSession", session)
    _patch_binding(onnxruntime, classes)
    _patch_values(onnxruntime, classes)
    for name, methods in RECORDED.items():
        _record(getattr(natives, name), methods)
    _forward_terminate(natives.RunOptions)
    for name in PROCESS_WIDE:
        if hasattr(onnxruntime, name):
            _change(onnxruntime, name, _in_both_libraries(name, getattr(onnxruntime, name)))


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


class _StandIn(type):
    """The metaclass of a class in place of another: it counts that one's instances as its own."""

    def __instancecheck__(cls, instance: object) -> bool:
        others = vars(cls).get("_stands_for", ())  # not inherited: a subclass stands for none
        return type.__instancecheck__(cls, instance) or isinstance(instance, others)

    def __subclasscheck__(cls, subclass: type) -> bool:
        others = vars(cls).get("_stands_for", ())
        return type.__subclasscheck__(cls, subclass) or issubclass(subclass, others)


def _session_class(theirs: Any) -> Any:
    """Make a class of both packages' sessions, whose methods are ortmmap's."""

    def __init__(self: Any, path_or_bytes: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        super(made, self).__init__(path_or_bytes, *args, **kwargs)
        is_path = isinstance(path_or_bytes, (str, os.PathLike))
        self._model_path = os.fspath(path_or_bytes) if is_path else None  # other packages read it

    namespace = {
        "__module__": "onnxruntime",
        "__doc__": Session.__doc__,
        "__init__": functools.wraps(theirs.__init__)(__init__),
        "_stands_for": (theirs,),
    }
    made: Any = _StandIn("InferenceSession", (Session, theirs), namespace)
    return made


def _patch_binding(onnxruntime: Any, classes: Any) -> None:
    """Have ``IOBinding(session)`` make ortmmap's binding if the session is ortmmap's."""

    def factory(session: object) -> object:
        return ortmmap.IOBinding(session) if isinstance(session, Session) else None

    _redirect(classes.IOBinding, factory)
    stand_in = _install_stand_in(onnxruntime, "IOBinding", classes.IOBinding, ortmmap.IOBinding)
    _factories[stand_in] = factory


def _patch_values(onnxruntime: Any, classes: Any) -> None:
    """Have the static factories of values make ortmmap's."""
    for name in ("OrtValue", "SparseTensor"):
        ours, theirs = getattr(ortmmap, name), getattr(classes, name)
        for factory, value in list(vars(theirs).items()):
            if isinstance(value, (classmethod, staticmethod)) and hasattr(ours, factory):
                _change(theirs, factory, staticmethod(getattr(ours, factory)))
        _install_stand_in(onnxruntime, name, theirs, ours)
    if hasattr(onnxruntime, "copy_tensors"):
        _change(onnxruntime, "copy_tensors", _copy_tensors(onnxruntime.copy_tensors))


def _install_stand_in(onnxruntime: Any, name: str, theirs: type, ours: type) -> type:
    """Replace onnxruntime's class by a subclass that counts instances of both as its own."""
    namespace = {
        "__module__": "onnxruntime",
        "__doc__": theirs.__doc__,
        "_stands_for": (theirs, ours),
    }
    stand_in = _StandIn(name, (theirs,), namespace)
    _change(onnxruntime, name, stand_in)
    return stand_in


def _copy_tensors(theirs: Callable[..., None]) -> Callable[..., None]:
    def copy_tensors(src: Any, dst: Any, stream: object = None) -> None:
        if any(isinstance(value, ortmmap.OrtValue) for value in dst):
            return ortmmap.copy_tensors(src, dst, stream)
        return theirs(src, dst, stream)

    return copy_tensors


def _record(cls: Any, methods: tuple[str, ...]) -> None:
    """Record calls of `methods`, and the objects that are created."""
    for name in methods:
        if hasattr(cls, name):
            _change(cls, name, _recording(name, getattr(cls, name)))
    initialize = cls.__init__

    def __init__(self: object, *args: object, **kwargs: object) -> None:  # noqa: N807
        initialize(self, *args, **kwargs)
        foreign_options.created.add(self)

    _change(cls, "__init__", __init__)


def _recording(name: str, method: Callable[..., object]) -> Callable[..., object]:
    def call(options: object, *args: object) -> object:
        theirs = tuple(_to_onnxruntime(argument) for argument in args)
        result = method(options, *theirs)
        foreign_options.recorded.setdefault(options, []).append((name, args))
        _lent.setdefault(options, []).append(theirs)
        return result

    call.__name__, call.__doc__ = name, method.__doc__
    return call


def _to_onnxruntime(argument: object) -> object:
    """Convert ortmmap's values in an argument to onnxruntime's."""
    if isinstance(argument, list):
        return [_to_onnxruntime(item) for item in argument]
    if not isinstance(argument, ortmmap.OrtValue):
        return argument
    natives = import_module(foreign_options.MODULE)
    cpu = natives.OrtDevice(natives.OrtDevice.cpu(), natives.OrtDevice.default_memory(), 0)
    value = natives.OrtValue.ortvalue_from_numpy(argument.numpy(), cpu)
    return import_module(CLASSES).OrtValue(value)


def _forward_terminate(cls: Any) -> None:
    """Have ``terminate`` reach the RunOptions that were made from onnxruntime's."""
    theirs = vars(cls)["terminate"]

    def set_terminate(options: object, value: bool) -> None:
        theirs.fset(options, value)
        ours = foreign_options.run_options.get(options)
        if ours is not None:
            ours.terminate = value

    _change(cls, "terminate", property(theirs.fget, set_terminate, doc=theirs.__doc__))


def _in_both_libraries(name: str, theirs: Callable[..., object]) -> Callable[..., object]:
    def call(*args: object, **kwargs: object) -> object:
        result = theirs(*args, **kwargs)
        try:
            getattr(ortmmap, name)(*args, **kwargs)
        except NotImplementedError as error:
            warnings.warn(f"onnxruntime.{name} has no effect on ortmmap: {error}", stacklevel=2)
        return result

    call.__name__, call.__doc__ = name, theirs.__doc__
    return call
