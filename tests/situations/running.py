"""Runs: what may be fed, what comes back, from how many threads."""

import threading
from types import ModuleType

import models
import numpy as np

from situations import attempt, natives, situation
from situations.opening import CPU, X, arguments, scaled

WORDS = ["these", "are", "four", "words"]


def opened(ort: ModuleType, model: bytes) -> object:
    return ort.InferenceSession(model, providers=CPU)


def sum_of(op: str, dtype: str) -> bytes:
    """Build a model of two inputs whose order is not that of their names."""
    return models.build(
        [models.node(op, "second:0 first:0", "out:0")],
        [models.tensor(name, dtype, [2, 2]) for name in ("second:0", "first:0")],
        [models.tensor("out:0", dtype, [2, 2])],
    )


def product() -> bytes:
    """Build Y = X @ W, of any number of rows."""
    return models.build(
        [models.node("MatMul", "X W", "Y")],
        [models.tensor("X", shape=["rows", 2])],
        [models.tensor("Y", shape=["rows", 1])],
        [models.constant("W", np.array([[1], [2]], "f4"))],
    )


def run_texts(ort: ModuleType, texts: object) -> object:
    session = opened(ort, models.identity(object, [2, 2]))
    return arguments(session), session.run(["y"], {"x": texts})


@situation()
def inputs_and_outputs_are_described_and_run(ort):
    session = opened(ort, scaled())
    return arguments(session), session.run(["Y"], {"X": X}), session.run([], {"X": X})


@situation(needs="InferenceSession.get_input_memory_infos")
def memory_of_inputs_and_outputs_is_reported(ort):
    session = opened(ort, scaled())
    infos = [*session.get_input_memory_infos(), *session.get_output_memory_infos()]
    return [[info.name, info.device_id, info.mem_type] for info in infos]


@situation(needs="InferenceSession.get_input_epdevices")
def devices_of_inputs_are_reported(ort):
    return len(opened(ort, scaled()).get_input_epdevices())


@situation()
def a_dimension_may_be_symbolic(ort):
    session = opened(ort, product())
    return arguments(session), [session.run(None, {"X": X[:rows]}) for rows in (0, 1, 3)]


@situation()
def an_input_need_not_be_contiguous(ort):
    session = opened(ort, product())
    swapped = X[:, [1, 0]][:, ::-1]
    fortran = np.asfortranarray(X)
    return [session.run(["Y"], {"X": array}) for array in (X, swapped, fortran, X[::-1])]


@situation()
def lists_are_fed(ort):
    session = opened(ort, scaled())
    return [
        session.run([], {"X": X.tolist()}),
        session.run([], {"X": [list(row) for row in X]}),
        attempt(session.run, [], {"X": [[1.0, 2.0]]}),
        attempt(session.run, [], {"X": "text"}),
    ]


@situation()
def booleans_are_fed_in_the_models_order(ort):
    session = opened(ort, sum_of("And", "bool"))
    feed = {
        "first:0": np.array([[True, False], [True, False]]),
        "second:0": np.array([[True, True], [False, False]]),
    }
    return arguments(session), session.run(["out:0"], feed)


@situation()
def strings_are_fed_as_a_list(ort):
    return run_texts(ort, [WORDS[:2], WORDS[2:]])


@situation()
def strings_are_fed_as_an_array_of_str(ort):
    return run_texts(ort, np.array(WORDS).reshape(2, 2))


@situation()
def strings_of_many_scripts_are_fed(ort):
    texts = ["naïve", "Ελλάδα", "日本語", "🙂 mixed"]
    return run_texts(ort, np.array(texts, dtype=str).reshape(2, 2))


@situation()
def strings_are_fed_as_an_array_of_bytes(ort):
    return run_texts(ort, np.array(WORDS, "S8").reshape(2, 2))


@situation()
def strings_are_fed_as_an_array_of_objects(ort):
    return run_texts(ort, np.array(WORDS, object).reshape(2, 2))


@situation()
def strings_are_fed_as_an_array_of_void(ort):
    same_length = np.array([b"four", b"word", b"same", b"size"], np.void)
    return run_texts(ort, same_length.reshape(2, 2))


