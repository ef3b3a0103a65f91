"""SessionOptions: the attributes and methods of ``onnxruntime.SessionOptions``, recorded.

The native options are made from these plain values when a session is created. Every setting is one
line in the table at the top of `SessionOptions`, which also says how the setting concerns the
cache; a setting without such a mark is part of the cache's key.
"""

import operator
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from ortmmap.errors import InvalidArgument, OrtError, warn_without_effect
from ortmmap.runtime.cancellation import Cancellation
from ortmmap.runtime.named_number import NamedNumber
from ortmmap.runtime.providers import CompiledData, check_available

if TYPE_CHECKING:
    from ortmmap.runtime.ep_devices import OrtExecutionProviderDevicePolicy

__all__ = ["ExecutionMode", "ExecutionOrder", "GraphOptimizationLevel", "SessionOptions"]

_Got = TypeVar("_Got")  # the type of an attribute's value
_Set = TypeVar("_Set")  # the types that may be assigned to it
_Made = TypeVar("_Made")  # list or dict
_Enum = TypeVar("_Enum", bound=IntEnum)

_index = operator.index

# ONNX Runtime's own bounds for configuration entries (onnxruntime 1.32), in bytes.
LONGEST_KEY = 1024
LONGEST_VALUE = 8192


class GraphOptimizationLevel(NamedNumber):
    """How far ONNX Runtime rewrites the graph when a session is created."""

    ORT_DISABLE_ALL = 0
    ORT_ENABLE_BASIC = 1
    ORT_ENABLE_EXTENDED = 2
    ORT_ENABLE_LAYOUT = 3
    ORT_ENABLE_ALL = 99


class ExecutionMode(NamedNumber):
    """Whether independent nodes may run at the same time."""

    ORT_SEQUENTIAL = 0
    ORT_PARALLEL = 1


class ExecutionOrder(NamedNumber):
    """The order in which nodes run; the C API offers the default only."""

    DEFAULT = 0
    PRIORITY_BASED = 1
    MEMORY_EFFICIENT = 2


# How a setting concerns the cache of optimized models and prepacked weights.
KEY = "its value is part of the key of cache entries"
FILES = "its value lists files, whose identities are part of the key"
NO_EFFECT = "it changes neither the optimized graph nor the prepacked weights"
REFUSED = "a session that sets it goes without the cache"

# The same for configuration entries; one that is not listed is part of the key, known or not.
# Numbers of threads have no effect: packed layouts depend on the CPU and on shapes, and threads
# only share the work. ortmmap sets the load format and the use of mapped bytes itself.
CONFIG = {
    "session.collect_node_memory_stats_to_file": NO_EFFECT,
    "session.dynamic_block_base": NO_EFFECT,
    "session.force_spinning_stop": NO_EFFECT,
    "session.inter_op.allow_spinning": NO_EFFECT,
    "session.inter_op.spin_backoff_max": NO_EFFECT,
    "session.inter_op.spin_duration_us": NO_EFFECT,
    "session.intra_op.allow_spinning": NO_EFFECT,
    "session.intra_op.spin_backoff_max": NO_EFFECT,
    "session.intra_op.spin_duration_us": NO_EFFECT,
    "session.intra_op_thread_affinities": NO_EFFECT,
    "session.load_model_format": NO_EFFECT,
    # The key would not name the files in that folder.
    "session.model_external_initializers_file_folder_path": REFUSED,
    "session.prepack.enable_parallel": NO_EFFECT,
    "session.record_ep_graph_assignment_info": REFUSED,  # nodes of an optimized graph are others
    "session.use_env_allocators": NO_EFFECT,
    "session.use_memory_mapped_ort_model": NO_EFFECT,
    "session.use_ort_model_bytes_directly": NO_EFFECT,
    "session.use_ort_model_bytes_for_initializers": NO_EFFECT,
}


def _flag(value: bool) -> bool:
    if isinstance(value, (str, bytes)) or value not in (True, False):
        raise TypeError(f"expected True or False, not {value!r}")
    return bool(value)


def _text(value: str, what: str = "the name") -> str:
    if not isinstance(value, str):
        raise TypeError(f"{what} should be a str, not {type(value).__name__}")
    return value


def _path(value: str | bytes | os.PathLike[str]) -> str:
    return os.fsdecode(value)


def _ort_value(value: Any) -> Any:
    """Check for an OrtValue, ours or onnxruntime's, by its methods; neither class is imported."""
    if not all(hasattr(value, method) for method in ("has_value", "is_tensor", "numpy")):
        raise TypeError(f"expected an OrtValue, not {type(value).__name__}")
    if not value.has_value():
        raise TypeError("the OrtValue holds no value")
    return value


