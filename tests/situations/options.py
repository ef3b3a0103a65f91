"""Options of sessions and runs: what is set, read back, and found in a model."""

import json
import os
from pathlib import Path
from types import ModuleType

import models
import numpy as np

from situations import attempt, situation
from situations.opening import CPU, X, arguments, scaled

FLAGS = (
    "enable_cpu_mem_arena",
    "enable_mem_pattern",
    "enable_mem_reuse",
    "enable_profiling",
    "use_deterministic_compute",
    "use_per_session_threads",
)
OTHERS = (
    "execution_mode",
    "execution_order",
    "graph_optimization_level",
    "inter_op_num_threads",
    "intra_op_num_threads",
    "log_severity_level",
    "log_verbosity_level",
    "logid",
    "optimized_model_filepath",
    "profile_file_prefix",
)


def free_dimensions() -> bytes:
    """Build y = |x|, of two symbolic dimensions that have denotations and one of size 5."""
    model = models.onnx.load_model_from_string(models.one_node("Abs"))
    for value in (*model.graph.input, *model.graph.output):
        dimensions = value.type.tensor_type.shape.dim
        for symbol, denotation in (("rows", "DATA_BATCH"), ("columns", "DATA_CHANNEL")):
            dimensions.add(dim_param=symbol, denotation=denotation)
        dimensions.add(dim_value=5)
    return model.SerializeToString()


def settings_of(options: object) -> dict[str, object]:
    return {name: getattr(options, name) for name in (*FLAGS, *OTHERS)}


@situation()
def session_options_have_defaults(ort):
    return settings_of(ort.SessionOptions())


@situation()
def session_options_are_set_and_read_back(ort):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.execution_mode = ort.ExecutionMode.ORT_PARALLEL
    options.enable_mem_pattern = False
    options.inter_op_num_threads, options.intra_op_num_threads = 2, 3
    options.logid, options.log_severity_level = "mine", 3
    session = ort.InferenceSession(scaled(), options, providers=CPU)
    return (
        settings_of(options),
        settings_of(session.get_session_options()),
        session.run(None, {"X": X}),
    )


@situation()
def each_level_of_optimization_runs(ort):
    found = []
    for level in ("DISABLE_ALL", "ENABLE_BASIC", "ENABLE_EXTENDED", "ENABLE_LAYOUT", "ENABLE_ALL"):
        options = ort.SessionOptions()
        value = getattr(ort.GraphOptimizationLevel, f"ORT_{level}", None)
        if value is None:
            continue
        options.graph_optimization_level = value
        session = ort.InferenceSession(scaled(), options, providers=CPU)
        found.append([options.graph_optimization_level == value, session.run(None, {"X": X})])
    return found


@situation()
def a_mode_of_execution_is_set(ort):
    options = ort.SessionOptions()
    before = options.execution_mode == ort.ExecutionMode.ORT_SEQUENTIAL
    options.execution_mode = ort.ExecutionMode.ORT_PARALLEL
    return before, options.execution_mode == ort.ExecutionMode.ORT_PARALLEL


@situation()
def options_that_few_set_let_a_service_start(ort):
    options = ort.SessionOptions()
    options.enable_mem_reuse = False
    options.execution_order = ort.ExecutionOrder.PRIORITY_BASED
    session = ort.InferenceSession(scaled(), options, providers=CPU)
    run_options = ort.RunOptions()
    run_options.only_execute_path_to_fetches = True
    return session.run(["Y"], {"X": X}, run_options), run_options.only_execute_path_to_fetches


@situation()
def configuration_entries_are_set_and_read_back(ort):
    options = ort.SessionOptions()
    options.add_session_config_entry("a.key", "a value")
    options.add_session_config_entry("a.key", "another value")
    outcome = attempt(options.get_session_config_entry, "no.key")
    expected = "SessionOptions does not have configuration with key: no.key"
    return options.get_session_config_entry("a.key"), outcome, expected in outcome.get("text", "")


