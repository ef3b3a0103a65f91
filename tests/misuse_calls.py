"""Calls of everything public with every kind of bad argument, on objects in every state.

    misuse_calls.py GROUP AFTER SKIPPED
        Make the calls of a group that come after the one named AFTER (all if it is empty), without
        those of the functions that the JSON list SKIPPED names.

What is called is found by introspection, so that a new function, class or method is called too. The
name of each call is printed before it is made; after it, indented, what it did that no call may
do. A call that ends the process, or never ends, is the last one whose name is printed.

Addresses of memory cannot be checked: a binding to a bad one is made, but not run.
"""

import contextlib
import copy
import faulthandler
import importlib
import inspect
import json
import os
import pickle
import resource
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from enum import Enum
from functools import partial
from itertools import islice
from types import ModuleType

import misuse_objects as objects
import numpy as np
from misuse_arguments import BAD
from misuse_objects import World

import ortmmap
from ortmmap import errors

SECONDS = 60  # for one call
ADDRESS_SPACE = 16 << 30
CALLS_IN_A_LIST = 6

Arguments = Callable[[World], tuple[list, dict]]
Call = Callable[[World], object]

# Attributes that Python or numpy make, and that hold no code of ortmmap's.
NOT_OURS = {
    "__annotations__",
    "__dataclass_fields__",
    "__dataclass_params__",
    "__dict__",
    "__doc__",
    "__match_args__",
    "__module__",
    "__orig_bases__",
    "__pyx_vtable__",
    "__slots__",
    "__weakref__",
}
ENDING = {"__exit__", "__init__", "_restore", "close", "undo"}  # an object is not used after these

# The parameters of classes that do not say them.
PARAMETERS = {
    "IOBinding": ["session"],
    "LoraAdapter": [],
    "Mapping": ["path"],
    "OrtValue": ["value"],
    "RunOptions": [],
    "SessionIOBinding": ["session"],
    "SparseTensor": ["value"],
}

OPERATIONS: dict[str, Callable] = {
    "repr": repr,
    "str": str,
    "hash": hash,
    "bool": bool,
    "len": len,
    "iter": lambda made: list(islice(iter(made), CALLS_IN_A_LIST)),
    "dir": dir,
    "vars": vars,
    "==": lambda made: made == object(),
    "<": lambda made: made < object(),
    "[0]": lambda made: made[0],
    "[2**70]": lambda made: made[2**70],
    "bytes": bytes,
    "memoryview": memoryview,
    "numpy.asarray": np.asarray,
    "numpy.from_dlpack": np.from_dlpack,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": pickle.dumps,
    "pickled and back": lambda made: pickle.loads(pickle.dumps(made)),
    "with": lambda made: made.__enter__() and made.__exit__(None, None, None),
    "a new attribute": lambda made: setattr(made, "nothing", 5),
}


# What is called


def public(module: ModuleType, names: list[str]) -> dict[str, object]:
    return {name: getattr(module, name) for name in sorted(names)}


def public_names() -> dict[str, object]:
    found = public(ortmmap, [name for name in dir(ortmmap) if not name.startswith("_")])
    return {name: value for name, value in found.items() if not isinstance(value, ModuleType)}


def public_classes() -> dict[str, type]:
    found = {**public_names(), **public(errors, errors.__all__)}
    classes = {name: value for name, value in found.items() if isinstance(value, type)}
    return {name: cls for name, cls in classes.items() if name == cls.__name__}


def public_functions() -> dict[str, Callable]:
    found = {**public_names(), **public(errors, ["file_error", "from_status", "system_error"])}
    return {
        name: value
        for name, value in found.items()
        if callable(value) and not isinstance(value, type)
    }


def instances() -> dict[str, Callable[[World], object]]:
    """Return makers of instances: of those that are listed, and of classes made of nothing."""
    simple = {
        cls.__name__: partial(made_of_nothing, cls)
        for cls in public_classes().values()
        if made_of_nothing(cls, None) is not None
    }
    return {**simple, **objects.INSTANCES}


def made_of_nothing(cls: type, _: World | None) -> object:
    if issubclass(cls, Enum):
        return next(iter(cls))
    if issubclass(cls, BaseException):
        return cls("text")
    with contextlib.suppress(Exception):
        return cls()
    return None


def attributes(cls: type) -> dict[str, object]:
    """Return the attributes of a class that ortmmap defines, as they are stored."""
    found = {}
    for base in reversed(cls.__mro__):
        if base.__module__.partition(".")[0] == "ortmmap":
            found.update(vars(base))
    return {name: found[name] for name in sorted(found) if name not in NOT_OURS}


# What it is called with


def parameters_of(function: Callable, owner: type | None = None) -> list[inspect.Parameter]:
    if owner is not None and owner.__name__ in PARAMETERS:
        return [positional(name) for name in PARAMETERS[owner.__name__]]
    if owner is not None and issubclass(owner, Enum):
        return [positional("value")]
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return [positional("first"), positional("second")]


