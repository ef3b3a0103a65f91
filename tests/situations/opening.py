"""Sessions opened from paths and bytes, saved optimized, and with execution providers."""

from pathlib import Path
from types import ModuleType

import models
import numpy as np
import onnx

from situations import attempt, natives, situation, warned

CPU = ["CPUExecutionProvider"]
EXTERNAL = "session.optimized_model_external_initializers_file_name"
EXTERNAL_FROM = "session.optimized_model_external_initializers_min_size_in_bytes"
X = np.arange(1, 7, dtype="f4").reshape(3, 2)


def scaled() -> bytes:
    """Build Y = X * W, of a fixed shape."""
    return models.build(
        [models.node("Mul", "X W", "Y")],
        [models.tensor("X", shape=[3, 2])],
        [models.tensor("Y", shape=[3, 2])],
        [models.constant("W", X)],
    )


def arguments(session: object) -> list:
    return [
        [[arg.name, arg.type, arg.shape] for arg in args]
        for args in (session.get_inputs(), session.get_outputs())
    ]


def saving(ort: ModuleType, target: str, config: dict[str, str] | None = None) -> object:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.logid = "saving"
    options.optimized_model_filepath = target
    for key, value in (config or {}).items():
        options.add_session_config_entry(key, value)
    return options


def described_file(path: str) -> list:
    """Describe a model file: its operators, and its initializers by name, size and place."""
    model = onnx.load(path, load_external_data=False)
    initializers = sorted(
        [tensor.name, list(tensor.dims), {pair.key for pair in tensor.external_data} != set()]
        for tensor in model.graph.initializer
    )
    return [[node.op_type for node in model.graph.node], initializers]


def written(*paths: str) -> list:
    return [Path(path).is_file() for path in paths]


@situation()
def a_model_is_opened_by_str_path_and_bytes(ort):
    Path("model.onnx").write_bytes(scaled())
    sources = ["model.onnx", Path("model.onnx"), str(Path("model.onnx").absolute()), scaled()]
    sessions = [ort.InferenceSession(source, providers=CPU) for source in sources]
    return [[arguments(session), session.run(["Y"], {"X": X})] for session in sessions]


@situation()
def what_is_no_model_is_refused(ort):
    Path("text.onnx").write_text("no model")
    sources = ["absent.onnx", "absent/model.onnx", "text.onnx", b"no model", b"", None, 5]
    return [attempt(ort.InferenceSession, source) for source in sources]


@situation()
def a_path_without_characters_is_refused(ort):
    return attempt(ort.InferenceSession, "")


@situation()
def a_path_to_an_empty_file_or_a_folder_is_refused(ort):
    Path("empty.onnx").touch()
    return [attempt(ort.InferenceSession, source) for source in ("empty.onnx", ".")]


@situation()
def an_optimized_model_is_saved(ort):
    ort.InferenceSession(scaled(), sess_options=saving(ort, "./saved.onnx"))
    again = ort.InferenceSession("saved.onnx", providers=CPU)
    return written("saved.onnx"), described_file("saved.onnx"), again.run(None, {"X": X})


@situation()
def an_optimized_model_is_saved_with_external_weights(ort):
    config = {EXTERNAL: "weights.bin", EXTERNAL_FROM: "100"}
    ort.InferenceSession(models.weights(2, 16), sess_options=saving(ort, "saved.onnx", config))
    again = ort.InferenceSession("saved.onnx", providers=CPU)
    feed = {"h0": np.ones((1, 16), "f4")}
    return written("saved.onnx", "weights.bin"), described_file("saved.onnx"), again.run(None, feed)


@situation()
def external_weights_are_saved_beside_the_optimized_model(ort):
    Path("folder").mkdir()
    config = {EXTERNAL: "weights.bin", EXTERNAL_FROM: "100"}
    options = saving(ort, "folder/saved.onnx", config)
    ort.InferenceSession(models.weights(2, 16), sess_options=options)
    return written("folder/saved.onnx", "folder/weights.bin", "weights.bin")


@situation()
def small_weights_stay_in_the_optimized_model(ort):
    config = {EXTERNAL: "weights.bin", EXTERNAL_FROM: "1000000"}
    ort.InferenceSession(scaled(), sess_options=saving(ort, "saved.onnx", config))
    return written("saved.onnx", "weights.bin"), described_file("saved.onnx")


@situation()
def a_model_with_external_data_is_saved_with_other_external_data(ort):
    Path("there").mkdir()
    path, _ = models.external(Path(), 2, 16)
    config = {EXTERNAL: "weights.bin", EXTERNAL_FROM: "20"}
    ort.InferenceSession(str(path), sess_options=saving(ort, "there/saved.onnx", config))
    again = ort.InferenceSession("there/saved.onnx")
    return written("there/weights.bin"), again.run(None, {"h0": np.ones((1, 16), "f4")})