@situation()
def a_run_frees_the_arena(ort):
    key = "memory.enable_memory_arena_shrinkage"
    run_options = ort.RunOptions()
    run_options.add_run_config_entry(key, "cpu:0")
    session = ort.InferenceSession(scaled(), providers=CPU)
    return run_options.get_run_config_entry(key), session.run([], {"X": X}, run_options)


@situation()
def dimensions_are_fixed_by_denotation(ort):
    options = ort.SessionOptions()
    options.add_free_dimension_override_by_denotation("DATA_BATCH", 3)
    options.add_free_dimension_override_by_denotation("DATA_CHANNEL", 5)
    return arguments(ort.InferenceSession(free_dimensions(), sess_options=options, providers=CPU))


@situation()
def dimensions_are_fixed_by_name(ort):
    options = ort.SessionOptions()
    options.add_free_dimension_override_by_name("rows", 4)
    options.add_free_dimension_override_by_name("columns", 6)
    return arguments(ort.InferenceSession(free_dimensions(), sess_options=options, providers=CPU))


@situation()
def an_initializer_is_replaced(ort):
    value = ort.OrtValue.ortvalue_from_numpy(X[::-1].copy())
    options = ort.SessionOptions()
    options.add_initializer("W", value)
    session = ort.InferenceSession(scaled(), sess_options=options, providers=CPU)
    return session.run(["Y"], {"X": X})


def external_weights() -> bytes:
    """Build Y = X * W, where W is in a file that is not there."""
    weights = models.constant("W", X)
    weights.ClearField("raw_data")
    weights.data_location = models.TensorProto.EXTERNAL
    for key, value in (("location", "not_there.bin"), ("offset", "0"), ("length", "24")):
        weights.external_data.add(key=key, value=value)
    return models.build(
        [models.node("Mul", "X W", "Y")],
        [models.tensor("X", shape=[3, 2])],
        [models.tensor("Y", shape=[3, 2])],
        [weights],
    )


@situation()
def external_initializers_are_given_by_name(ort):
    options = ort.SessionOptions()
    value = ort.OrtValue.ortvalue_from_numpy(X[::-1].copy())
    options.add_external_initializers(["W"], [value])
    session = ort.InferenceSession(external_weights(), sess_options=options, providers=CPU)
    return session.run(None, {"X": X})


@situation(needs="SessionOptions.add_external_initializers_from_files_in_memory")
def external_files_are_given_as_bytes(ort):
    content = X[::-1].tobytes()
    options = ort.SessionOptions()
    options.add_external_initializers_from_files_in_memory(
        ["not_there.bin"], [content], [len(content)]
    )
    session = ort.InferenceSession(external_weights(), sess_options=options, providers=CPU)
    return session.run(None, {"X": X})


@situation()
def an_external_file_that_is_absent_is_refused(ort):
    return attempt(ort.InferenceSession, external_weights(), providers=CPU)


def configured_model(config: object) -> bytes:
    return models.build(
        [models.node("Mul", "X X", "Y")],
        [models.tensor("X", shape=[3, 2])],
        [models.tensor("Y", shape=[3, 2])],
        metadata={"ort_config": json.dumps(config)},
    )


@situation()
def options_are_read_from_the_model_if_asked_for(ort):
    settings = {
        "enable_profiling": 1,
        "graph_optimization_level": 99,
        "inter_op_num_threads": 5,
        "intra_op_num_threads": 2,
    }
    model = configured_model({"session_options": settings})
    os.environ["ORT_LOAD_CONFIG_FROM_MODEL"] = "1"
    try:
        session = ort.InferenceSession(model, providers=CPU)
    finally:
        os.environ["ORT_LOAD_CONFIG_FROM_MODEL"] = "0"
    options = session.get_session_options()
    profile = session.end_profiling()
    plain = ort.InferenceSession(model, providers=CPU).get_session_options()
    return [
        [getattr(options, name) for name in settings],
        Path(profile).is_file() and profile != "",
        [getattr(plain, name) for name in settings],
    ]