@situation()
def a_missing_input_is_named_in_the_error(ort):
    session = opened(ort, sum_of("And", "bool"))
    outcome = attempt(session.run, [], {"first:0": np.ones((2, 2), bool)})
    expected = "Required inputs (['second:0']) are missing from input feed (['first:0'])"
    return outcome, expected in outcome.get("text", "")


@situation()
def wrong_feeds_and_names_are_refused(ort):
    session = opened(ort, scaled())
    feeds = [
        {},
        {"Z": X},
        {"X": X, "Z": X},
        {"X": X.astype("f8")},
        {"X": X.astype("i8")},
        {"X": X[:2]},
        {"X": X[0]},
        {"X": np.array(["a"])},
    ]
    names = [["Z"], ["Y", "Z"], "Y", 5]
    return [
        [attempt(session.run, None, feed) for feed in feeds],
        [attempt(session.run, name, {"X": X}) for name in names],
    ]


@situation()
def a_sequence_is_fed_and_measured(ort):
    model = models.build(
        [models.node("SequenceLength", "X", "Y")],
        [models.sequence("X")],
        [models.tensor("Y", "int64", [])],
    )
    session = opened(ort, model)
    sequences = [[X, X], [X], []]
    return arguments(session), [session.run(["Y"], {"X": items}) for items in sequences]


@situation()
def a_sequence_is_made_of_tensors(ort):
    model = models.build(
        [models.node("SequenceConstruct", "one two", "list")],
        [models.tensor(name, "int64", [2, 3]) for name in ("one", "two")],
        [models.sequence("list", "int64")],
    )
    session = opened(ort, model)
    one = np.arange(6).reshape(2, 3)
    return arguments(session), session.run(["list"], {"one": one, "two": one * 7})


@situation()
def a_tensor_is_inserted_into_an_empty_sequence(ort):
    model = models.build(
        [models.node("SequenceInsert", "items item", "list")],
        [models.sequence("items", "int64"), models.tensor("item", "int64", [2, 3])],
        [models.sequence("list", "int64")],
    )
    options = ort.SessionOptions()
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    session = ort.InferenceSession(model, sess_options=options, providers=CPU)
    item = np.arange(6).reshape(2, 3)
    feeds = [[], [item], [item, item]]
    return arguments(session), [
        session.run(["list"], {"item": item, "items": items}) for items in feeds
    ]


@situation()
def an_optional_sequence_is_fed(ort):
    inner = models.helper.make_tensor_type_proto(models.TensorProto.FLOAT, None)
    kind = models.helper.make_optional_type_proto(models.helper.make_sequence_type_proto(inner))
    model = models.build(
        [models.node("Identity", "x", "y")],
        [models.helper.make_value_info("x", kind)],
        [models.helper.make_value_info("y", kind)],
    )
    session = opened(ort, model)
    sequence = [np.arange(5, dtype="f4")]
    return arguments(session), session.run(["y"], {"x": sequence}), session.run(None, {"x": None})


