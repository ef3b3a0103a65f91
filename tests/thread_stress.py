"""Sixteen threads that open, run, bind, pickle and close sessions, and fill the cache, at once.

They log to functions that they replace, adapt runs, and open models whose blocks are learned of.
``python tests/thread_stress.py ROUNDS FOLDER`` does it outside of pytest, with models and caches
in that folder: under ThreadSanitizer, `make tsan`.
"""

import asyncio
import contextlib
import copy
import itertools
import os
import pickle
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path

import numpy as np

import ortmmap
from ortmmap.cache import recognition
from ortmmap.session.filing import wait_for_all

THREADS = 16
X = np.arange(64 * 64, dtype=np.float32).reshape(64, 64) / 4096
TEXTS = np.array(["a", "bc", "déf", "g" * 300], object)
WIDE = np.arange(512, dtype=np.float32).reshape(1, 512) / 512
LEAST_TOTAL = 1 << 20  # of the weights of a model that is learned of: those of `chain` are 2 MiB
SHARERS = 4  # calls that fill and learn of one cache, before the next is taken

# In a process of its own, since onnxruntime's module is neither instrumented nor of this stress.
WRITE_ADAPTER = """
import sys, numpy as np, onnxruntime
values = {"a": np.full((64, 2), 1, "f4"), "b": np.full((2, 64), float(sys.argv[2]), "f4")}
adapter = onnxruntime.AdapterFormat()
adapter.set_adapter_version(1)
adapter.set_model_version(1)
adapter.set_parameters(
    {name: onnxruntime.OrtValue.ortvalue_from_numpy(value) for name, value in values.items()}
)
adapter.export_adapter(sys.argv[1])
"""


def write_models(folder):
    """Write the models and the adapters of one of them.

    They are a product with a weight, one that passes strings through, a chain of products, whose
    weights are large enough to be learned of, and one that adapters adapt.
    """
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
    wide = np.eye(512, dtype=np.float32)
    save(
        onnx,
        helper,
        folder / "chain.onnx",
        [
            helper.make_node("MatMul", ["x", "v"], ["h"]),
            helper.make_node("MatMul", ["h", "w"], ["y"]),
        ],
        TensorProto.FLOAT,
        shape=[None, 512],
        weights=[numpy_helper.from_array(wide * 2, "v"), numpy_helper.from_array(wide * 4, "w")],
    )
    save(
        onnx,
        helper,
        folder / "adaptable.onnx",
        [
            helper.make_node("MatMul", ["x", "a"], ["xa"]),
            helper.make_node("MatMul", ["xa", "b"], ["xab"]),
            helper.make_node("Add", ["x", "xab"], ["y"]),
        ],
        TensorProto.FLOAT,
        shape=[None, 64],
        weights=[
            numpy_helper.from_array(np.zeros((64, 0), np.float32), "a"),
            numpy_helper.from_array(np.zeros((0, 64), np.float32), "b"),
        ],
        given={"a": [64, "rank"], "b": ["rank", 64]},
    )
    environment = {**os.environ, "TSAN_OPTIONS": "report_bugs=0"}
    for scale in (1, 2):
        command = [sys.executable, "-c", WRITE_ADAPTER, folder / f"{scale}.adapter", str(scale)]
        subprocess.run(command, check=True, env=environment)


def save(onnx, helper, path, nodes, element_type, *, shape, weights, given=None):
    """Write a model of x and y; `given` has the shapes of the weights that are inputs too."""
    x, y = (helper.make_tensor_value_info(name, element_type, shape) for name in "xy")
    more = [
        helper.make_tensor_value_info(name, element_type, size)
        for name, size in (given or {}).items()
    ]
    graph = helper.make_graph(nodes, "g", [x, *more], [y], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)


def options():
    made = ortmmap.SessionOptions()
    made.intra_op_num_threads = 2
    return made


def quiet():
    made = ortmmap.SessionOptions()
    made.log_severity_level = 3  # the default of an adapter's parameter is no constant
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
    """Threads that share sessions, bindings, mappings and options, and close them on each other.

    `recognition.LEAST_TOTAL` must be the `LEAST_TOTAL` of this module.
    """

    def __init__(self, folder, cache):
        self.product, self.texts = str(folder / "product.onnx"), str(folder / "texts.onnx")
        self.chain = str(folder / "chain.onnx")
        self.adapters = [str(folder / "1.adapter"), str(folder / "2.adapter")]
        self.cache = cache
        self.shared = ortmmap.InferenceSession(self.product, options(), cache=False)
        self.strings = ortmmap.InferenceSession(self.texts, cache=False)
        self.binding = self.shared.io_binding()
        self.closing = self.open(False)
        self.run_options = ortmmap.RunOptions()
        self.mapping = ortmmap.Mapping(self.product)
        self.adaptable = ortmmap.InferenceSession(
            str(folder / "adaptable.onnx"), quiet(), cache=False
        )
        self.adapter = ortmmap.LoraAdapter.Load(self.adapters[0])
        self.heard = deque(maxlen=100)
        self.learners = itertools.count()
        self.counting = threading.Lock()
        self.recognized = []  # how many blocks, by each learner
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
        texts = np.roll(TEXTS, threading.get_native_id() % 4)
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

    def logs(self):
        """Log to a function, after a moment of standard error, while others replace it."""
        heard = self.heard
        ortmmap.set_default_logger_severity(2)
        ortmmap.set_default_logger_callback(None)
        ortmmap.set_default_logger_callback(lambda *record: heard.append(record), severity=1)
        self.opens_and_closes()

    def adapts(self):
        """Adapt a run by an adapter that others load again: its parameters are of one file."""
        run_options = ortmmap.RunOptions()
        run_options.add_active_adapter(self.adapter)
        self.adapter.Load(self.adapters[threading.get_native_id() % 2])
        (y,) = self.adaptable.run(None, {"x": X}, run_options)
        sums = X.sum(axis=1, keepdims=True) * 2
        assert any(np.allclose(y, X + sums * scale) for scale in (1, 2))
        (y,) = self.adaptable.run(None, {"x": X})
        assert np.array_equal(y, X)

    def learns(self):
        """Open with a cache that others fill and learn of too; then recognize what was learned."""
        with self.counting:
            cache = f"{self.cache}-{next(self.learners) // SHARERS}"
        self.check_chain(cache)
        wait_for_all(10)  # at most: others go on to file
        self.recognized.append(self.check_chain(cache))

    def check_chain(self, cache):
        """Run the model that is learned of; return how many of its blocks were recognized."""
        with ortmmap.InferenceSession(self.chain, cache=cache) as session:
            (y,) = session.run(None, {"x": WIDE})
            assert np.array_equal(y, WIDE * 8)
            return session.memory().recognized_blocks

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
            self.logs,
            self.adapts,
            self.learns,
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
        ortmmap.set_default_logger_callback(None)
        ortmmap.set_default_logger_severity(2)
        if self.failures:
            raise self.failures[0]
        assert any(severity == 1 for severity, *_ in self.heard)
        if recognition.is_proven(ortmmap.get_version_string()):
            assert any(self.recognized)


if __name__ == "__main__":
    place = Path(sys.argv[2])
    recognition.LEAST_TOTAL = LEAST_TOTAL
    write_models(place)
    Stress(place, str(place / "cache")).run(int(sys.argv[1]))
    is_locked = getattr(sys, "_is_gil_enabled", lambda: True)()
    print(f"{THREADS} threads, {sys.argv[1]} rounds each, interpreter lock {is_locked}")
