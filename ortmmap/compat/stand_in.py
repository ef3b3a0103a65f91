"""Classes in place of onnxruntime's, under the patch.

Where every model is ortmmap's, ``onnxruntime.InferenceSession`` is a class derived from
`ortmmap.InferenceSession` and from onnxruntime's class, made by `mapped_class`.

Where small models stay onnxruntime's, it is a class made by `choosing_class`. Calling it makes a
session of one kind or the other. A subclass learns the model's size only when its ``__init__``
calls the one of this class, so its instances have the layout of ortmmap's sessions from the start,
and the class of an instance is chosen there: the subclass itself, whose methods are onnxruntime's,
or a twin of it, whose methods are ortmmap's.
"""

import functools
import os
import sys
from collections.abc import Callable
from typing import Any

from ortmmap.compat import between
from ortmmap.compat.threshold import model_size

__all__ = ["StandIn", "binding_of", "choosing_class", "mapped_class"]

# Arguments and attributes that ortmmap's sessions have and onnxruntime's do not.
OUR_ARGUMENTS = ("cache", "lock", "prefault")
OUR_ATTRIBUTES = ("cached", "changed", "close", "mapping", "memory", "run_awaitable")


class StandIn(type):
    """The metaclass of a class in place of another: instances of that one count as its own.

    A class has ``_stands_for``, the other classes, each as the class itself or as the names of a
    module and a class. A module that nobody has imported has no instances.
    """

    def __instancecheck__(cls, instance: object) -> bool:
        return type.__instancecheck__(cls, instance) or isinstance(instance, _others(cls))

    def __subclasscheck__(cls, subclass: type) -> bool:
        return type.__subclasscheck__(cls, subclass) or issubclass(subclass, _others(cls))


def _others(cls: type) -> tuple[type, ...]:
    found = []
    for other in vars(cls).get("_stands_for", ()):  # not inherited: a subclass stands for none
        if isinstance(other, type):
            found.append(other)
        elif other[0] in sys.modules:
            found.append(getattr(sys.modules[other[0]], other[1]))
    return tuple(found)