def positional(name: str) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY)


def good(parameter: inspect.Parameter, world: World) -> object:
    if parameter.name in objects.GOOD:
        return objects.GOOD[parameter.name](world)
    return None if parameter.default is inspect.Parameter.empty else parameter.default


def arguments(
    parameters: list[inspect.Parameter], bad: dict[str, Callable[[World], object]]
) -> Arguments:
    """Return what makes the arguments: those in `bad` by the parameter's name, others good."""

    def make(world: World) -> tuple[list, dict]:
        args, kwargs = [], {}
        for parameter in parameters:
            is_bad = parameter.name in bad
            value = bad[parameter.name](world) if is_bad else good(parameter, world)
            match parameter.kind:
                case inspect.Parameter.VAR_POSITIONAL:
                    args += [value] * CALLS_IN_A_LIST if is_bad else []
                case inspect.Parameter.VAR_KEYWORD:
                    kwargs.update({"nothing": value} if is_bad else {})
                case inspect.Parameter.KEYWORD_ONLY:
                    kwargs[parameter.name] = value
                case _:
                    args.append(value)
        return args, kwargs

    return make


def argument_lists(parameters: list[inspect.Parameter]) -> Iterator[tuple[str, Arguments]]:
    yield "", arguments(parameters, {})
    more = [*parameters, *(positional(f"more_{index}") for index in range(CALLS_IN_A_LIST))]
    yield "one more", arguments(more[: len(parameters) + 1], {})
    yield "many more", arguments(more, {})
    yield "none", arguments([], {})
    for parameter in parameters:
        for kind, make in BAD.items():
            yield f"{parameter.name}={kind}", arguments(parameters, {parameter.name: make})
        for kind, make in held(parameter.name).items():
            yield f"{parameter.name}={kind}", arguments(parameters, {parameter.name: make})
    if len(parameters) > 1:
        for kind, make in BAD.items():
            every = {parameter.name: make for parameter in parameters}
            yield f"every argument={kind}", arguments(parameters, every)


def held(name: str) -> dict[str, Callable[[World], object]]:
    """Return what makes a good list or dict of bad values, for a parameter that is one."""
    if name not in objects.HOLDERS:
        return {}
    hold = objects.HOLDERS[name]
    return {
        f"holding {kind}": lambda world, make=make: hold(make(world)) for kind, make in BAD.items()
    }


def calls_of(
    name: str, function: Callable[[World], Callable], parameters: list[inspect.Parameter]
) -> Iterator[tuple[str, Call]]:
    for kind, make in argument_lists(parameters):

        def call(world: World, make: Arguments = make) -> object:
            args, kwargs = make(world)
            return function(world)(*args, **kwargs)

        yield f"{name}({kind})", call


# Groups of calls


def function_calls() -> Iterator[tuple[str, Call]]:
    for name, function in public_functions().items():
        yield from calls_of(name, lambda _, f=function: f, parameters_of(function))


def class_calls() -> Iterator[tuple[str, Call]]:
    """Call the classes, their static methods, and ``__new__`` with arguments."""
    for name, cls in public_classes().items():
        parameters = parameters_of(cls, cls)
        yield from calls_of(name, lambda _, c=cls: c, parameters)
        yield from calls_of(f"{name}.__new__", lambda _, c=cls: partial(c.__new__, c), parameters)
        for attribute, stored in attributes(cls).items():
            if isinstance(stored, (classmethod, staticmethod)) and attribute != "__new__":
                bound = getattr(cls, attribute)
                yield from calls_of(
                    f"{name}.{attribute}", lambda _, b=bound: b, parameters_of(bound)
                )


def empty_calls() -> Iterator[tuple[str, Call]]:
    classes = {cls.__name__: cls for cls in classes_of_instances().values()}
    for name, cls in {**classes, **public_classes()}.items():
        yield from object_calls(f"empty {name}", cls, lambda _, c=cls: objects.empty(c))


def instance_calls(group: str) -> Iterator[tuple[str, Call]]:
    made = instances()
    for name, cls in classes_of_instances().items():
        if group_of(name) == group:
            yield from object_calls(name, cls, made[name])


def classes_of_instances() -> dict[str, type]:
    world = World()
    return {name: type(make(world)) for name, make in instances().items()}


def classes_without_instance() -> list[str]:
    made = {base.__name__ for cls in classes_of_instances().values() for base in cls.__mro__}
    return sorted(set(public_classes()) - made)


def group_of(instance: str) -> str:
    for group in ("Session", "IOBinding", "OrtValue", "Sparse"):
        if group in instance and "Options" not in instance:
            return group
    return "others"


