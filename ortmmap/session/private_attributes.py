"""Attributes of sessions that onnxruntime does not document, and that packages read all the same.

`PrivateAttributes` computes them when they are read. They are no data descriptors, so a program may
assign to them as to onnxruntime's, which are attributes of each instance. `InnerSession` stands for
onnxruntime's C++ session, whose methods and arguments differ from those of the Python class.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any

from ortmmap.runtime.providers import CPU

__all__ = ["InnerBinding", "InnerSession", "PrivateAttributes"]

CONFIG_VARIABLE = "ORT_LOAD_CONFIG_FROM_MODEL"


class _Attribute:
    """An attribute that a function of the session computes, unless the instance has its own."""

    def __init__(self, compute: Callable[[Any], Any]) -> None:
        self.compute = compute

    def __get__(self, session: Any, owner: type) -> Any:
        return self if session is None else self.compute(session)


class PrivateAttributes:
    """A mixin of a class derived from ``_core.Session``."""

    __slots__ = ()

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
    _sess = _Attribute(lambda session: InnerSession(session))  # noqa: PLW0108 - defined below
    _sess_options = _Attribute(lambda session: session.get_session_options())
    _sess_options_initial = _Attribute(lambda session: session._arguments()["sess_options"])

    def _validate_input(self: Any, feed_input_names: Sequence[str]) -> None:
        missing = [
            arg.name
            for arg in self.get_inputs()
            if arg.name not in feed_input_names and not arg.type.startswith("optional")
        ]
        if missing:
            raise ValueError(
                f"Required inputs ({missing}) are missing from input feed ({feed_input_names})."
            )


def _held(session: Any, kind: type) -> Any:
    """Return the path or the buffer of the model if it is of that kind, else None."""
    source = session._arguments()["source"]
    return source if isinstance(source, kind) else None


class InnerSession:
    """The methods and attributes of onnxruntime's C++ session, for a session of ortmmap's.

    Attributes that are not listed here are those of the session itself.

    Parameters
    ----------
    session : Session
    """

    __slots__ = ("_session",)

    def __init__(self, session: Any) -> None:
        self._session = session

    def __getattr__(self, name: str) -> Any:
        if name == "_session":  # not set yet
            raise AttributeError(name)
        return getattr(self._session, name)

    @property
    def input_meminfos(self) -> Any:
        """As of `Session.get_input_memory_infos`."""
        return self._session.get_input_memory_infos()

    @property
    def inputs_meta(self) -> Any:
        """As of `Session.get_inputs`."""
        return self._session.get_inputs()

    @property
    def model_meta(self) -> Any:
        """As of `Session.get_modelmeta`."""
        return self._session.get_modelmeta()

    @property
    def output_meminfos(self) -> Any:
        """As of `Session.get_output_memory_infos`."""
        return self._session.get_output_memory_infos()

    @property
    def outputs_meta(self) -> Any:
        """As of `Session.get_outputs`."""
        return self._session.get_outputs()

    @property
    def overridable_initializers(self) -> Any:
        """As of `Session.get_overridable_initializers`."""
        return self._session.get_overridable_initializers()

    @property
    def session_options(self) -> Any:
        """As of `Session.get_session_options`."""
        return self._session.get_session_options()

    @property
    def get_profiling_start_time_ns(self) -> Any:
        """As of `Session.get_profiling_start_time_ns`."""
        return self._session.get_profiling_start_time_ns()

    def run_with_ort_values(self, feeds: Any, output_names: Any, run_options: Any = None) -> list:
        """Compute the outputs, each as an `OrtValue`; the arguments are in C++'s order."""
        return self._session.run_with_ort_values(output_names, feeds, run_options)

    def run_with_iobinding(self, iobinding: Any, run_options: Any = None) -> None:
        """Run with a binding, or with the `InnerBinding` of one."""
        binding = iobinding._binding if isinstance(iobinding, InnerBinding) else iobinding
        self._session.run_with_iobinding(binding, run_options)


class InnerBinding:
    """The methods of onnxruntime's C++ binding, for a binding of ortmmap's.

    Parameters
    ----------
    binding : IOBinding
    """

    __slots__ = ("_binding",)

    def __init__(self, binding: Any) -> None:
        self._binding = binding

    def __getattr__(self, name: str) -> Any:
        if name == "_binding":  # not set yet
            raise AttributeError(name)
        return getattr(self._binding, name)

    def bind_input(self, name: str, *value: Any) -> None:
        """Bind an input to an array; or to a device, a type, a shape and an address."""
        if len(value) == 1:
            self._binding.bind_cpu_input(name, value[0])
            return
        device, element_type, shape, address = value
        self._binding.bind_input(name, device, 0, element_type, shape, address)

    def bind_output(self, name: str, device: Any, *memory: Any) -> None:
        """Bind an output to memory that the first run allocates; or to a type, shape, address."""
        if not memory:
            self._binding.bind_output(name, device)
            return
        element_type, shape, address = memory
        self._binding.bind_output(name, device, 0, element_type, shape, address)

    def get_outputs(self) -> Any:
        """Return the outputs of the last run, an `OrtValueVector`."""
        return self._binding.get_outputs_as_ortvaluevector()
