"""SessionOptions: the attributes and methods of ``onnxruntime.SessionOptions``, recorded.

The object holds plain values; ONNX Runtime's own options are made from them when a session is
created. Changing it afterwards changes no session.
"""

import operator
import os
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from ortmmap.abi.named_number import NamedNumber
from ortmmap.errors import InvalidArgument, OrtError
from ortmmap.runtime.providers import check_available

if TYPE_CHECKING:
    from ortmmap.runtime.ep_devices import OrtExecutionProviderDevicePolicy

__all__ = ["ExecutionMode", "ExecutionOrder", "GraphOptimizationLevel", "SessionOptions"]

_Got = TypeVar("_Got")  # the type of an attribute's value
_Set = TypeVar("_Set")  # the types that may be assigned to it
_Enum = TypeVar("_Enum", bound=IntEnum)

# ONNX Runtime's own bounds for configuration entries (onnxruntime 1.32).
LONGEST_KEY = 1024
LONGEST_VALUE = 8192


class GraphOptimizationLevel(NamedNumber):
    """How far the graph is rewritten when a session is created."""

    ORT_DISABLE_ALL = 0
    ORT_ENABLE_BASIC = 1
    ORT_ENABLE_EXTENDED = 2
    ORT_ENABLE_LAYOUT = 3
    ORT_ENABLE_ALL = 99


class ExecutionMode(NamedNumber):
    """Whether nodes run one after another or independent ones at once."""

    ORT_SEQUENTIAL = 0
    ORT_PARALLEL = 1


class ExecutionOrder(NamedNumber):
    """The order of nodes; the C API has the default only."""

    DEFAULT = 0
    PRIORITY_BASED = 1
    MEMORY_EFFICIENT = 2


def _flag(value: bool) -> bool:
    if isinstance(value, (str, bytes)) or value not in (True, False):
        raise TypeError(f"expected True or False, not {value!r}")
    return bool(value)


def _text(value: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected a str, not {type(value).__name__}")
    return value


def _path(value: str | bytes | os.PathLike[str]) -> str:
    return os.fsdecode(value)


def _ort_value(value: object) -> object:
    from ortmmap.values.ort_value import OrtValue

    if isinstance(value, OrtValue):
        if not value.has_value():
            raise TypeError("the OrtValue holds no value")
        return value
    if not hasattr(value, "numpy"):
        raise TypeError(f"expected an OrtValue, not {type(value).__name__}")
    return OrtValue.ortvalue_from_numpy(value.numpy())  # onnxruntime's


def _member(enum: type[_Enum]) -> Callable[[_Enum | int], _Enum]:
    """Accept a member of `enum`, of onnxruntime's enum of that name, or its number."""
    return lambda value: enum(operator.index(getattr(value, "value", value)))


def _only(allowed: _Got, convert: Callable[[_Set], _Got]) -> Callable[[_Set], _Got]:
    """Refuse what onnxruntime's Python module can set and the C API cannot."""

    def check(value: _Set) -> _Got:
        converted = convert(value)
        if converted != allowed:
            raise NotImplementedError(
                f"ONNX Runtime's C API cannot set this option: only {allowed!r} is possible, "
                f"not {converted!r}"
            )
        return converted

    return check


class _Option(Generic[_Set, _Got]):
    """An attribute of SessionOptions: its default, and what a value is converted by."""

    def __init__(self, default: _Got, convert: Callable[[_Set], _Got], doc: str) -> None:
        self.default = default
        self.convert = convert
        self.__doc__ = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, options: None, owner: type) -> "_Option[_Set, _Got]": ...
    @overload
    def __get__(self, options: "SessionOptions", owner: type) -> _Got: ...
    def __get__(self, options: "SessionOptions | None", owner: type) -> Any:
        return self if options is None else options._values.get(self.name, self.default)

    def __set__(self, options: "SessionOptions", value: _Set) -> None:
        try:
            options._values[self.name] = self.convert(value)
        except (NotImplementedError, TypeError, ValueError) as error:
            raise type(error)(f"SessionOptions.{self.name}: {error}") from None