class Target:
    """The object that calls are made on: made when it is first asked for, and anew if wanted."""

    def __init__(self, make: Callable[[World], object]) -> None:
        self.make = make
        self.made: object = None

    def __call__(self, world: World) -> object:
        if self.made is None:
            self.made = self.make(world)
        return self.made

    def renew(self) -> None:
        self.made = None


def object_calls(
    name: str, cls: type, make: Callable[[World], object]
) -> Iterator[tuple[str, Call]]:
    """Use Python's operations and the methods of an object; get, set and delete its attributes."""
    for operation, function in OPERATIONS.items():
        yield f"{operation} of {name}", lambda world, f=function: f(make(world))
    for attribute, stored in attributes(cls).items():
        if attribute == "__new__" or isinstance(stored, (classmethod, staticmethod)):
            continue
        if not attribute.startswith(objects.VARIANTS.get(name, "")):
            continue
        target = Target(make)
        calls = method_calls if callable(stored) else attribute_calls
        for call_name, call in calls(f"{name}.{attribute}", cls, attribute, target):
            yield call_name, followed_by_use(call_name, call, target, attribute)


def method_calls(label: str, cls: type, name: str, target: Target) -> Iterator[tuple[str, Call]]:
    stored = attributes(cls)[name]
    parameters = parameters_of(stored, cls if name == "__init__" else None)
    parameters = parameters if name == "__init__" else parameters[1:]
    yield from calls_of(label, lambda world: getattr(target(world), name), parameters)


def attribute_calls(label: str, _: type, name: str, target: Target) -> Iterator[tuple[str, Call]]:
    yield label, lambda world: getattr(target(world), name)
    yield f"del {label}", lambda world: delattr(target(world), name)
    for kind, bad in BAD.items():
        yield f"{label}(={kind})", lambda world, b=bad: set_and_get(target(world), name, b(world))


def followed_by_use(name: str, call: Call, target: Target, attribute: str) -> Call:
    """Return `call`, after which its object is used for what it is for."""

    def call_and_use(world: World) -> object:
        made = target(world)
        use = next((use for cls, use in objects.USES.items() if isinstance(made, cls)), None)
        if attribute in ENDING or not isinstance(made, (ortmmap.Session, type(None))):
            target.renew()
            made = target(world)
        result = call(world)
        if use is not None and not is_address(name):
            use(made, world)
        return result

    return call_and_use


def is_address(name: str) -> bool:
    return any(part in name for part in ("buffer_ptr=", "what=", "every argument="))


def set_and_get(target: object, name: str, value: object) -> object:
    setattr(target, name, value)
    return getattr(target, name)


GROUPS: dict[str, Callable[[], Iterator[tuple[str, Call]]]] = {
    "functions": function_calls,
    "classes": class_calls,
    "empty objects": empty_calls,
    **{
        group: partial(instance_calls, group)
        for group in ("Session", "IOBinding", "OrtValue", "Sparse", "others")
    },
}


# Making the calls


def looked_at(result: object) -> None:
    """Use a result, which may be a view of memory that is gone."""
    if isinstance(result, np.ndarray):
        result.tobytes()
    if isinstance(result, (list, tuple)):
        for item in result[:CALLS_IN_A_LIST]:
            looked_at(item)
    repr(result)


def oddity(call: Call, world: World) -> str | None:
    """Make a call, and return what it did that no call may do."""
    try:
        looked_at(call(world))
    except SystemError as error:
        return f"SystemError: {error}"
    except Exception:
        return None
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    return None


def prepare() -> int:
    """Keep output, memory and time of the calls within bounds; return where to report."""
    report = os.dup(1)
    os.dup2(2, 1)
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    faulthandler.enable()
    warnings.simplefilter("ignore")
    sys.unraisablehook = partial(note_internal_error, report)
    return report


def note_internal_error(report: int, raised: object) -> None:
    """Report what nobody can catch, unless a callback of the caller's raised it."""
    if isinstance(raised.exc_value, SystemError):
        os.write(report, f"  ignored: {raised.exc_value}\n".encode())


def chosen(group: str, after: str, skipped: list[str]) -> Iterator[tuple[str, Call]]:
    calls = GROUPS[group]()
    if after:
        next(name for name, _ in calls if name == after)
    return ((name, call) for name, call in calls if function_of(name) not in skipped)


def function_of(name: str) -> str:
    return name.partition("(")[0]


def main(group: str, after: str, skipped: str) -> None:
    report = prepare()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ["ORTMMAP_CACHE"] = f"{folder}/cache"
        world = World()
        for name, call in chosen(group, after, json.loads(skipped)):
            os.write(report, f"{name}\n".encode())
            signal.alarm(SECONDS)
            odd = oddity(call, world)
            if odd is not None:
                os.write(report, f"  {odd}\n".encode())
        signal.alarm(SECONDS)
        os.write(report, b"the end of the process\n")
        os.chdir("/")


if __name__ == "__main__":
    importlib.import_module("ortmmap.compat")
    main(*sys.argv[1:])
