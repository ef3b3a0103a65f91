"""patch_onnxruntime: onnxruntime's names, made ours for code that we don't own.

``onnxruntime.InferenceSession`` becomes a class that derives from `ortmmap.Session` and from
onnxruntime's class, so that ``isinstance`` and ``except`` answer as before, wherever the name was
imported from and whenever. A subclass that was defined before the patch keeps onnxruntime's
sessions, since its base is fixed; one that is defined afterwards is ours.

onnxruntime's option objects stay what they are; what is set on them is recorded for `compat`.
"""

import functools
import os
import warnings
from _thread import RLock
from collections.abc import Callable
from importlib import import_module
from weakref import WeakKeyDictionary

import ortmmap
from ortmmap._core import Session
from ortmmap.session import foreign_options as compat

__all__ = ["Patch", "patch_onnxruntime"]

CLASSES = "onnxruntime.capi.onnxruntime_inference_collection"  # where they are defined

# Methods whose effect onnxruntime's options objects don't tell.
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

# Functions of onnxruntime's that set something of the process: to be set in both libraries.
FOR_BOTH = (
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
_patches = 0  # how many are in effect; guarded by the lock
_changes: list[tuple[object, str, object]] = []  # (object, attribute, what it was)
_makers: dict[type, Callable] = {}  # what makes the instances of a class meanwhile
_hooked: set[type] = set()
_kept: WeakKeyDictionary = WeakKeyDictionary()  # what onnxruntime's options point to


class Patch:
    """A patch of onnxruntime in effect; `undo` ends it, and so does leaving its ``with`` block."""

    def __init__(self) -> None:
        self._undone = False

    def __enter__(self) -> "Patch":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.undo()

    def undo(self) -> None:
        """Give onnxruntime its names back, once the last patch is undone. Twice is no error."""
        global _patches
        with _lock:
            if self._undone:
                return
            self._undone = True
            _patches -= 1
            if _patches == 0:
                _restore()


def patch_onnxruntime() -> Patch:
    """Make ``onnxruntime.InferenceSession`` ours, in code that we don't own too.

    Sessions that are created from then on are ortmmap's: of names imported before the patch or
    after it, and of subclasses that are defined after it. ``OrtValue``, ``IOBinding`` and
    ``SparseTensor`` follow. Sessions that exist stay what they are. Patching may be nested.

    Returns
    -------
    Patch
        Has an ``undo()``, and is a context manager.

    Raises
    ------
    ImportError
        Where onnxruntime is not installed.

    Notes
    -----
    Values made while the patch is in effect are for ortmmap's sessions; one of onnxruntime's that
    was created earlier takes numpy arrays, and not these.
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
    natives = import_module(compat.MODULE)
    session = _session_class(classes.InferenceSession)
    _hook(classes.InferenceSession, lambda *_args, **_kwargs: session.__new__(session))
    _change(onnxruntime, "InferenceSession", session)
    _apply_bindings(onnxruntime, classes)
    _apply_factories(onnxruntime, classes)
    for name, methods in RECORDED.items():
        _record(getattr(natives, name), methods)
    _follow_terminate(natives.RunOptions)
    for name in FOR_BOTH:
        if hasattr(onnxruntime, name):
            _change(onnxruntime, name, _for_both(name, getattr(onnxruntime, name)))


def _restore() -> None:
    _makers.clear()
    while _changes:
        target, name, before = _changes.pop()
        setattr(target, name, before)


def _change(target: object, name: str, value: object) -> None:
    before = vars(target)[name]  # not what a descriptor makes of it
    setattr(target, name, value)
    _changes.append((target, name, before))


def _hook(cls: type, make: Callable) -> None:
    """Let calling `cls` itself give what `make` makes, if anything, while a patch is in effect.

    The hook stays when the patch is undone, and does nothing: a class that has lost its
    ``__new__`` takes no arguments any more (a quirk of CPython's).
    """
    _makers[cls] = make
    if cls in _hooked:
        return
    _hooked.add(cls)

    def __new__(wanted: type, *args: object, **kwargs: object) -> object:  # noqa: N807
        maker = _makers.get(wanted)
        made = maker and maker(*args, **kwargs)
        return object.__new__(wanted) if made is None else made

    __new__.__wrapped__ = cls.__init__  # whose arguments inspect.signature shall tell
    cls.__new__ = __new__


class _Standing(type):
    """Of a class that stands for another: instances of that one count as its own."""

    def __instancecheck__(cls, instance: object) -> bool:
        others = vars(cls).get("_stands_for", ())  # its own: a class that derives from it has none
        return type.__instancecheck__(cls, instance) or isinstance(instance, others)

    def __subclasscheck__(cls, subclass: type) -> bool:
        others = vars(cls).get("_stands_for", ())
        return type.__subclasscheck__(cls, subclass) or issubclass(subclass, others)


def _session_class(theirs: type) -> type:
    """Make the class that is both ours and onnxruntime's; ours comes first."""

    class InferenceSession(Session, theirs, metaclass=_Standing):
        __doc__ = Session.__doc__
        __module__ = "onnxruntime"
        __qualname__ = "InferenceSession"
        _stands_for = (theirs,)

        @functools.wraps(theirs.__init__)
        def __init__(self, path_or_bytes: object, *args: object, **kwargs: object) -> None:
            super().__init__(path_or_bytes, *args, **kwargs)
            is_path = isinstance(path_or_bytes, (str, os.PathLike))
            self._model_path = os.fspath(path_or_bytes) if is_path else None  # clients read it

    return InferenceSession


def _apply_bindings(onnxruntime: object, classes: object) -> None:
    """Let ``IOBinding(session)`` be ours where the session is."""

    def make(session: object) -> object:
        return ortmmap.IOBinding(session) if isinstance(session, Session) else None

    _hook(classes.IOBinding, make)
    _makers[_stand(onnxruntime, "IOBinding", (classes.IOBinding, ortmmap.IOBinding))] = make


def _apply_factories(onnxruntime: object, classes: object) -> None:
    """Let the static factories of values make ours."""
    for name in ("OrtValue", "SparseTensor"):
        ours, theirs = getattr(ortmmap, name), getattr(classes, name)
        for factory, value in list(vars(theirs).items()):
            if isinstance(value, (classmethod, staticmethod)) and hasattr(ours, factory):
                _change(theirs, factory, staticmethod(getattr(ours, factory)))
        _stand(onnxruntime, name, (theirs, ours))
    if hasattr(onnxruntime, "copy_tensors"):
        _change(onnxruntime, "copy_tensors", _copy_tensors(onnxruntime.copy_tensors))


def _stand(onnxruntime: object, name: str, classes: tuple[type, type]) -> type:
    """Put a class in the place of onnxruntime's that counts instances of ours as its own."""
    theirs = classes[0]
    namespace = {"__module__": "onnxruntime", "__doc__": theirs.__doc__, "_stands_for": classes}
    standing = _Standing(name, (theirs,), namespace)
    _change(onnxruntime, name, standing)
    return standing


def _copy_tensors(theirs: Callable) -> Callable:
    def copy_tensors(src: object, dst: object, stream: object = None) -> None:
        if any(isinstance(value, ortmmap.OrtValue) for value in dst):
            return ortmmap.copy_tensors(src, dst, stream)
        return theirs(src, dst, stream)

    return copy_tensors


def _record(cls: type, methods: tuple[str, ...]) -> None:
    """Note the calls of `methods`, and which objects are created."""
    for name in methods:
        if hasattr(cls, name):
            _change(cls, name, _recording(name, getattr(cls, name)))
    initialize = cls.__init__

    def __init__(self: object, *args: object, **kwargs: object) -> None:  # noqa: N807
        initialize(self, *args, **kwargs)
        compat.created.add(self)

    _change(cls, "__init__", __init__)


def _recording(name: str, method: Callable) -> Callable:
    def call(options: object, *args: object) -> object:
        theirs = tuple(_for_theirs(argument) for argument in args)
        result = method(options, *theirs)
        compat.recorded.setdefault(options, []).append((name, args))
        _kept.setdefault(options, []).append(theirs)  # onnxruntime points into added initializers
        return result

    call.__name__, call.__doc__ = name, method.__doc__
    return call


def _for_theirs(argument: object) -> object:
    """Give onnxruntime's options a value of its own for one of ours."""
    if isinstance(argument, list):
        return [_for_theirs(item) for item in argument]
    if not isinstance(argument, ortmmap.OrtValue):
        return argument
    natives = import_module(compat.MODULE)
    cpu = natives.OrtDevice(natives.OrtDevice.cpu(), natives.OrtDevice.default_memory(), 0)
    value = natives.OrtValue.ortvalue_from_numpy(argument.numpy(), cpu)
    return import_module(CLASSES).OrtValue(value)


def _follow_terminate(cls: type) -> None:
    """Let ``terminate`` reach the RunOptions that was made of onnxruntime's."""
    theirs = vars(cls)["terminate"]

    def set_terminate(options: object, value: bool) -> None:
        theirs.fset(options, value)
        ours = compat.run_options.get(options)
        if ours is not None:
            ours.terminate = value

    _change(cls, "terminate", property(theirs.fget, set_terminate, doc=theirs.__doc__))


def _for_both(name: str, theirs: Callable) -> Callable:
    def call(*args: object, **kwargs: object) -> object:
        result = theirs(*args, **kwargs)
        try:
            getattr(ortmmap, name)(*args, **kwargs)
        except NotImplementedError as error:
            warnings.warn(f"onnxruntime.{name} has no effect on ortmmap: {error}", stacklevel=2)
        return result

    call.__name__, call.__doc__ = name, theirs.__doc__
    return call