OTHER_SETTINGS = [
    {},
    {"other": {}},
    {"session_options": 5},
    {"session_options": {"nothing": 1, "execution_mode": 1}},
    {"session_options": {"intra_op_num_threads": "2"}},
    {"session_options": {"execution_mode": True}},
    {"session_options": {"graph_optimization_level": 7}},
    {"session_options": {"graph_optimization_level": 1}},
]


@situation()
def options_of_the_model_replace_the_sessions(ort):
    options = ort.SessionOptions()
    options.logid = "mine"
    options.inter_op_num_threads = 3
    options.log_severity_level = 4
    names = ("logid", "inter_op_num_threads", "execution_mode", "graph_optimization_level")

    def opened(model: bytes) -> list:
        Path("model.onnx").write_bytes(model)
        found = ort.InferenceSession("model.onnx", options, providers=CPU, enable_fallback=0)
        return [getattr(found.get_session_options(), name) for name in names]

    os.environ["ORT_LOAD_CONFIG_FROM_MODEL"] = "1"
    try:
        return [attempt(opened, configured_model(each)) for each in OTHER_SETTINGS], attempt(
            opened, scaled()
        )
    finally:
        os.environ["ORT_LOAD_CONFIG_FROM_MODEL"] = "0"


# Profiles


def profiled(ort: ModuleType) -> object:
    options = ort.SessionOptions()
    options.enable_profiling = True
    return ort.InferenceSession(scaled(), sess_options=options, providers=CPU)


@situation()
def a_profile_is_written(ort):
    session = profiled(ort)
    session.run([], {"X": X})
    profile = Path(session.end_profiling())
    events = json.loads(profile.read_text())
    return [
        profile.name.startswith("onnxruntime_profile_"),
        len(events) > 0,
        all({"cat", "pid", "tid", "dur", "ts", "ph", "name", "args"} <= set(e) for e in events),
        sorted({event["cat"] for event in events}),
    ]


@situation()
def profiles_begin_one_after_another(ort):
    sessions = [profiled(ort) for _ in range(3)]
    starts = [session.get_profiling_start_time_ns() for session in sessions]
    ended = [Path(session.end_profiling()).is_file() for session in sessions]
    return starts == sorted(starts), ended


@situation()
def without_profiling_there_is_no_profile(ort):
    return ort.InferenceSession(scaled(), providers=CPU).end_profiling()


# Libraries of custom operators


@situation(package="onnxruntime_extensions")
def a_library_of_custom_operators_is_registered(ort):
    import onnxruntime_extensions

    domain = "ai.onnx.contrib"
    graph = models.graph(
        [models.node("StringUpper", "text", "upper", domain=domain)],
        [models.tensor("text", object, ["n"])],
        [models.tensor("upper", object, ["n"])],
    )
    opsets = [models.helper.make_opsetid("", 17), models.helper.make_opsetid(domain, 1)]
    model = models.helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    first, again = ort.SessionOptions(), ort.SessionOptions()
    for options in (first, again):
        options.register_custom_ops_library(onnxruntime_extensions.get_library_path())
    alias = first
    feed = {"text": np.array(["ab", "c"], object)}
    return [
        ort.InferenceSession(model, options, providers=CPU).run(None, feed)
        for options in (first, alias, again)
    ]


@situation()
def a_library_that_is_absent_is_refused(ort):
    def register_and_open() -> object:
        options = ort.SessionOptions()
        options.register_custom_ops_library("./no_such_library.so")
        return ort.InferenceSession(scaled(), options, providers=CPU)

    return attempt(register_and_open)


@situation()
def options_outlive_the_session_that_used_them(ort):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    for _ in range(3):
        session = ort.InferenceSession(scaled(), options, providers=CPU)
        del session
    return settings_of(options)


@situation()
def metadata_of_a_model_are_read(ort):
    model = models.affine()
    session = ort.InferenceSession(model, providers=CPU)
    meta = session.get_modelmeta()
    return [
        meta.producer_name,
        meta.graph_name,
        meta.domain,
        meta.description,
        meta.graph_description,
        meta.version,
        list(meta.custom_metadata_map.items()),
    ]
