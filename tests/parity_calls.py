"""Calls of every method with every kind of bad argument, and their outcomes.

    parity_calls.py MODULE [FIRST]      one line of JSON for each call, from the FIRST one on

Each argument of each method is replaced by each kind of value in turn. A call's name is printed
before the call, because onnxruntime may end the process in it.
"""

import importlib
import json
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from copy import deepcopy
from types import ModuleType, SimpleNamespace

import models
import numpy as np
import parity_values

MODEL = models.affine()
X = np.ones((2, 8), "f4")

BAD = {
    "None": None,
    "True": True,
    "5": 5,
    "-1": -1,
    "2**70": 2**70,
    "2.5": 2.5,
    "empty str": "",
    "str": "nothing",
    "null str": "a\0b",
    "bytes": b"nothing",
    "empty list": [],
    "list of int": [5],
    "list of str": ["nothing"],
    "nested list": [[1.0], [2.0, 3.0]],
    "empty dict": {},
    "dict": {"nothing": 5},
    "object": object(),
    "array": np.ones(3, "i8"),
    "wrong type": X.astype("f8"),
    "wrong rank": X[0],
    "wrong shape": X[:, :3],
    "text array": np.array(["a"]),
}


# Calls that are not made with onnxruntime: its process dies, its callback is never called, or its
# session never ends (1.23, after a callback that raises). ortmmap must survive them.
UNSAFE = re.compile(
    r"add_(run|session)_config_entry\((key|value)=None\)"
    r"|OrtValueVector\.push_back\(value=.*"
    r"|run_async\(callback=None\)|run_async, callback .*"
    r"|run_with_ortvaluevector\(fetch_devices=empty list\)"
)


def make(module: ModuleType) -> SimpleNamespace:
    """Make the objects that the methods are called on, and good arguments."""
    options = module.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    session = module.InferenceSession(MODEL, options, enable_fallback=0)
    options.intra_op_num_threads = 2
    threads = module.InferenceSession(MODEL, options, enable_fallback=0)
    options.intra_op_num_threads = 1
    quiet = module.RunOptions()
    quiet.log_severity_level = 4
    return SimpleNamespace(
        module=module,
        session=session,
        threads=threads,
        device=module.OrtDevice.make("cpu", 0),
        options=options,
        quiet=quiet,
        value=module.OrtValue.ortvalue_from_numpy(X),
        name=session.get_inputs()[0].name,
        output=session.get_outputs()[0].name,
    )


def create(on: SimpleNamespace, *args: object) -> object:
    session = on.module.InferenceSession(*args, enable_fallback=0)
    return [argument.name for argument in session.get_inputs()]


def setting(name: str) -> Callable:
    """Set an attribute of SessionOptions, and read it back."""

    def set_and_get(on: SimpleNamespace, value: object) -> object:
        options = on.module.SessionOptions()
        setattr(options, name, value)
        return getattr(options, name)

    return set_and_get


def run_setting(name: str) -> Callable:
    def set_and_get(on: SimpleNamespace, value: object) -> object:
        options = on.module.RunOptions()
        setattr(options, name, value)
        return getattr(options, name)

    return set_and_get


def method(target: str, name: str) -> Callable:
    return lambda on, *args: getattr(getattr(on, target), name)(*args)


def binding(name: str) -> Callable:
    """Call a method of a binding in which nothing is bound yet."""
    return lambda on, *args: getattr(on.session.io_binding(), name)(*args)


def type_and_shape(on: SimpleNamespace, *args: object) -> object:
    value = on.module.OrtValue.ortvalue_from_shape_and_type(*args)
    return value.data_type(), value.shape()


def fresh_options(name: str) -> Callable:
    return lambda on, *args: getattr(on.module.SessionOptions(), name)(*args)


def fresh_run_options(name: str) -> Callable:
    return lambda on, *args: getattr(on.module.RunOptions(), name)(*args)


def feed_one(on: SimpleNamespace, value: object) -> object:
    return on.session.run(None, {on.name: value}, on.quiet)


def value_of(name: str) -> Callable:
    return lambda on, *args: getattr(on.module.OrtValue, name)(*args)


