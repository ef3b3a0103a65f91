"""Sixteen threads that open, run, bind, pickle and close sessions, and fill the cache, at once.

``python tests/thread_stress.py ROUNDS FOLDER`` does it outside of pytest, with models and a cache
in that folder: under ThreadSanitizer, `make tsan`.
"""

import asyncio
import contextlib
import copy
import pickle
import sys
import threading
from pathlib import Path

import numpy as np

import ortmmap

THREADS = 16
X = np.arange(64 * 64, dtype=np.float32).reshape(64, 64) / 4096
TEXTS = np.array(["a", "bc", "déf", "g" * 300], object)


def write_models(folder):
    """Write the models: a product with a weight, and one that passes strings through."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weight = np.eye(64, dtype=np.float32) * 2
    save(
        onnx,
        helper,
        folder / "product.onnx",
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        TensorProto.FLOAT,
        shape=[None, 64],
        weights=[numpy_helper.from_array(weight, "w")],
    )
    save(
        onnx,
        helper,
        folder / "texts.onnx",
        [helper.make_node("Identity", ["x"], ["y"])],
        TensorProto.STRING,
        shape=[None],
        weights=[],
    )


def save(onnx, helper, path, nodes, element_type, *, shape, weights):
    x, y = (helper.make_tensor_value_info(name, element_type, shape) for name in "xy")
    graph = helper.make_graph(nodes, "g", [x], [y], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)


def options():
    made = ortmmap.SessionOptions()
    made.intra_op_num_threads = 2
    return made


@contextlib.contextmanager
def refused(kind, reason):
    """Allow an exception with such a text, and no other."""
    try:
        yield
    except kind as error:
        if reason not in str(error):
            raise


class Stress:
    """Threads that share sessions, bindings, mappings and options, and close them on each other."""

    def __init__(self, folder, cache):
        self.product, self.texts = str(folder / "product.onnx"), str(folder / "texts.onnx")
        self.cache = cache
        self.shared = ortmmap.InferenceSession(self.product, options(), cache=False)
        self.strings = ortmmap.InferenceSession(self.texts, cache=False)
        self.binding = self.shared.io_binding()
        self.closing = self.open(False)
        self.run_options = ortmmap.RunOptions()
        self.mapping = ortmmap.Mapping(self.product)
        self.failures = []
        self.start = threading.Barrier(THREADS)

    def open(self, cache):
        return ortmmap.InferenceSession(self.product, cache=cache)

    def check(self, session, run_options=None):
        (y,) = session.run(None, {"x": X}, run_options)
        assert np.array_equal(y, X * 2)

    def runs(self):
        self.check(self.shared, self.run_options)
        self.run_options.terminate = False
        shrinking = ortmmap.RunOptions()
        shrinking.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        self.check(self.shared, shrinking)
        (values,) = self.shared.run_with_ort_values(
            None, {"x": ortmmap.OrtValue.ortvalue_from_numpy(X)}
        )
        assert np.array_equal(np.from_dlpack(values), X * 2)

    def runs_strings(self):
        texts = np.roll(TEXTS, threading.get_ident() % 4)
        for _ in range(4):
            assert list(self.strings.run(None, {"x": texts})[0]) == list(texts)

    def opens_and_closes(self):
        with self.open(False) as session:
            self.check(session)

    def closes_what_others_run(self):
        """Run a session that any thread closes: a run succeeds, or the session is closed."""
        session = self.closing
        with refused(ValueError, "closed"):
            self.check(session)
            session.get_modelmeta()
            session.memory()
            repr(session)
            copy.copy(session).close()
        with refused(RuntimeError, "under way"):
            session.close()
            self.closing = self.open(False)

    def binds(self):
        binding = self.shared.io_binding()
        binding.bind_cpu_input("x", X)
        binding.bind_output("y")
        self.shared.run_with_iobinding(binding)
        assert np.array_equal(binding.copy_outputs_to_cpu()[0], X * 2)

    def shares_a_binding(self):
        """Use one binding from all threads: a call succeeds, or another thread is using it."""
        with refused(RuntimeError, "in use by another thread"):
            self.binding.bind_cpu_input("x", X)
            self.binding.bind_output("y")
            self.shared.run_with_iobinding(self.binding)
            self.binding.get_outputs()

    def pickles(self):
        with pickle.loads(pickle.dumps(self.shared)) as session:
            self.check(session)

    def calls_back(self):
        done = threading.Event()
        found = []

        def callback(results, _, error):
            found.append((results, error))
            done.set()

        session = ortmmap.InferenceSession(self.product, options(), cache=False)
        session.run_async(None, {"x": X}, callback, None)
        del session  # the callback may drop the last reference
        assert done.wait(60)
        assert found[0][1] == ""
        assert np.array_equal(found[0][0][0], X * 2)

    def awaits(self):
        async def both():
            return await asyncio.gather(
                *(self.shared.run_awaitable(None, {"x": X}) for _ in range(2))
            )

        for (y,) in asyncio.run(both()):
            assert np.array_equal(y, X * 2)

    def fails(self):
        for wrong in ({}, {"x": X.astype(np.int32)}, {"z": X}):
            with contextlib.suppress(ortmmap.errors.InvalidArgument):
                self.shared.run(None, wrong)
                raise AssertionError("no error was raised")
        with contextlib.suppress(ortmmap.errors.NoSuchFile):
            ortmmap.InferenceSession(self.product + ".missing")
            raise AssertionError("no error was raised")

    def files(self):
        """Open with the cache, which another thread writes, and close before that is done."""
        session = self.open(self.cache)
        self.check(session)
        session.close()

    def changes_providers(self):
        session = self.open(False)
        session.set_providers(["CPUExecutionProvider"])
        self.check(session)

    def maps(self):
        """Close a mapping that others read: the close is refused, or they find it closed."""
        mapping = self.mapping
        with contextlib.suppress(ValueError, BufferError):
            view = memoryview(mapping)
            bytes(view[:16])
            mapping.resident()
            view.release()
            mapping.close()
        if mapping.closed:
            self.mapping = ortmmap.Mapping(self.product)

    def work(self, rounds, first):
        calls = [
            self.runs,
            self.runs_strings,
            self.opens_and_closes,
            self.closes_what_others_run,
            self.binds,
            self.shares_a_binding,
            self.pickles,
            self.calls_back,
            self.awaits,
            self.fails,
            self.files,
            self.changes_providers,
            self.maps,
        ]
        self.start.wait()
        try:
            for index in range(rounds):
                calls[(first + index) % len(calls)]()
        except BaseException as error:
            self.failures.append(error)
            raise

    def run(self, rounds):
        threads = [
            threading.Thread(target=self.work, args=(rounds, first)) for first in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.failures:
            raise self.failures[0]


if __name__ == "__main__":
    place = Path(sys.argv[2])
    write_models(place)
    Stress(place, str(place / "cache")).run(int(sys.argv[1]))
    is_locked = getattr(sys, "_is_gil_enabled", lambda: True)()
    print(f"{THREADS} threads, {sys.argv[1]} rounds each, interpreter lock {is_locked}")
