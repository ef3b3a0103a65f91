"""InnerSession and InnerBinding: they stand for the C++ objects of onnxruntime's Python classes.

Packages read these from private attributes of onnxruntime's sessions and bindings. Their methods
and arguments differ from those of the Python classes.
"""

from typing import Any

__all__ = ["InnerBinding", "InnerSession"]


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
    def input_epdevices(self) -> Any:
        """As of `Session.get_input_epdevices`."""
        return self._session.get_input_epdevices()

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

    def run_with_ort_values(self, feeds: Any, output_names: Any, run_options: Any = None) -> Any:
        """Compute the outputs, an `OrtValueVector`; the arguments are in C++'s order."""
        from ortmmap.values.ort_value_vector import OrtValueVector

        found = self._session.run_with_ort_values(output_names, feeds, run_options)
        return OrtValueVector(found)

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
