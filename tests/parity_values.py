"""Calls of asynchronous runs, of vectors of values, and of sparse values, for `parity_calls`.

Each function takes the result of `parity_calls.make`, then the arguments named in `METHODS`.
"""

import queue
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np

SECONDS = 30  # the longest wait for a callback

X = np.ones((2, 8), "f4")
COO = [3, 3], np.array([1.5, -2, 3], "f4"), np.array([1, 5, 6])
CSR = [3, 3], np.array([1.5, -2, 3], "f4"), np.array([1, 2, 0]), np.array([0, 1, 2, 3])


def inner(value: object) -> object:
    """Return the object that onnxruntime's vectors hold, which its OrtValue wraps."""
    return getattr(value, "_ortvalue", value)


def inner_device(on: SimpleNamespace) -> object:
    return on.device._get_c_device() if hasattr(on.device, "_get_c_device") else on.device


def run_async(on: SimpleNamespace, names: object, feed: object, callback: object, *rest: object):
    """Run, wait for the callback, and return its arguments."""
    called = queue.Queue()

    def watched(*args: object) -> None:
        try:
            callback(*args)
        finally:
            called.put(args)

    on.threads.run_async(names, feed, watched if callable(callback) else callback, *rest)
    results, user_data, error = called.get(timeout=SECONDS)
    return results, user_data, bool(error)


def raising(*_: object) -> None:
    raise ZeroDivisionError


def vector(on: SimpleNamespace, *values: object) -> object:
    made = on.module.capi.onnxruntime_pybind11_state.OrtValueVector()
    for value in values:
        made.push_back(inner(value))
    return made


def run_with_vector(on: SimpleNamespace, *args: object) -> object:
    """Run, and return the outputs in comparable form."""
    on.session.run_with_ortvaluevector(*args)
    return [value.numpy() for value in args[4]]


def run_with_kinds(feeds: Callable, fetches: Callable) -> Callable:
    def call(on: SimpleNamespace) -> object:
        return run_with_vector(
            on, on.quiet, [on.name], feeds(on), [on.output], fetches(on), [inner_device(on)]
        )

    return call


def of_vector(name: str) -> Callable:
    return lambda on, *args: getattr(vector(on, on.value), name)(*args)


def capsules(on: SimpleNamespace, to_tensor: object) -> object:
    return [type(made).__name__ for made in vector(on, on.value).to_dlpacks(to_tensor)]


def coo(on: SimpleNamespace, *args: object) -> object:
    return on.module.SparseTensor.sparse_coo_from_numpy(*args or (*COO, on.device))


def csr(on: SimpleNamespace, *args: object) -> object:
    return on.module.SparseTensor.sparse_csr_from_numpy(*args or (*CSR, on.device))


def described(tensor: object) -> object:
    return [
        tensor.dense_shape(),
        tensor.values(),
        tensor.data_type(),
        tensor.device_name(),
        tensor.format().name,
    ]


def describe_coo(on: SimpleNamespace, *args: object) -> object:
    tensor = coo(on, *args)
    return [*described(tensor), tensor.as_coo_view().indices()]


def describe_csr(on: SimpleNamespace, *args: object) -> object:
    tensor = csr(on, *args)
    return [*described(tensor), tensor.as_csrc_view().inner(), tensor.as_csrc_view().outer()]


def of_sparse(made: Callable, name: str) -> Callable:
    return lambda on, *args: getattr(made(on), name)(*args)


def sparse_value(on: SimpleNamespace, *args: object) -> object:
    return on.module.OrtValue.ort_value_from_sparse_tensor(*args or (coo(on),))


def of_sparse_value(name: str) -> Callable:
    return lambda on, *args: getattr(sparse_value(on), name)(*args)


def wrong_type(on: SimpleNamespace) -> object:
    return on.module.OrtValue.ortvalue_from_numpy(X.astype("f8"))


def wrong_shape(on: SimpleNamespace) -> object:
    return on.module.OrtValue.ortvalue_from_numpy(X[:, :3].copy())


def output(on: SimpleNamespace) -> object:
    """Make memory for the model's output."""
    return on.module.OrtValue.ortvalue_from_shape_and_type([2, 4], np.float32)


def run_with_callback(callback: Callable) -> Callable:
    return lambda on: run_async(on, [on.output], {on.name: X}, callback, "data", on.quiet)


ASYNC = {
    "output_names": lambda on: [on.output],
    "input_feed": lambda on: {on.name: X},
    "callback": lambda _: lambda *_: None,
    "user_data": lambda _: "data",
    "run_options": lambda on: on.quiet,
}