def _member(enum: type[_Enum]) -> Callable[[_Enum | int], _Enum]:
    """Accept a member of `enum`, of onnxruntime's enum of that name, or its number."""
    return lambda value: enum(operator.index(getattr(value, "value", value)))


def _policy(value: Any) -> Any:
    from ortmmap.runtime.ep_devices import OrtExecutionProviderDevicePolicy

    return _member(OrtExecutionProviderDevicePolicy)(value)


class _Setting:
    """A line of the table of settings; `in_cache` is KEY, FILES, NO_EFFECT or REFUSED."""

    def __init__(self, default: Any, in_cache: str) -> None:
        self.default = default
        self.in_cache = in_cache

    def __set_name__(self, owner: type["SessionOptions"], name: str) -> None:
        self.name = name
        if "_table" not in vars(owner):
            owner._table = dict(getattr(owner, "_table", {}))
            owner._defaults = dict(getattr(owner, "_defaults", {}))
        owner._table[name], owner._defaults[name] = self, self.default


class _Option(_Setting, Generic[_Set, _Got]):
    """An attribute: its default, and the function that checks and converts a value."""

    def __init__(
        self,
        default: _Got,
        convert: Callable[[_Set], _Got],
        doc: str,
        in_cache: str = KEY,
        is_settable: bool = True,
    ) -> None:
        super().__init__(default, in_cache)
        self.convert = convert
        self.is_settable = is_settable
        self.__doc__ = doc

    @overload
    def __get__(self, options: None, owner: type) -> "_Option[_Set, _Got]": ...
    @overload
    def __get__(self, options: "SessionOptions", owner: type) -> _Got: ...
    def __get__(self, options: "SessionOptions | None", owner: type) -> Any:
        return self if options is None else options._values.get(self.name, self.default)

    def __set__(self, options: "SessionOptions", value: _Set) -> None:
        if not self.assign(options, value):
            warn_without_effect(f"SessionOptions.{self.name}", value)

    def assign(self, options: "SessionOptions", value: _Set) -> bool:
        """Keep a value; return whether it has an effect, without a warning if it has none."""
        try:
            converted = options._values[self.name] = self.convert(value)
        except (TypeError, ValueError) as error:
            raise type(error)(f"SessionOptions.{self.name}: {error}") from None
        return self.is_settable or converted == self.default


class _Record(_Setting, Generic[_Made]):
    """A list or dict that methods add to."""

    def __init__(self, make: type[_Made], in_cache: str = KEY) -> None:
        super().__init__(make(), in_cache)
        self.make = make

    @overload
    def __get__(self, options: None, owner: type) -> "_Record[_Made]": ...
    @overload
    def __get__(self, options: "SessionOptions", owner: type) -> _Made: ...
    def __get__(self, options: "SessionOptions | None", owner: type) -> Any:
        return self if options is None else options._values.setdefault(self.name, self.make())