class SessionOptions:
    """What a session is created with: the names and defaults of ``onnxruntime.SessionOptions``."""

    __slots__ = (
        "__weakref__",
        "_config",
        "_creating",
        "_custom_ops",
        "_external_files",
        "_external_initializers",
        "_free_dimensions",
        "_initializers",
        "_load_cancelled",
        "_provider_devices",
        "_providers",
        "_selection_delegate",
        "_selection_policy",
        "_values",
    )

    enable_cpu_mem_arena = _Option(True, _flag, "Keep freed memory in an arena. Default True.")
    enable_mem_pattern = _Option(
        True, _flag, "Allocate a run's memory as earlier runs of its shapes did. Default True."
    )
    enable_mem_reuse = _Option(
        True, _only(True, _flag), "Reuse the memory of values no longer needed. Always True."
    )
    enable_profiling = _Option(False, _flag, "Write a profile. Default False.")
    execution_mode = _Option(
        ExecutionMode.ORT_SEQUENTIAL, _member(ExecutionMode), "An `ExecutionMode`."
    )
    execution_order = _Option(
        ExecutionOrder.DEFAULT,
        _only(ExecutionOrder.DEFAULT, _member(ExecutionOrder)),
        "An `ExecutionOrder`. Always the default.",
    )
    graph_optimization_level = _Option(
        GraphOptimizationLevel.ORT_ENABLE_ALL,
        _member(GraphOptimizationLevel),
        "A `GraphOptimizationLevel`. Default ORT_ENABLE_ALL.",
    )
    inter_op_num_threads = _Option(
        0, operator.index, "Threads across nodes (ORT_PARALLEL); 0: ONNX Runtime chooses."
    )
    intra_op_num_threads = _Option(
        0, operator.index, "Threads within a node; 0: ONNX Runtime chooses."
    )
    log_severity_level = _Option(
        -1, operator.index, "0 verbose, 1 info, 2 warning, 3 error, 4 fatal; -1: the default."
    )
    log_verbosity_level = _Option(0, operator.index, "Level of verbose texts. Default 0.")
    logid = _Option("", _text, "The name of the session in log texts.")
    optimized_model_filepath = _Option(
        "", _path, "The file that the optimized model is saved to; empty: it is not saved."
    )
    profile_file_prefix = _Option(
        "onnxruntime_profile_", _path, "What the name of the profile's file begins with."
    )
    use_deterministic_compute = _Option(False, _flag, "Prefer deterministic kernels.")
    use_per_session_threads = _Option(
        True, _flag, "Threads of the session's own, not the process's. Default True."
    )

    def __init__(self) -> None:
        self._values: dict[str, object] = {}
        self._config: dict[str, str] = {}
        self._free_dimensions: list[tuple[str, str, int]] = []
        self._custom_ops: list[str] = []
        self._initializers: dict[str, object] = {}
        self._external_initializers: dict[str, object] = {}
        self._external_files: dict[str, object] = {}
        self._providers: list[tuple[str, dict[str, str]]] = []
        self._provider_devices: dict[str, tuple] = {}  # of those that were added for devices
        self._selection_policy: OrtExecutionProviderDevicePolicy | None = None
        self._selection_delegate: Callable | None = None
        self._load_cancelled = False
        self._creating: set = set()  # ONNX Runtime's options of sessions that are being created

    def add_session_config_entry(self, key: str, value: str) -> None:
        """Set an entry of ``onnxruntime_session_options_config_keys.h``.

        Raises
        ------
        OrtError
            Where the key is empty, or either is longer than ONNX Runtime takes.
        """
        key, value = _text(key), _text(value)
        if not 0 < len(key.encode()) <= LONGEST_KEY:
            raise OrtError(f"Config key is empty or longer than maximum length {LONGEST_KEY}")
        if len(value.encode()) > LONGEST_VALUE:
            raise OrtError(f"Config value is longer than maximum length: {LONGEST_VALUE}")
        self._config[key] = value

    def get_session_config_entry(self, key: str) -> str:
        """Return the value of an entry that was set.

        Raises
        ------
        OrtError
            Where it was not.
        """
        if key not in self._config:
            raise OrtError(f"SessionOptions does not have configuration with key: {key}")
        return self._config[key]

    def add_free_dimension_override_by_name(self, name: str, size: int) -> None:
        """Fix the size of the symbolic dimension `name` of the model's inputs."""
        self._free_dimensions.append(("name", _text(name), operator.index(size)))

    def add_free_dimension_override_by_denotation(self, denotation: str, size: int) -> None:
        """Fix the size of the inputs' dimensions that bear `denotation`."""
        self._free_dimensions.append(("denotation", _text(denotation), operator.index(size)))

    def register_custom_ops_library(self, path: str) -> None:
        """Load a shared library of custom operators when the session is created."""
        self._custom_ops.append(_path(path))

    def add_initializer(self, name: str, ort_value: object) -> None:
        """Give the model's initializer `name` the tensor of an `OrtValue`, which it shares.

        One OrtValue may serve many sessions, which all read the same memory.
        """
        self._initializers[_text(name)] = _ort_value(ort_value)

    def add_external_initializers(self, names: Sequence[str], ort_values: Sequence) -> None:
        """Give initializers that the model keeps in external files the tensors of `OrtValue`."""
        if len(names) != len(ort_values):
            raise ValueError(f"{len(names)} names do not go with {len(ort_values)} values")
        pairs = zip(names, ort_values, strict=True)
        self._external_initializers.update((_text(name), _ort_value(ov)) for name, ov in pairs)

    def add_external_initializers_from_files_in_memory(
        self, names: Sequence[str], buffers: Sequence[bytes], lengths: Sequence[int]
    ) -> None:
        """Give the contents of the model's external files, by the names that the model has.

        The buffers must not change until the session is created.
        """
        if not len(names) == len(buffers) == len(lengths):
            raise ValueError(
                f"{len(names)} names, {len(buffers)} buffers and {len(lengths)} lengths should be "
                "as many"
            )
        for name, buffer, length in zip(names, buffers, lengths, strict=True):
            self._external_files[_text(name)] = memoryview(buffer).cast("B")[:length]

    def add_provider(self, name: str, options: Mapping[str, str] | None = None) -> None:
        """Add an execution provider, for sessions that are not given `providers` themselves.

        Raises
        ------
        InvalidArgument
            Where the library in use does not have it.
        OrtError
            Where there is none of that name.
        """
        check_available(_text(name))
        settings = {str(key): str(value) for key, value in (options or {}).items()}
        self._providers.append((name, settings))

    def add_provider_for_devices(
        self, ep_devices: Sequence[object], provider_options: Mapping[str, str]
    ) -> None:
        """Add the execution provider of some devices, to be used on these.

        Parameters
        ----------
        ep_devices : sequence of OrtEpDevice
            Of one provider, from `get_ep_devices`.
        provider_options : dict of str to str

        Raises
        ------
        InvalidArgument
            Where there are none, or they are of several providers.
        TypeError
            Where an argument is something else.
        """
        from ortmmap.runtime.ep_devices import OrtEpDevice

        if not isinstance(provider_options, Mapping):
            raise TypeError(f"expected a dict of options, not {provider_options!r}")
        devices = tuple(OrtEpDevice.of(device) for device in ep_devices)
        settings = {_text(key): _text(value) for key, value in provider_options.items()}
        if not devices:
            raise InvalidArgument("Must provide one or more OrtEpDevice instances.")
        names = {device.ep_name for device in devices}
        if len(names) > 1:
            raise InvalidArgument(
                f"All OrtEpDevice values in ep_devices must have the same execution provider, "
                f"not {sorted(names)}"
            )
        (name,) = names
        self._providers.append((name, settings))
        self._provider_devices[name] = devices

    def set_provider_selection_policy(self, policy: "OrtExecutionProviderDevicePolicy") -> None:
        """Have ONNX Runtime select execution providers where none are named."""
        from ortmmap.runtime.ep_devices import OrtExecutionProviderDevicePolicy

        self._selection_policy = _member(OrtExecutionProviderDevicePolicy)(policy)
        self._selection_delegate = None

    def set_provider_selection_policy_delegate(self, delegate: Callable) -> None:
        """Have a function select devices where no execution providers are named.

        Parameters
        ----------
        delegate : callable
            ``delegate(ep_devices, model_metadata, runtime_metadata, max_selections)`` returns a
            list of some of `ep_devices`. It is called when a session is created, maybe more than
            once; what it raises is told in a `Fail`.
        """
        if not callable(delegate):
            raise TypeError(f"expected a function, not {delegate!r}")
        self._selection_delegate = delegate

    def has_providers(self) -> bool:
        """Whether execution providers were added, or are to be selected."""
        return bool(self._providers) or self._selects_providers()

    def _selects_providers(self) -> bool:
        """Whether ONNX Runtime, or a function, selects execution providers."""
        return self._selection_policy is not None or self._selection_delegate is not None

    def set_load_cancellation_flag(self, is_cancel: bool) -> None:
        """Have sessions with these options not be created, with a `ModelLoadCanceled`.

        Called from another thread it also ends the creation that is under way.
        """
        self._load_cancelled = _flag(is_cancel)
        for native in list(self._creating):
            native.set_load_cancellation_flag(self._load_cancelled)

    def copy(self) -> "SessionOptions":
        """Return options with the same settings."""
        options = SessionOptions()
        options._values = dict(self._values)
        options._config = dict(self._config)
        options._free_dimensions = list(self._free_dimensions)
        options._custom_ops = list(self._custom_ops)
        options._initializers = dict(self._initializers)
        options._external_initializers = dict(self._external_initializers)
        options._external_files = dict(self._external_files)
        options._providers = list(self._providers)
        options._provider_devices = dict(self._provider_devices)
        options._selection_policy = self._selection_policy
        options._selection_delegate = self._selection_delegate
        options._load_cancelled = self._load_cancelled
        return options

    def __repr__(self) -> str:
        changed = ", ".join(f"{name}={value!r}" for name, value in sorted(self._values.items()))
        return f"<ortmmap.SessionOptions {changed} {self._config}>"