@situation()
def runs_in_threads_have_options_of_their_own(ort):
    options = ort.SessionOptions()
    options.log_verbosity_level = 1
    options.logid = "threads"
    session = ort.InferenceSession(scaled(), sess_options=options, providers=CPU)
    found = {}

    def run(name: str) -> None:
        run_options = ort.RunOptions()
        run_options.logid = name
        found[name] = [session.run([], {"X": X}, run_options=run_options) for _ in range(20)]

    threads = [threading.Thread(target=run, args=(name,)) for name in ("one", "two", "three")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {name: [results[0], len(results)] for name, results in sorted(found.items())}


@situation()
def a_run_calls_back_with_the_users_data(ort):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    session = ort.InferenceSession(scaled(), options, providers=CPU)
    called, received = threading.Event(), []

    def callback(results: list, data: object, error: str) -> None:
        received.extend([results, data, error])
        called.set()

    session.run_async(["Y"], {"X": X}, callback, {"number": 7})
    return called.wait(30), received


@situation()
def a_run_on_one_thread_cannot_call_back(ort):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(scaled(), options, providers=CPU)
    return attempt(session.run_async, ["Y"], {"X": X}, lambda *_: None, None)


@situation()
def many_runs_of_changing_shapes_give_what_they_should(ort):
    session = opened(ort, models.identity("float32", ["rows", 3]))
    inputs = [np.full((rows, 3), rows, "f4") for rows in range(40, 80)]
    return all(np.array_equal(session.run(["y"], {"x": x})[0], x) for x in inputs)


def passed_through() -> bytes:
    """Build a model that has its input among its outputs."""
    return models.build(
        [models.node("Add", "x ten", "more")],
        [models.tensor("x", shape=[1, 2, 2])],
        [models.tensor("more", shape=[1, 2, 2]), models.tensor("x", shape=[1, 2, 2])],
        [models.constant("ten", np.float32(10))],
    )


@situation(since=(1, 32))
def an_input_that_is_an_output_is_a_copy(ort):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(passed_through(), sess_options=options, providers=CPU)
    inputs = [np.full((1, 2, 2), number, "f4") for number in range(7)]
    outputs = [session.run(None, {"x": x}) for x in inputs]
    shared = [np.shares_memory(pair[1], x) for pair, x in zip(outputs, inputs, strict=True)]
    for x in inputs:
        x[:] = -1
    return outputs, shared


@situation()
def an_output_is_a_view_of_the_sessions_memory(ort):
    (output,) = opened(ort, scaled()).run(None, {"X": X})
    return output.base is not None, output.flags.writeable, output


def tree(modes: list[str], weights: list[float]) -> bytes:
    """Build a logistic ensemble of one tree, whose leaves are the last `weights` nodes."""
    count, leaves = len(modes), len(weights)
    fields = {
        "base_values": [-0.25],
        "class_ids": [0] * leaves,
        "class_nodeids": list(range(count - leaves, count)),
        "class_treeids": [0] * leaves,
        "class_weights": weights,
        "classlabels_int64s": [0, 1],
        "nodes_falsenodeids": [2 if mode != "LEAF" else 0 for mode in modes],
        "nodes_featureids": [0] * count,
        "nodes_hitrates": [1.0] * count,
        "nodes_missing_value_tracks_true": [0] * count,
        "nodes_modes": modes,
        "nodes_nodeids": list(range(count)),
        "nodes_treeids": [0] * count,
        "nodes_truenodeids": [1 if mode != "LEAF" else 0 for mode in modes],
        "nodes_values": [0.5 if mode != "LEAF" else 0.0 for mode in modes],
        "post_transform": "LOGISTIC",
    }
    return models.build(
        [models.node("TreeEnsembleClassifier", "X", "label score", domain=models.ML, **fields)],
        [models.tensor("X", shape=["n", 3])],
        [models.tensor("label", "int64", ["n"]), models.tensor("score", shape=["n", 2])],
    )


@situation()
def trees_with_and_without_splits_are_scored(ort):
    trees = [
        (["BRANCH_LT", "LEAF", "LEAF"], [0.3, -0.3]),
        (["BRANCH_LT", "LEAF", "LEAF"], [0.3, 0.1]),
        (["LEAF"], [0.0]),
        (["LEAF"], [0.5]),
        (["LEAF"], [-0.5]),
    ]
    x = np.array([[0.1, 0, 0], [0.9, 0, 0]], "f4")
    return [opened(ort, tree(*each)).run(None, {"X": x}) for each in trees]


@situation()
def a_classifier_gives_maps(ort):
    sessions = [opened(ort, models.zip_map(strings=strings)) for strings in (True, False)]
    return [session.run(None, {"x": np.ones((2, 3), "f4")}) for session in sessions]


@situation()
def a_run_writes_into_values_of_a_vector(ort):
    session = opened(ort, scaled())
    vector = natives(ort).OrtValueVector
    feeds, fetches = vector(), vector()
    feeds.push_back(ort.OrtValue.ortvalue_from_numpy(X)._ortvalue)
    device = ort.OrtDevice.make("cpu", 0)._get_c_device()
    session.run_with_ortvaluevector(ort.RunOptions(), ["X"], feeds, ["Y"], fetches, [device])
    return len(fetches), fetches[0].numpy()
