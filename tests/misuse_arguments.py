"""Bad arguments for `misuse_calls`, by kind: values of every type, wrong ones, hostile ones."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from unittest.mock import MagicMock

import misuse_objects as objects
import numpy as np
import onnxruntime
from misuse_objects import World, X

import ortmmap

LONG = 10_000
MANY_DIMENSIONS = 70


class Raising:
    """Every protocol of Python's that raises."""

    def fail(self, *_: object, **__: object) -> object:
        raise ZeroDivisionError("asked for")

    __array__ = __bool__ = __bytes__ = __call__ = __contains__ = __dlpack__ = fail
    __dlpack_device__ = __eq__ = __float__ = __fspath__ = __getitem__ = __hash__ = fail
    __index__ = __int__ = __iter__ = __len__ = __repr__ = __str__ = keys = items = fail
    numpy = value = property(fail)


class Lying:
    """Every protocol, answered with something of another type."""

    def lie(self, *_: object, **__: object) -> object:
        return []

    __array__ = __dlpack__ = __dlpack_device__ = __getitem__ = lie
    numpy = keys = items = values = lie
    __slots__ = ("_get_c_value", "_opened", "_ortvalue", "value")

    def __init__(self) -> None:
        self._get_c_value = self._opened = self.lie
        self._ortvalue = self.value = []

    def __fspath__(self) -> str:
        return "nothing"

    def __len__(self) -> int:
        return 3

    def __iter__(self) -> Iterator[object]:
        return iter([object()])


class Shrinking(dict):
    """A dict that loses its items while they are looked at."""

    def items(self) -> Iterator[tuple]:
        while self:
            yield self.popitem()

    def __getitem__(self, key: object) -> object:
        return self.pop(key)


class Text(str):
    """A str of another class."""

    __slots__ = ()


def list_in_itself() -> list:
    made: list = []
    made.append(made)
    return made


def structured() -> np.ndarray:
    return np.zeros(2, [("a", "i4"), ("b", "f8")])


def generator() -> Iterator[int]:
    yield 5


def view_of(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


PLAIN: dict[str, Callable[[], object]] = {
    "None": lambda: None,
    "True": lambda: True,
    "5": lambda: 5,
    "-1": lambda: -1,
    "2**31": lambda: 2**31,
    "2**63": lambda: 2**63,
    "-2**70": lambda: -(2**70),
    "2.5": lambda: 2.5,
    "nan": lambda: float("nan"),
    "empty str": str,
    "str": lambda: "nothing",
    "str subclass": lambda: Text("x"),
    "null str": lambda: "a\0b",
    "surrogate": lambda: "a\ud800b",
    "long str": lambda: "n" * LONG,
    "empty bytes": bytes,
    "bytes": lambda: b"nothing",
    "bytearray": lambda: bytearray(b"nothing"),
    "memoryview": lambda: memoryview(b"nothing")[::2],
    "empty tuple": tuple,
    "tuple of None": lambda: (None,),
    "empty list": list,
    "list of None": lambda: [None],
    "list of int": lambda: [5],
    "list of -1": lambda: [-1],
    "list of 2**40": lambda: [2**40, 2**40],
    "list of 2**70": lambda: [2**70],
    "list of str": lambda: ["nothing"],
    "list of x": lambda: ["x", "x"],
    "list of object": lambda: [object()],
    "nested list": lambda: [[1.0], [2.0, 3.0]],
    "list in itself": list_in_itself,
    "many dimensions": lambda: [1] * MANY_DIMENSIONS,
    "empty dict": dict,
    "dict": lambda: {"nothing": 5},
    "dict of x": lambda: {"x": None},
    "dict of None": lambda: {None: None},
    "shrinking dict": lambda: Shrinking(x=X, w=X),
    "object": object,
    "class": lambda: ortmmap.OrtValue,
    "function": lambda: len,
    "namespace": lambda: SimpleNamespace(value=5),
    "generator": generator,
    "mock": MagicMock,
    "raising": Raising,
    "lying": Lying,
    "array": lambda: np.ones(3, "i8"),
    "wrong type": lambda: X.astype("f8"),
    "wrong rank": lambda: X[0],
    "wrong shape": lambda: X[:, :3],
    "scalar array": lambda: np.array(5),
    "empty array": lambda: np.ones((0, 8), "f4"),
    "negative array": lambda: np.array([-5, 2**62, -(2**62)]),
    "big endian": lambda: X.astype(">f4"),
    "not contiguous": lambda: np.ones((16, 16), "f4")[::2, ::2],
    "read-only": lambda: view_of(X.copy()),
    "broadcast": lambda: np.broadcast_to(np.float32(1), (2, 8)),
    "many dimensions array": lambda: np.ones((1,) * 64, "f4"),
    "structured": structured,
    "void array": lambda: np.zeros(2, "V5"),
    "time array": lambda: np.zeros(2, "M8[s]"),
    "complex array": lambda: np.ones(2, "c16"),
    "object array": lambda: np.array([None, object(), 5], object),
    "unset object array": lambda: np.empty(3, object),
    "text array": lambda: np.array(["a"]),
    "surrogate array": lambda: np.array(["a\ud800", "b"]),
    "bytes array": lambda: np.array([b"\xff\xfe", b""]),
    "numpy scalar": lambda: np.float32(5),
}

# Of ortmmap's own classes and onnxruntime's, in any state.
OF_PACKAGES: dict[str, Callable[[World], object]] = {
    **{
        name: objects.INSTANCES[name]
        for name in (
            "Session",
            "closed Session",
            "IOBinding",
            "OrtValue",
            "OrtValue of strings",
            "OrtValue, a sequence",
            "OrtValue, a sequence of maps",
            "OrtValue, an empty optional",
            "OrtValue, sparse",
            "OrtValueVector of anything",
            "SparseTensor",
            "closed Mapping",
            "LoraAdapter",
        )
    },
    **{
        f"empty {cls.__name__}": lambda _, cls=cls: objects.empty(cls)
        for cls in (
            ortmmap.IOBinding,
            ortmmap.LoraAdapter,
            ortmmap.OrtValue,
            ortmmap.OrtArenaCfg,
            ortmmap.OrtMemoryInfo,
            ortmmap.RunOptions,
            ortmmap.Session,
            ortmmap.SessionOptions,
            ortmmap.SparseTensor,
        )
    },
    "list of empty OrtValue": lambda _: [objects.empty(ortmmap.OrtValue)],
    "dict of empty OrtValue": lambda _: {"x": objects.empty(ortmmap.OrtValue)},
    "dict of a sequence": lambda world: {"x": objects.sequence(world)},
    "dict of sparse": lambda world: {"x": objects.sparse_value(world)},
    "onnxruntime.OrtValue": lambda _: onnxruntime.OrtValue.ortvalue_from_numpy(X),
    "onnxruntime.RunOptions": lambda _: onnxruntime.RunOptions(),
    "onnxruntime.SessionOptions": lambda _: onnxruntime.SessionOptions(),
    "onnxruntime.LoraAdapter": lambda _: onnxruntime.LoraAdapter(),
}

BAD: dict[str, Callable[[World], object]] = {
    **{kind: lambda _, make=make: make() for kind, make in PLAIN.items()},
    **OF_PACKAGES,
}
