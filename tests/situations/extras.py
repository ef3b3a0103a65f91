"""Adapters, tuning results, and which provider has a node."""

import copy
from pathlib import Path
from types import ModuleType

import models
import numpy as np

from situations import attempt, situation
from situations.opening import CPU, X, scaled

ONES = np.ones((4, 4), "f4")
PARAMETERS = {"a": np.full((4, 2), 2, "f4"), "b": np.full((2, 4), 3, "f4")}


def adaptable() -> bytes:
    """Build y = x @ w + x @ a @ b, where `a` and `b` are 0 unless they are given."""
    return models.build(
        [
            models.node("MatMul", "x w", "base"),
            models.node("MatMul", "x a", "xa"),
            models.node("MatMul", "xa b", "xab"),
            models.node("Add", "base xab", "y"),
        ],
        [
            models.tensor("x", shape=[4, 4]),
            models.tensor("a", shape=[4, "rank"]),
            models.tensor("b", shape=["rank", 4]),
        ],
        [models.tensor("y", shape=[4, 4])],
        [
            models.constant("w", np.arange(16, dtype="f4").reshape(4, 4)),
            models.constant("a", np.zeros((4, 0), "f4")),
            models.constant("b", np.zeros((0, 4), "f4")),
        ],
    )


def write_adapter(ort: ModuleType, path: str) -> object:
    values = {name: ort.OrtValue.ortvalue_from_numpy(array) for name, array in PARAMETERS.items()}
    adapter = ort.AdapterFormat()
    adapter.set_adapter_version(2)
    adapter.set_model_version(3)
    adapter.set_parameters(values)
    adapter.export_adapter(path)
    return adapter


@situation(needs="AdapterFormat")
def an_adapter_is_written_and_read(ort):
    write_adapter(ort, "mine.onnx_adapter")
    read = ort.AdapterFormat.read_adapter("mine.onnx_adapter")
    parameters = read.get_parameters()
    return [
        read.get_adapter_version(),
        read.get_model_version(),
        read.get_format_version(),
        {name: [p.is_tensor(), p.element_type(), p.shape()] for name, p in parameters.items()},
        {name: parameter.numpy() for name, parameter in parameters.items()},
    ]


def run_adapted(ort: ModuleType, *adapters: object) -> object:
    options = ort.RunOptions()
    for adapter in adapters:
        options.add_active_adapter(adapter)
    return ort.InferenceSession(adaptable()).run(None, {"x": ONES}, options)


def loaded(ort: ModuleType) -> object:
    adapter = ort.LoraAdapter()
    adapter.Load("../../adapter.onnx_adapter")
    return adapter


@situation(needs="LoraAdapter")
def a_run_is_adapted(ort):
    return run_adapted(ort, loaded(ort))


@situation(needs="LoraAdapter")
def a_run_without_adapters_is_not_adapted(ort):
    return run_adapted(ort)


@situation(needs="LoraAdapter")
def an_adapter_serves_many_runs(ort):
    adapter, session = loaded(ort), ort.InferenceSession(adaptable())
    found = []
    for _ in range(3):
        options = ort.RunOptions()
        options.add_active_adapter(adapter)
        found.append(session.run(None, {"x": ONES}, options))
        found.append(session.run(None, {"x": ONES}))
    return found


@situation(needs="LoraAdapter")
def an_adapter_file_that_is_absent_or_wrong_is_refused(ort):
    Path("text.onnx_adapter").write_text("no adapter")
    paths = ["absent.onnx_adapter", "text.onnx_adapter", "", "."]
    return [attempt(ort.LoraAdapter().Load, path) for path in paths]


# Nodes and providers


def three_nodes() -> bytes:
    nodes = [
        models.node("Add", "x x", "twice", name="add_0"),
        models.node("Mul", "twice x", "square", name="mul_0"),
        models.node("Add", "square x", "y", name="add_1"),
    ]
    return models.build(nodes, [models.tensor("x", shape=[2])], [models.tensor("y", shape=[2])])


@situation(needs="InferenceSession.get_provider_graph_assignment_info")
def providers_of_nodes_are_reported(ort):
    options = ort.SessionOptions()
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    session = ort.InferenceSession(three_nodes(), sess_options=options)
    return [
        [part.ep_name, [[node.domain, node.op_type, node.name] for node in part.get_nodes()]]
        for part in session.get_provider_graph_assignment_info()
    ]


@situation(needs="InferenceSession.get_provider_graph_assignment_info")
def providers_of_nodes_are_reported_only_if_recorded(ort):
    session = ort.InferenceSession(three_nodes())
    outcome = attempt(session.get_provider_graph_assignment_info)
    return outcome, "session.record_ep_graph_assignment_info" in outcome.get("text", "")


@situation()
def tuning_results_are_read_and_set(ort):
    session = ort.InferenceSession(scaled(), providers=CPU)
    found = attempt(session.get_tuning_results)
    results = copy.deepcopy(session.get_tuning_results())
    unknown = [{"ep": "NoSuchEP", "results": {}, "validators": {}}]
    return [
        found,
        attempt(session.set_tuning_results, results),
        attempt(session.set_tuning_results, unknown),
        attempt(session.set_tuning_results, unknown, error_on_invalid=True),
        session.run(None, {"X": X}),
    ]