VECTOR = {
    "run_options": lambda on: on.quiet,
    "feed_names": lambda on: [on.name],
    "feeds": lambda on: vector(on, on.value),
    "fetch_names": lambda on: [on.output],
    "fetches": vector,
    "fetch_devices": lambda on: [inner_device(on)],
}

METHODS: dict[str, tuple[Callable, dict[str, Callable]]] = {
    "run_async": (run_async, ASYNC),
    "run_async, callback that raises": (run_with_callback(raising), {}),
    "run_async, callback of one argument": (run_with_callback(lambda _: None), {}),
    "run_async, one thread": (
        lambda on: on.session.run_async([on.output], {on.name: X}, raising, None),
        {},
    ),
    "run_with_ortvaluevector": (run_with_vector, VECTOR),
    **{
        f"run_with_ortvaluevector, {kind}": (run_with_kinds(feeds, fetches), {})
        for kind, feeds, fetches in (
            ("written to", lambda on: vector(on, on.value), lambda on: vector(on, output(on))),
            ("too many feeds", lambda on: vector(on, on.value, on.value), vector),
            ("no feeds", vector, vector),
            ("feed of another type", lambda on: vector(on, wrong_type(on)), vector),
            ("feed of another shape", lambda on: vector(on, wrong_shape(on)), vector),
            ("sparse feed", lambda on: vector(on, sparse_value(on)), vector),
            (
                "sparse fetch",
                lambda on: vector(on, on.value),
                lambda on: vector(on, sparse_value(on)),
            ),
            (
                "fetch of another type",
                lambda on: vector(on, on.value),
                lambda on: vector(on, wrong_type(on)),
            ),
            (
                "fetch of another shape",
                lambda on: vector(on, on.value),
                lambda on: vector(on, on.value),
            ),
            (
                "too many fetches",
                lambda on: vector(on, on.value),
                lambda on: vector(on, output(on), output(on)),
            ),
            ("list of feeds", lambda on: [inner(on.value)], vector),
            ("list of fetches", lambda on: vector(on, on.value), lambda _: []),
        )
    },
    "OrtValueVector.__len__": (of_vector("__len__"), {}),
    "OrtValueVector.__getitem__": (of_vector("__getitem__"), {"index": lambda _: 0}),
    "OrtValueVector.element_type_at": (of_vector("element_type_at"), {"index": lambda _: 0}),
    "OrtValueVector.dlpack_at": (of_vector("dlpack_at"), {"index": lambda _: 0}),
    "OrtValueVector.push_back": (of_vector("push_back"), {"value": lambda on: inner(on.value)}),
    "OrtValueVector.reserve": (of_vector("reserve"), {"count": lambda _: 3}),
    "OrtValueVector.to_dlpacks": (capsules, {"to_tensor": lambda _: None}),
    "sparse_coo_from_numpy": (
        describe_coo,
        {
            "dense_shape": lambda _: COO[0],
            "values": lambda _: COO[1],
            "coo_indices": lambda _: COO[2],
            "ort_device": lambda on: on.device,
        },
    ),
    "sparse_csr_from_numpy": (
        describe_csr,
        {
            "dense_shape": lambda _: CSR[0],
            "values": lambda _: CSR[1],
            "inner_indices": lambda _: CSR[2],
            "outer_indices": lambda _: CSR[3],
            "ort_device": lambda on: on.device,
        },
    ),
    **{
        f"sparse_coo_from_numpy, {kind}": (
            lambda on, args=args: describe_coo(on, *args, on.device),
            {},
        )
        for kind, args in {
            "text": (COO[0], np.array(["a", "b", "c"]), COO[2]),
            "pairs": (COO[0], COO[1], np.array([[0, 1], [1, 2], [2, 0]])),
            "of one dimension": ([9], COO[1], COO[2]),
            "of three dimensions": ([3, 3, 3], COO[1], COO[2]),
            "nothing": ([3, 3], COO[1][:0], COO[2][:0]),
            "no dimension": ([], COO[1], COO[2]),
            "fewer indices": (COO[0], COO[1], COO[2][:2]),
            "more indices": (COO[0], COO[1], np.arange(4)),
            "index out of range": (COO[0], COO[1], np.array([1, 5, 9])),
            "index below zero": (COO[0], COO[1], np.array([-1, 5, 6])),
            "column out of range": (COO[0], COO[1], np.array([[0, 1], [1, 2], [2, 3]])),
            "indices not sorted": (COO[0], COO[1], COO[2][::-1].copy()),
            "indices not contiguous": (COO[0], COO[1], np.arange(9)[::3]),
            "indices twice": (COO[0], COO[1], np.array([1, 1, 1])),
            "indices of int32": (COO[0], COO[1], COO[2].astype("i4")),
            "indices in a list": (COO[0], COO[1], COO[2].tolist()),
            "values in a list": (COO[0], COO[1].tolist(), COO[2]),
            "values of bool": (COO[0], COO[1] > 0, COO[2]),
            "values of complex": (COO[0], COO[1].astype("c8"), COO[2]),
            "values of float16": (COO[0], COO[1].astype("f2"), COO[2]),
            "values not contiguous": (COO[0], np.arange(9, dtype="f4")[::3], COO[2]),
            "values of big endian": (COO[0], COO[1].astype(">f4"), COO[2]),
            "values of two dimensions": (COO[0], COO[1].reshape(1, 3), COO[2]),
            "dimension below zero": ([-3, 3], COO[1], COO[2]),
            "too large": ([2**40, 2**40], COO[1], COO[2]),
        }.items()
    },
    **{
        f"sparse_csr_from_numpy, {kind}": (
            lambda on, args=args: describe_csr(on, *args, on.device),
            {},
        )
        for kind, args in {
            "text": (CSR[0], np.array(["a", "b", "c"]), *CSR[2:]),
            "of one dimension": ([9], *CSR[1:]),
            "of three dimensions": ([3, 3, 3], *CSR[1:]),
            "nothing": ([3, 3], CSR[1][:0], CSR[2][:0], np.zeros(4, "i8")),
            "fewer columns": (*CSR[:2], CSR[2][:2], CSR[3]),
            "fewer rows": (*CSR[:3], CSR[3][:3]),
            "no rows": (*CSR[:3], CSR[3][:0]),
            "column out of range": (*CSR[:2], np.array([1, 2, 3]), CSR[3]),
            "column below zero": (*CSR[:2], np.array([-1, 2, 0]), CSR[3]),
            "rows that fall": (*CSR[:3], np.array([0, 2, 1, 3])),
            "rows beyond the end": (*CSR[:3], np.array([0, 1, 2, 4])),
            "rows from one": (*CSR[:3], np.array([1, 1, 2, 3])),
            "rows of two dimensions": (*CSR[:3], CSR[3].reshape(2, 2)),
        }.items()
    },
    **{
        f"SparseTensor.{name}, {made.__name__}": (of_sparse(made, name), {})
        for made in (coo, csr)
        for name in (
            "as_blocksparse_view",
            "as_coo_view",
            "as_csrc_view",
            "data_type",
            "dense_shape",
            "device_name",
            "format",
            "values",
        )
    },
    "ort_value_from_sparse_tensor": (
        lambda on, *args: described(sparse_value(on, *args).as_sparse_tensor()),
        {"sparse_tensor": coo},
    ),
    "ort_value_from_sparse_tensor, an OrtValue": (lambda on: sparse_value(on, on.value), {}),
    "as_sparse_tensor, of a tensor": (lambda on: on.value.as_sparse_tensor(), {}),
    **{
        f"sparse OrtValue.{name}": (of_sparse_value(name), {})
        for name in (
            "as_sparse_tensor",
            "data_ptr",
            "data_type",
            "device_name",
            "element_type",
            "has_value",
            "is_sparse_tensor",
            "is_tensor",
            "is_tensor_sequence",
            "numpy",
            "shape",
            "tensor_size_in_bytes",
        )
    },
    "SparseTensor": (
        lambda on, value: on.module.SparseTensor(value),
        {"sparse_tensor": lambda _: None},
    ),
    "OrtValue": (lambda on, value: on.module.OrtValue(value), {"ortvalue": lambda _: None}),
    "sparse OrtValue.update_inplace": (of_sparse_value("update_inplace"), {"np_arr": lambda _: X}),
    "run, sparse input": (lambda on: on.session.run(None, {on.name: coo(on)}, on.quiet), {}),
    "run_with_ort_values, sparse input": (
        lambda on: on.session.run_with_ort_values(None, {on.name: sparse_value(on)}, on.quiet),
        {},
    ),
    "bind_ortvalue_input, sparse": (
        lambda on: on.session.io_binding().bind_ortvalue_input(on.name, sparse_value(on)),
        {},
    ),
}