@situation()
def saved_models_do_not_depend_on_what_they_were_saved_from(ort):
    path, data = models.external(Path(), 2, 16)
    config = {EXTERNAL: "first.bin", EXTERNAL_FROM: "100"}
    ort.InferenceSession(str(path), sess_options=saving(ort, "first.onnx", config))
    config = {EXTERNAL: "second.bin", EXTERNAL_FROM: "10"}
    ort.InferenceSession("first.onnx", sess_options=saving(ort, "second.onnx", config))
    for name in (path, data, "first.onnx", "first.bin"):
        Path(name).unlink()
    again = ort.InferenceSession("second.onnx", sess_options=ort.SessionOptions())
    return again.run(None, {"h0": np.ones((1, 16), "f4")})


@situation()
def a_model_is_saved_in_ort_format_and_opened(ort):
    options = saving(ort, "saved.ort", {"session.save_model_format": "ORT"})
    ort.InferenceSession(scaled(), options, providers=CPU)
    content = Path("saved.ort").read_bytes()
    sessions = [ort.InferenceSession(source) for source in ("saved.ort", content)]
    return [[arguments(session), session.run(None, {"X": X})] for session in sessions]


# Execution providers


@situation()
def available_providers_open_a_session(ort):
    available = ort.get_available_providers()
    session = ort.InferenceSession(scaled(), providers=available)
    return [
        "CPUExecutionProvider" in available,
        ort.get_all_providers()[-1],
        set(available) <= set(ort.get_all_providers()),
        "CPUExecutionProvider" in session.get_providers(),
    ]


@situation()
def the_providers_of_a_session_are_set_again(ort):
    session = ort.InferenceSession(scaled(), providers=ort.get_available_providers())
    found = []
    for providers, settings in (
        (CPU, None),
        (CPU, [{}]),
        ([("CPUExecutionProvider", {})], None),
        ([], None),
        (None, None),
    ):
        session.set_providers(providers, settings)
        found.append([session.get_providers(), session.get_provider_options()])
    return found, session.run(["Y"], {"X": X})


@situation()
def options_of_a_provider_are_set_and_read_back(ort):
    session = ort.InferenceSession(scaled(), providers=[("CPUExecutionProvider", {"a": 1})])
    first = session.get_provider_options()
    session.set_providers(CPU, [{"b": 2}])
    return first, session.get_provider_options()


@situation()
def an_unknown_provider_cannot_be_set(ort):
    session = ort.InferenceSession(scaled(), providers=CPU)
    outcome = attempt(session.set_providers, ["NoSuchExecutionProvider"])
    return outcome, "Unknown Provider Type: NoSuchExecutionProvider" in outcome.get("text", "")


@situation()
def an_unknown_provider_is_left_out_of_a_new_session(ort):
    providers = ["NoSuchExecutionProvider", "CPUExecutionProvider"]
    session = ort.InferenceSession(scaled(), providers=providers)
    return session.get_providers(), session.run(None, {"X": X})


@situation()
def providers_of_other_builds_are_left_out(ort):
    providers = ["CUDAExecutionProvider", "TensorrtExecutionProvider", "CPUExecutionProvider"]
    session = ort.InferenceSession(scaled(), providers=providers)
    return session.get_providers(), session.get_provider_options()


@situation()
def malformed_providers_are_refused(ort):
    forms = [
        (3, None),
        ([3], None),
        (["CPUExecutionProvider"], 3),
        (["CPUExecutionProvider"], ["no dict"]),
        (["CPUExecutionProvider"], [{}, {}]),
        ([("CPUExecutionProvider", {1: 2})], [{3: 4}]),
        ([("CPUExecutionProvider",)], None),
    ]
    return [
        attempt(ort.InferenceSession, scaled(), None, *form, enable_fallback=0) for form in forms
    ]


@situation()
def a_provider_that_is_named_twice_is_warned_of(ort):
    providers = ["CPUExecutionProvider", "CPUExecutionProvider"]
    settings = [{"x": 1}, {"y": 2}]
    outcome = warned(ort.InferenceSession, scaled(), None, providers, settings)
    session = ort.InferenceSession(scaled(), None, providers, settings)
    return outcome, session.get_providers()


@situation()
def a_session_on_the_cpu_reports_the_cpu_only(ort):
    session = ort.InferenceSession(scaled(), providers=CPU)
    return session.get_providers(), ort.get_device(), natives(ort).get_available_providers()[-1]
