"""onnxruntime's own options objects, converted to ortmmap's.

Attributes of ``onnxruntime.SessionOptions`` and ``onnxruntime.RunOptions`` can be read back, and so
can a configuration entry whose key is known (`config_keys` lists them). Free dimension overrides,
added initializers, libraries of custom operators, adapters and added providers cannot. The calls
that set these are recorded while `patch_onnxruntime` is in effect, and repeated on ortmmap's
options. Without the patch they are lost, with a warning if the loss can be noticed.

onnxruntime is never imported here: its classes are recognized by their names.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from ortmmap.abi.config_keys import RUN_CONFIG_KEYS, SESSION_CONFIG_KEYS
from ortmmap.errors import warn_caller, warn_without_effect
from ortmmap.options import SessionOptions
from ortmmap.session import recorded
from ortmmap.session.native_options import RunOptions

__all__ = ["run_options_from", "session_options_from"]

SESSION_ATTRIBUTES = tuple(
    name
    for name, setting in vars(SessionOptions).items()
    if hasattr(setting, "convert") and not name.startswith("_")
)
RUN_ATTRIBUTES = (
    "log_severity_level",
    "log_verbosity_level",
    "logid",
    "only_execute_path_to_fetches",
    "terminate",
)


def session_options_from(options: Any) -> SessionOptions:
    """Return `options` itself, or a `SessionOptions` with the settings of onnxruntime's.

    Parameters
    ----------
    options : SessionOptions, onnxruntime.SessionOptions or None
        None stands for the defaults.

    Raises
    ------
    TypeError
        If `options` is an object of another kind.
    NotImplementedError
        If a recorded call has no counterpart in ortmmap.

    Warns
    -----
    UserWarning
        If a setting cannot be read back, or cannot be made through the C API.
    """
    if options is None:
        return SessionOptions()
    if isinstance(options, SessionOptions):
        return options
    if not recorded.is_theirs(options, "SessionOptions"):
        raise TypeError(f"sess_options should be a SessionOptions, not {type(options).__name__}")
    ours = SessionOptions()
    _copy_attributes(options, ours, SESSION_ATTRIBUTES)
    if options not in recorded.created:
        entries = _read_entries(SESSION_CONFIG_KEYS, options.get_session_config_entry)
        for key, value in entries.items():
            ours.add_session_config_entry(key, value)
        if options.has_providers():
            warn_caller(
                "the providers added to onnxruntime.SessionOptions cannot be read: not used"
            )
    _repeat(recorded.calls.get(options, []), ours)
    return ours


def run_options_from(options: Any) -> RunOptions | None:
    """Return `options` itself, or a `RunOptions` with the settings of onnxruntime's.

    While `patch_onnxruntime` is in effect the conversion takes 5 µs, and setting ``terminate`` on
    onnxruntime's object ends a run under way. Without the patch it takes 0.3 ms, and setting
    ``terminate`` affects later runs only.

    Parameters
    ----------
    options : RunOptions, onnxruntime.RunOptions or None

    Raises
    ------
    TypeError
        If `options` is an object of another kind.
    NotImplementedError
        If a recorded call has no counterpart in ortmmap.

    Warns
    -----
    UserWarning
        If a setting cannot be made through the C API.
    """
    if options is None or isinstance(options, RunOptions):
        return options
    if not recorded.is_theirs(options, "RunOptions"):
        raise TypeError(f"run_options should be a RunOptions, not {type(options).__name__}")
    ours = recorded.run_options.get(options)
    if ours is None:
        ours = recorded.run_options[options] = RunOptions()
    _copy_attributes(options, ours, RUN_ATTRIBUTES)
    if options not in recorded.created:
        entries = _read_entries(RUN_CONFIG_KEYS, options.get_run_config_entry)
        known = _read_entries(entries, ours.get_run_config_entry)
        for key, value in entries.items() - known.items():
            ours.add_run_config_entry(key, value)
    calls = recorded.calls.get(options, [])
    _repeat(calls[recorded.repeated.get(options, 0) :], ours)
    recorded.repeated[options] = len(calls)
    return ours


def _copy_attributes(theirs: object, ours: Any, names: tuple[str, ...]) -> None:
    for name in names:
        value = getattr(theirs, name)
        value = getattr(value, "value", value)  # an enum's number
        if value == getattr(ours, name):
            continue
        if not _assign(ours, name, value):
            warn_without_effect(f"{type(ours).__name__}.{name}", value)


def _assign(ours: Any, name: str, value: object) -> bool:
    """Set an attribute of ortmmap's options; return whether it has an effect."""
    if isinstance(ours, SessionOptions):
        option: Any = ours._table[name]
        return option.assign(ours, value)
    if name == "only_execute_path_to_fetches":
        ours._assign_only_to_fetches(value)
        return not value
    setattr(ours, name, value)
    return True


def _read_entries(keys: Iterable[str], get: Callable[[str], str]) -> dict[str, str]:
    entries = {}
    for key in keys:
        with suppress(RuntimeError):  # the entry is not set
            entries[key] = get(key)
    return entries


def _repeat(calls: list[tuple[str, tuple[object, ...]]], ours: object) -> None:
    """Make recorded calls on ortmmap's options."""
    for name, arguments in calls:
        method = getattr(ours, name, None)
        if method is None:
            cls = type(ours).__name__
            raise NotImplementedError(f"ortmmap has nothing for onnxruntime.{cls}.{name}")
        method(*arguments)