class SessionOptions(CompiledData):
    """Options of a session: the names and defaults of ``onnxruntime.SessionOptions``.

    One object serves any number of sessions. It can be copied and pickled, and every setting can
    be read back.

    Examples
    --------
    >>> options = ortmmap.SessionOptions()
    >>> options.intra_op_num_threads = 4
    >>> options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    >>> session = ortmmap.Session("model.onnx", options)
    """

    __slots__ = ("__weakref__", "_cancellation", "_values")
    _table: dict[str, _Setting]
    _defaults: dict[str, Any]

    enable_cpu_mem_arena = _Option(
        True, _flag, "Keep freed memory in an arena. Default True.", NO_EFFECT
    )
    enable_mem_pattern = _Option(
        True, _flag, "Allocate a run's memory as an earlier run of its shapes did.", NO_EFFECT
    )
    enable_mem_reuse = _Option(
        True, _flag, "Always True in effect: the C API cannot set it.", NO_EFFECT, False
    )
    enable_profiling = _Option(False, _flag, "Write a profile. Default False.", NO_EFFECT)
    execution_mode = _Option(
        ExecutionMode.ORT_SEQUENTIAL, _member(ExecutionMode), "An `ExecutionMode`."
    )
    execution_order = _Option(
        ExecutionOrder.DEFAULT,
        _member(ExecutionOrder),
        "An `ExecutionOrder`. Always the default in effect: the C API cannot set it.",
        NO_EFFECT,
        False,
    )
    graph_optimization_level = _Option(
        GraphOptimizationLevel.ORT_ENABLE_ALL,
        _member(GraphOptimizationLevel),
        "A `GraphOptimizationLevel`. Default ORT_ENABLE_ALL.",
    )
    inter_op_num_threads = _Option(
        0, _index, "Threads across nodes (ORT_PARALLEL); 0: as `intra_op_num_threads`.", NO_EFFECT
    )
    intra_op_num_threads = _Option(
        0, _index, "Threads within a node; 0: those granted (docs/serving.md).", NO_EFFECT
    )
    log_severity_level = _Option(
        -1, _index, "0 verbose, 1 info, 2 warning, 3 error, 4 fatal; -1: the default.", NO_EFFECT
    )
    log_verbosity_level = _Option(0, _index, "Detail of verbose messages. Default 0.", NO_EFFECT)
    logid = _Option("", _text, "The session's name in log messages.", NO_EFFECT)
    optimized_model_filepath = _Option(
        "", _path, "The file to save the optimized model to; empty: it is not saved.", REFUSED
    )
    profile_file_prefix = _Option(
        "onnxruntime_profile_", _path, "The beginning of the profile's file name.", NO_EFFECT
    )
    use_deterministic_compute = _Option(
        False, _flag, "Prefer deterministic kernels. Default False."
    )
    use_per_session_threads = _Option(
        True, _flag, "Threads of the session's own, not the process's. Default True.", NO_EFFECT
    )

    _config = _Record(dict)  # key to value; `CONFIG` lists the exceptions
    _custom_ops = _Record(list, FILES)
    _external_files = _Record(dict, REFUSED)  # name to memoryview
    _external_initializers = _Record(dict, REFUSED)  # name to OrtValue
    _free_dimensions = _Record(list)  # ("name" or "denotation", text, size)
    _initializers = _Record(dict, REFUSED)  # name to OrtValue
    _provider_devices = _Record(dict)  # name to the OrtEpDevices that the provider was added for
    _providers = _Record(list, NO_EFFECT)  # the key has those of the session, wherever named
    # Providers that are selected may be others on another machine.
    _selection_delegate: _Option[Any, Any] = _Option(None, lambda value: value, "", REFUSED)
    _selection_policy = _Option(None, _policy, "", REFUSED)

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}  # by name; without those never set, or read
        self._cancellation = Cancellation()

    def _changed(self) -> Iterator[tuple[str, str, Any]]:
        """Iterate over the settings that are not the default: name, `in_cache` and value."""
        for name, setting in self._table.items():
            value = self._values.get(name, setting.default)
            if value != setting.default:
                yield name, setting.in_cache, value

    def _is_cacheable(self) -> bool:
        """Whether the cache's key would cover everything that a session is made from."""
        return (
            not any(in_cache is REFUSED for _, in_cache, _ in self._changed())
            and not any(CONFIG.get(key) is REFUSED for key in self._config)
            and all(map(has_identity, self._custom_ops))
        )

    def add_session_config_entry(self, key: str, value: str) -> None:
        """Set an entry of ``onnxruntime_session_options_config_keys.h``.

        Raises
        ------
        OrtError
            If the key is empty or longer than 1024 bytes, or the value longer than 8192.
        """
        key, value = _text(key, "the key"), _text(value, f"the value of {key!r}")
        if not 0 < len(key.encode()) <= LONGEST_KEY:
            raise OrtError(f"Config key is empty or longer than maximum length {LONGEST_KEY}")
        if len(value.encode()) > LONGEST_VALUE:
            raise OrtError(f"Config value is longer than maximum length: {LONGEST_VALUE}")
        self._config[key] = value

    def get_session_config_entry(self, key: str) -> str:
        """Return the value of a configuration entry.

        Raises
        ------
        OrtError
            If the entry was not set.
        """
        if key not in self._config:
            raise OrtError(f"SessionOptions does not have configuration with key: {key}")
        return self._config[key]

    def add_free_dimension_override_by_name(self, name: str, size: int) -> None:
        """Fix the size of the symbolic dimension `name` in the shapes of the model's inputs."""
        self._free_dimensions.append(("name", _text(name), operator.index(size)))

    def add_free_dimension_override_by_denotation(self, denotation: str, size: int) -> None:
        """Fix the size of all dimensions of inputs that are annotated with `denotation`."""
        self._free_dimensions.append(("denotation", _text(denotation), operator.index(size)))

    def register_custom_ops_library(self, path: str) -> None:
        """Load a shared library of custom operators when the session is created.

        The cache is used only if `path` names a file with its folder: for a bare name the system's
        loader decides which file it is.
        """
        self._custom_ops.append(_path(path))

    def add_initializer(self, name: str, ort_value: object) -> None:
        """Replace the model's initializer `name` by a tensor.

        The session uses the tensor's memory in place and keeps it alive, so that many sessions can
        share one. Its elements must not change while a session uses them.

        Parameters
        ----------
        name : str
        ort_value : OrtValue
            A tensor of the initializer's type and shape; onnxruntime's class is accepted too.

        Raises
        ------
        TypeError
            If `ort_value` is not an OrtValue, or holds no value.
        """
        self._initializers[_text(name)] = _ort_value(ort_value)

    def add_external_initializers(self, names: Sequence[str], ort_values: Sequence) -> None:
        """Replace initializers that the model keeps in external files by tensors.

        Parameters
        ----------
        names : sequence of str
        ort_values : sequence of OrtValue
            One for each name, as for `add_initializer`.
        """
        if len(names) != len(ort_values):
            raise ValueError(f"{len(names)} names do not go with {len(ort_values)} values")
        pairs = zip(names, ort_values, strict=True)
        self._external_initializers.update((_text(name), _ort_value(ov)) for name, ov in pairs)

    def add_external_initializers_from_files_in_memory(
        self, names: Sequence[str], buffers: Sequence[bytes], lengths: Sequence[int]
    ) -> None:
        """Supply the contents of the model's external files from memory.

        Parameters
        ----------
        names : sequence of str
            File names, as the model spells them.
        buffers : sequence of buffer
            Their contents, which must not change until the session is created.
        lengths : sequence of int
            Sizes in bytes; a buffer may be longer.
        """
        if not len(names) == len(buffers) == len(lengths):
            raise ValueError(
                f"expected as many names as buffers and lengths, found {len(names)}, "
                f"{len(buffers)} and {len(lengths)}"
            )
        for name, buffer, length in zip(names, buffers, lengths, strict=True):
            self._external_files[_text(name)] = memoryview(buffer).cast("B")[:length]

    def add_provider(self, name: str, options: Mapping[str, str] | None = None) -> None:
        """Add an execution provider, for sessions that are created without `providers`.

        Raises
        ------
        InvalidArgument
            If the library in use was built without the provider.
        OrtError
            If no build of ONNX Runtime has a provider of that name.
        """
        check_available(_text(name))
        settings = {str(key): str(value) for key, value in (options or {}).items()}
        self._providers.append((name, settings))

    def add_provider_for_devices(
        self, ep_devices: Sequence[object], provider_options: Mapping[str, str]
    ) -> None:
        """Add an execution provider for some of its devices.

        Parameters
        ----------
        ep_devices : sequence of OrtEpDevice
            One or more devices of one provider, from `get_ep_devices`.
        provider_options : dict of str to str

        Raises
        ------
        InvalidArgument
            If there are no devices, or the devices belong to several providers.
        TypeError
            If an argument has another type.
        """
        from ortmmap.runtime.ep_devices import OrtEpDevice

        if not isinstance(provider_options, Mapping):
            raise TypeError(f"expected a dict of options, not {provider_options!r}")
        devices = tuple(OrtEpDevice.of(device) for device in ep_devices)
        settings = {_text(key): _text(value, key) for key, value in provider_options.items()}
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
        """Let ONNX Runtime select execution providers for sessions that name none."""
        self._selection_policy = policy
        self._selection_delegate = None

    def set_provider_selection_policy_delegate(self, delegate: Callable) -> None:
        """Let a function select devices for sessions that name no execution providers.

        Parameters
        ----------
        delegate : callable
            ``delegate(ep_devices, model_metadata, runtime_metadata, max_selections)`` returns a
            list of at most `max_selections` of `ep_devices`. It is called at least once for each
            session; an exception that it raises becomes a `Fail` with its text.
        """
        if not callable(delegate):
            raise TypeError(f"expected a function, not {delegate!r}")
        self._selection_delegate = delegate

    def has_providers(self) -> bool:
        """Return whether execution providers were added, or will be selected."""
        return bool(self._providers) or self._selects_providers()

    def _selects_providers(self) -> bool:
        """Whether ONNX Runtime or a function selects execution providers."""
        return self._selection_policy is not None or self._selection_delegate is not None

    def set_load_cancellation_flag(self, is_cancel: bool) -> None:
        """Make the creation of sessions with these options raise `ModelLoadCanceled`.

        It also ends creations that are under way in other threads. False allows creation again.
        """
        self._cancellation.set(_flag(is_cancel))

    def copy(self) -> "SessionOptions":
        """Return options with the same settings, independent of these."""
        options = type(self)()
        options._values = {
            name: value.copy() if isinstance(value, (dict, list)) else value
            for name, value in self._values.items()
        }
        options._cancellation.is_set = self._cancellation.is_set
        return options

    def _snapshot(self) -> "SessionOptions":
        """Return a copy for sessions, whose creation `set_load_cancellation_flag` still reaches."""
        options = self.copy()
        options._cancellation = self._cancellation
        return options

    def __repr__(self) -> str:
        values = sorted(self._values.items())
        changed = ", ".join(f"{name}={value!r}" for name, value in values if name[0] != "_")
        return f"<ortmmap.SessionOptions {changed} {self._config}>"


def has_identity(library: str) -> bool:
    """Return whether a path names the file that the loader opens: it searches for a bare name."""
    return bool(os.path.dirname(library)) and os.path.exists(library)