def mapped_class(theirs: Any, our_values: bool) -> Any:
    """Make a class of both packages' sessions, whose methods are ortmmap's.

    Parameters
    ----------
    theirs : type
        onnxruntime's ``InferenceSession``.
    our_values : bool
        Whether its methods return ortmmap's values, not onnxruntime's.
    """
    from ortmmap.inference_session import InferenceSession

    ours = InferenceSession if our_values else _converting_class()

    def __init__(self: Any, path_or_bytes: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        ours.__init__(self, path_or_bytes, *args, **kwargs)
        _set_path(self, path_or_bytes)

    namespace = {
        "__module__": "onnxruntime",
        "__doc__": ours.__doc__,
        "__init__": functools.wraps(theirs.__init__)(__init__),
        "_stands_for": (theirs,),
    }
    return StandIn("InferenceSession", (ours, theirs), namespace)


def _set_path(session: Any, path_or_bytes: Any) -> None:
    is_path = isinstance(path_or_bytes, (str, os.PathLike))
    session._model_path = os.fspath(path_or_bytes) if is_path else None  # other packages read it


def _converting_class() -> Any:
    from ortmmap.compat.converting import ConvertingSession

    return ConvertingSession


class _Choosing(StandIn):
    """The metaclass of the class that chooses, of its subclasses, and of their twins."""

    # Of the class that chooses: functions that make an object, and the class of ortmmap's sessions.
    _choose: Callable[..., Any]
    _mapped: Callable[[], Any]
    # Of a subclass.
    _twin: Any

    def __new__(
        cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **kwargs: Any
    ) -> Any:
        choosing = [base for base in bases if isinstance(base, _Choosing)]
        if choosing and all("_choose" in vars(base) for base in choosing):
            bases = (*bases, _converting_class())  # for the layout of instances; see mro()
        return super().__new__(cls, name, bases, namespace, **kwargs)

    def mro(cls) -> list[type]:
        """Leave ortmmap's classes out; in a twin, put them before onnxruntime's."""
        order = super().mro()
        if not any("_choose" in vars(base) for base in order[1:]):
            return order
        ours = [base for base in _converting_class().__mro__ if base is not object]
        rest = [base for base in order if base not in ours]
        if "_twin_of" not in vars(cls):
            return rest
        after = next(i for i, base in enumerate(rest) if "_choose" in vars(base)) + 1
        return [*rest[:after], *ours, *rest[after:]]

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if "_choose" not in vars(cls):
            return super().__call__(*args, **kwargs)
        made = cls._choose(*args, **kwargs)
        type(made).__init__(made, *args, **kwargs)
        return made

    @property
    def _mapped_class(cls) -> Any:
        """The class of instances whose model is ortmmap's."""
        if "_choose" in vars(cls):
            return cls._mapped()
        if "_twin_of" in vars(cls):
            return cls
        if "_twin" not in vars(cls):
            kept = {
                name: vars(cls)[name] for name in ("__doc__", "__module__") if name in vars(cls)
            }
            namespace = {**kept, "__qualname__": cls.__qualname__, "__slots__": (), "_twin_of": cls}
            cls._twin = _Choosing(cls.__name__, (cls,), namespace)
        return vars(cls)["_twin"]

    @property
    def _named_class(cls) -> Any:
        """The class that the name of this one stands for in its module."""
        return vars(cls).get("_twin_of", cls)


def choosing_class(theirs: Any, threshold: int) -> Any:
    """Make a class whose call returns a session of onnxruntime's or of ortmmap's.

    Parameters
    ----------
    theirs : type
        onnxruntime's ``InferenceSession``.
    threshold : int
        Models of fewer bytes are onnxruntime's.
    """

    @functools.cache
    def mapped() -> Any:
        return mapped_class(theirs, our_values=False)

    def choose(*args: Any, **kwargs: Any) -> Any:
        if gains_nothing(threshold, *args, **kwargs):
            return object.__new__(made)
        return mapped().__new__(mapped())

    def __new__(cls: Any, *_args: Any, **_kwargs: Any) -> Any:  # noqa: N807
        if cls is made:
            return object.__new__(cls)
        instance = _converting_class().__new__(cls._mapped_class)
        if instance.__class__ is not cls:
            instance.__class__ = cls
        return instance

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        cls = type(self)
        if isinstance(cls, _Choosing) and cls is not made:
            if "_twin_of" not in vars(cls) and not gains_nothing(threshold, *args, **kwargs):
                self.__class__ = cls = cls._mapped_class
            if "_twin_of" in vars(cls):
                _converting_class().__init__(self, *args, **kwargs)
                _set_path(self, args[0] if args else kwargs["path_or_bytes"])
                return
        theirs.__init__(self, *args, **kwargs)

    def __getattr__(self: Any, name: str) -> Any:  # noqa: N807
        if name in OUR_ATTRIBUTES and not between.is_our("ortmmap._core", "Session", self):
            raise AttributeError(
                f"this session has no {name}: it is onnxruntime's own, since its model is smaller "
                f"than {threshold} bytes. Sessions of every model are ortmmap's with "
                "patch_onnxruntime(threshold=0)",
                name=name,
                obj=self,
            )
        text = f"{type(self).__name__!r} object has no attribute {name!r}"
        raise AttributeError(text, name=name, obj=self)

    namespace = {
        "__module__": "onnxruntime",
        "__doc__": theirs.__doc__,
        "__new__": __new__,
        "__init__": functools.wraps(theirs.__init__)(__init__),
        "__getattr__": __getattr__,
        "_choose": staticmethod(choose),
        "_mapped": staticmethod(mapped),
        "_stands_for": (theirs,),
    }
    made: Any = _Choosing("InferenceSession", (theirs,), namespace)
    return made


def gains_nothing(
    threshold: int, path_or_bytes: Any = "", sess_options: Any = None, *_args: Any, **kwargs: Any
) -> bool:
    """Return whether a session is left to onnxruntime, given the arguments of its class.

    A model that cannot be read is, so that the error is onnxruntime's.
    """
    if kwargs.get("cache") is not None or any(kwargs.get(name) for name in OUR_ARGUMENTS):
        return False
    if type(sess_options).__module__.partition(".")[0] == "ortmmap":
        return False
    if not isinstance(path_or_bytes, (str, os.PathLike, bytes)):
        return not _is_buffer(path_or_bytes)  # onnxruntime takes no other buffer than bytes
    try:
        return model_size(path_or_bytes, sess_options, threshold) < threshold
    except (OSError, ValueError):
        return True


def _is_buffer(model: object) -> bool:
    try:
        memoryview(model).release()  # type: ignore[arg-type]
    except TypeError:
        return False
    return True


def binding_of(session: Any, our_values: bool) -> Any:
    """Make a binding of an ortmmap session; return None if the session is onnxruntime's."""
    if not between.is_our("ortmmap._core", "Session", session):
        return None
    if not our_values:
        from ortmmap.compat.converting import ConvertingBinding

        return ConvertingBinding(session)
    from ortmmap.session.binding import IOBinding

    return IOBinding(session)
