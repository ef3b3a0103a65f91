"""InferenceSession: the class of sessions that programs see, `ortmmap.Session` by its other name.

Programs mock methods of onnxruntime's class and set attributes on it, which an extension type does
not take. This class takes them; its methods are those of the extension type. See
docs/architecture.md for what that costs.

It also has the attributes of sessions that onnxruntime does not document, and that packages read
all the same. They are computed when they are read. They are no data descriptors, so a program may
assign to them as to onnxruntime's, which are attributes of each instance.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any

from ortmmap._core import Session
from ortmmap.runtime.providers import CPU

__all__ = ["InferenceSession"]

CONFIG_VARIABLE = "ORT_LOAD_CONFIG_FROM_MODEL"


class _Attribute:
    """An attribute that a function of the session computes, unless the instance has its own."""

    def __init__(self, compute: Callable[[Any], Any]) -> None:
        self.compute = compute

    def __get__(self, session: Any, owner: type) -> Any:
        return self if session is None else self.compute(session)


def _held(session: Any, kind: type) -> Any:
    """Return the path or the buffer of the model if it is of that kind, else None."""
    source = session._arguments()["source"]
    return source if isinstance(source, kind) else None


def _inner(session: Any) -> Any:
    from ortmmap.session.inner_session import InnerSession

    return InnerSession(session)


class InferenceSession(Session):  # noqa: D101 - the docstring is that class's
    __slots__ = ()
    __module__ = "ortmmap"
    __doc__ = Session.__doc__

    _enable_fallback = _Attribute(lambda session: session._arguments()["enable_fallback"])
    _fallback_providers = _Attribute(lambda _: [CPU])
    _inputs_meta = _Attribute(lambda session: session.get_inputs())
    _model_bytes = _Attribute(lambda session: _held(session, bytes))
    _model_meta = _Attribute(lambda session: session.get_modelmeta())
    _model_path = _Attribute(lambda session: _held(session, str))
    _outputs_meta = _Attribute(lambda session: session.get_outputs())
    _overridable_initializers = _Attribute(lambda session: session.get_overridable_initializers())
    _profiling_start_time_ns = _Attribute(lambda session: session.get_profiling_start_time_ns())
    _provider_options = _Attribute(lambda session: session.get_provider_options())
    _providers = _Attribute(lambda session: session.get_providers())
    _read_config_from_model = _Attribute(lambda _: os.environ.get(CONFIG_VARIABLE) == "1")
    _sess = _Attribute(_inner)
    _sess_options = _Attribute(lambda session: session.get_session_options())
    _sess_options_initial = _Attribute(lambda session: session._arguments()["sess_options"])

    def _validate_input(self, feed_input_names: Sequence[str]) -> None:
        missing = [
            arg.name
            for arg in self.get_inputs()
            if arg.name not in feed_input_names and not arg.type.startswith("optional")
        ]
        if missing:
            raise ValueError(
                f"Required inputs ({missing}) are missing from input feed ({feed_input_names})."
            )