# Functions, and makers of good arguments by name. Both take the result of `make` first.
METHODS: dict[str, tuple[Callable, dict[str, Callable]]] = {
    **parity_values.METHODS,
    "InferenceSession": (
        create,
        {
            "path_or_bytes": lambda _: MODEL,
            "sess_options": lambda on: on.options,
            "providers": lambda _: None,
            "provider_options": lambda _: None,
        },
    ),
    "run": (
        method("session", "run"),
        {
            "output_names": lambda on: [on.output],
            "input_feed": lambda on: {on.name: X},
            "run_options": lambda on: on.quiet,
        },
    ),
    "run, input": (feed_one, {"value": lambda _: X}),
    "run_with_ort_values": (
        method("session", "run_with_ort_values"),
        {
            "output_names": lambda on: [on.output],
            "input_dict_ort_values": lambda on: {on.name: on.value},
            "run_options": lambda on: on.quiet,
        },
    ),
    "run_with_iobinding": (
        method("session", "run_with_iobinding"),
        {"iobinding": lambda on: on.session.io_binding(), "run_options": lambda on: on.quiet},
    ),
    "set_providers": (
        lambda on, *args: make(on.module).session.set_providers(*args),
        {"providers": lambda _: ["CPUExecutionProvider"], "provider_options": lambda _: None},
    ),
    "bind_cpu_input": (
        binding("bind_cpu_input"),
        {"name": lambda on: on.name, "arr_on_cpu": lambda _: X},
    ),
    "bind_input": (
        binding("bind_input"),
        {
            "name": lambda on: on.name,
            "device_type": lambda _: "cpu",
            "device_id": lambda _: 0,
            "element_type": lambda _: np.float32,
            "shape": lambda _: X.shape,
            "buffer_ptr": lambda _: X.ctypes.data,
        },
    ),
    "bind_ortvalue_input": (
        binding("bind_ortvalue_input"),
        {"name": lambda on: on.name, "ortvalue": lambda on: on.value},
    ),
    "bind_output": (
        binding("bind_output"),
        {"name": lambda on: on.output, "device_type": lambda _: "cpu", "device_id": lambda _: 0},
    ),
    "bind_ortvalue_output": (
        binding("bind_ortvalue_output"),
        {"name": lambda on: on.output, "ortvalue": lambda on: on.value},
    ),
    "ortvalue_from_numpy": (value_of("ortvalue_from_numpy"), {"numpy_obj": lambda _: X}),
    "ortvalue_from_shape_and_type": (
        type_and_shape,
        {"shape": lambda _: [2, 8], "element_type": lambda _: np.float32},
    ),
    "update_inplace": (method("value", "update_inplace"), {"np_arr": lambda _: X}),
    "add_session_config_entry": (
        fresh_options("add_session_config_entry"),
        {"key": lambda _: "a.key", "value": lambda _: "1"},
    ),
    "get_session_config_entry": (
        fresh_options("get_session_config_entry"),
        {"key": lambda _: "another.key"},
    ),
    "add_free_dimension_override_by_name": (
        fresh_options("add_free_dimension_override_by_name"),
        {"name": lambda _: "N", "size": lambda _: 2},
    ),
    "add_initializer": (
        fresh_options("add_initializer"),
        {"name": lambda _: "w", "ort_value": lambda on: on.value},
    ),
    "register_custom_ops_library": (
        lambda on, path: create(on, MODEL, with_library(on.module, path)),
        {"path": lambda _: "/no/such/library"},
    ),
    "add_run_config_entry": (
        fresh_run_options("add_run_config_entry"),
        {"key": lambda _: "a.key", "value": lambda _: "1"},
    ),
    "get_run_config_entry": (
        fresh_run_options("get_run_config_entry"),
        {"key": lambda _: "another.key"},
    ),
    **{
        f"SessionOptions.{name}": (
            setting(name),
            {"value": lambda on, name=name: getattr(on.module.SessionOptions(), name)},
        )
        for name in (
            "enable_cpu_mem_arena",
            "enable_mem_pattern",
            "enable_profiling",
            "execution_mode",
            "graph_optimization_level",
            "inter_op_num_threads",
            "intra_op_num_threads",
            "log_severity_level",
            "log_verbosity_level",
            "logid",
            "optimized_model_filepath",
            "profile_file_prefix",
            "use_deterministic_compute",
            "use_per_session_threads",
        )
    },
    **{
        f"RunOptions.{name}": (
            run_setting(name),
            {"value": lambda on, name=name: getattr(on.module.RunOptions(), name)},
        )
        for name in ("log_severity_level", "log_verbosity_level", "logid", "terminate")
    },
    **{
        name: (method("session", name), {})
        for name in (
            "get_inputs",
            "get_outputs",
            "get_overridable_initializers",
            "get_providers",
            "get_provider_options",
            "get_modelmeta",
            "end_profiling",
            "io_binding",
            "disable_fallback",
            "enable_fallback",
        )
    },
}


def with_library(module: ModuleType, path: object) -> object:
    options = module.SessionOptions()
    options.register_custom_ops_library(path)
    return options


def plain(result: object) -> object:
    """Return a result's contents in comparable form."""
    if isinstance(result, (list, tuple)):
        return [plain(item) for item in result]
    if isinstance(result, dict):
        return {key: plain(value) for key, value in result.items()}
    if isinstance(result, np.ndarray):
        return str(result.dtype), result.tolist()
    if hasattr(result, "numpy"):
        return plain(result.numpy())
    if hasattr(result, "value"):  # of an enum
        return int(result.value)
    return result if isinstance(result, (str, int, float, type(None))) else "an object"


def outcome(call: Callable, on: SimpleNamespace, args: list) -> dict[str, object]:
    """Return a call's result in comparable form, or the classes and text of its exception."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return {"returns": repr(plain(call(on, *args)))}
        except Exception as error:
            classes = [cls.__name__ for cls in type(error).__mro__]
            return {"raises": classes, "text": str(error)[:200]}


def calls() -> Iterator[tuple[str, Callable, list[Callable]]]:
    """Yield each call of the table: its name, the function, and the makers of its arguments."""
    for name, (call, arguments) in METHODS.items():
        yield f"{name}()", call, list(arguments.values())
        yield f"{name}(one more)", call, [*arguments.values(), lambda _: 5, *[lambda _: 5] * 4]
        for changed in arguments:
            for kind, bad in BAD.items():
                made = {**arguments, changed: lambda _, bad=bad: deepcopy(bad)}
                yield f"{name}({changed}={kind})", call, list(made.values())


def main(name: str, first: int = 0) -> None:
    """Make the calls from `first` on."""
    on = make(importlib.import_module(name))
    for call_name, call, arguments in list(calls())[first:]:
        if name == "onnxruntime" and UNSAFE.fullmatch(call_name):
            sys.stdout.write(json.dumps({"name": call_name, "aborts": "not made"}) + "\n")
            continue
        sys.stdout.write(json.dumps({"name": call_name}) + "\n")
        sys.stdout.flush()
        found = outcome(call, on, [argument(on) for argument in arguments])
        sys.stdout.write(json.dumps({"name": call_name, **found}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
