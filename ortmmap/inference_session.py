"""InferenceSession: the class of sessions that programs see, `ortmmap.Session` by its other name.

Programs mock methods of onnxruntime's class and set attributes on it, which an extension type does
not take. This class takes them; its methods are those of the extension type. See
docs/architecture.md for what that costs. Its constructor is Python's, so that wrong arguments raise
the errors that onnxruntime's class raises.

It also has the attributes of sessions that onnxruntime does not document, and that packages read
all the same. They are computed when they are read. They are no data descriptors, so a program may
assign to them as to onnxruntime's, which are attributes of each instance.
"""

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ortmmap._core import Session
from ortmmap.runtime.providers import CPU

if TYPE_CHECKING:
    from typing_extensions import Buffer, Unpack

    from ortmmap._core import _Keywords
    from ortmmap.options import SessionOptions
    from ortmmap.runtime.ep_devices import OrtEpAssignedSubgraph, OrtEpDevice
    from ortmmap.session.allocators import OrtMemoryInfo

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
    _input_epdevices = _Attribute(lambda session: session.get_input_epdevices())
    _input_meminfos = _Attribute(lambda session: session.get_input_memory_infos())
    _inputs_meta = _Attribute(lambda session: session.get_inputs())
    _model_bytes = _Attribute(lambda session: _held(session, bytes))
    _model_meta = _Attribute(lambda session: session.get_modelmeta())
    _model_path = _Attribute(lambda session: _held(session, str))
    _output_meminfos = _Attribute(lambda session: session.get_output_memory_infos())
    _outputs_meta = _Attribute(lambda session: session.get_outputs())
    _overridable_initializers = _Attribute(lambda session: session.get_overridable_initializers())
    _profiling_start_time_ns = _Attribute(lambda session: session.get_profiling_start_time_ns())
    _provider_options = _Attribute(lambda session: session.get_provider_options())
    _providers = _Attribute(lambda session: session.get_providers())
    _read_config_from_model = _Attribute(lambda _: os.environ.get(CONFIG_VARIABLE) == "1")
    _sess = _Attribute(_inner)
    _sess_options = _Attribute(lambda session: session.get_session_options())
    _sess_options_initial = _Attribute(lambda session: session._arguments()["sess_options"])

    def __init__(
        self,
        path_or_bytes: "str | os.PathLike[str] | Buffer",
        sess_options: "SessionOptions | None" = None,
        providers: Sequence[str | tuple[str, dict[Any, Any]]] | None = None,
        provider_options: Sequence[dict[Any, Any]] | None = None,
        *,
        cache: bool | str | os.PathLike[str] | None = None,
        prefault: bool = False,
        lock: bool = False,
        **kwargs: "Unpack[_Keywords]",
    ) -> None:
        super().__init__(
            path_or_bytes,
            sess_options,
            providers,
            provider_options,
            cache=cache,
            prefault=prefault,
            lock=lock,
            **kwargs,
        )

    def get_input_memory_infos(self) -> "list[OrtMemoryInfo]":
        """Return a description of each input's memory."""
        from ortmmap.session.placement import input_memory_infos

        return input_memory_infos(self._opened())

    def get_output_memory_infos(self) -> "list[OrtMemoryInfo]":
        """Return a description of each output's memory."""
        from ortmmap.session.placement import output_memory_infos

        return output_memory_infos(self._opened())

    def get_input_epdevices(self) -> "list[OrtEpDevice | None]":
        """Return the device that each input is used on; None if ONNX Runtime names none."""
        from ortmmap.session.placement import input_ep_devices

        return input_ep_devices(self._opened())

    def get_provider_graph_assignment_info(self) -> "list[OrtEpAssignedSubgraph]":
        """Return the parts of the graph, each with the provider that it was given to.

        The options of the session must have the configuration entry
        ``session.record_ep_graph_assignment_info`` set to ``1``; such a session is opened without
        the cache, since the nodes of an optimized graph are others.

        Raises
        ------
        Fail
            If the options have no such entry.
        NotImplementedError
            If ONNX Runtime is older than 1.24.
        """
        from ortmmap.session.placement import assigned_subgraphs

        return assigned_subgraphs(self._opened())

    def get_tuning_results(self) -> list[dict[str, Any]]:
        """Return the tuning results of the execution providers: the CPU's has none.

        Raises
        ------
        NotImplementedError
            If the session has other providers: the C API has no such function.
        """
        from ortmmap.session.tuning import tuning_results

        return tuning_results(self.get_providers())

    def set_tuning_results(
        self, results: list[dict[str, Any]], *, error_on_invalid: bool = False
    ) -> None:
        """Set tuning results, of which those for the CPU's provider are invalid.

        Parameters
        ----------
        results : list of dict
            Each with the keys ``ep``, ``results`` and ``validators``.
        error_on_invalid : bool, default False
            Raise an error for results that no provider of the session takes, instead of warning.

        Raises
        ------
        OrtError
            If a result is invalid, and `error_on_invalid` is set.
        KeyError
            If a key is missing.
        NotImplementedError
            If a result is of another provider of the session than the CPU's.
        """
        from ortmmap.session.tuning import set_tuning_results

        set_tuning_results(self.get_providers(), results, error_on_invalid)

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
