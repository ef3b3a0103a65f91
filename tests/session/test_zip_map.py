"""A classifier's dicts are built from its ZipMap's input, which nobody sees as an output."""

import copy
import pickle
import threading
from collections.abc import Callable
from pathlib import Path

import models
import numpy as np
import onnx
import pytest
from models import ML, TensorProto, helper
from support import assert_same, caught, onnxruntime_session, ortmmap_session, run_python, to_ort

import ortmmap
import ortmmap.session.optimizing

STRINGS = ["zoë", "a", "ünï", "Z", "", "b\0b", "二"]
INTEGERS = [3, -1, 2**40, 0, -(2**62), 1000, 7]
SPECIAL = np.array([np.nan, -np.nan, np.inf, -np.inf, -0.0, 1e-45, 0.1], "f4")


def maps_info(labels: list, name: str = "maps") -> onnx.ValueInfoProto:
    key = TensorProto.STRING if isinstance(labels[0], str) else TensorProto.INT64
    inner = helper.make_map_type_proto(key, helper.make_tensor_type_proto(TensorProto.FLOAT, None))
    return helper.make_value_info(name, helper.make_sequence_type_proto(inner))


def zip_map(source: str, labels: list, output: str = "maps") -> onnx.NodeProto:
    key = "classlabels_strings" if isinstance(labels[0], str) else "classlabels_int64s"
    return models.node("ZipMap", source, output, domain=ML, **{key: labels})


def classifier(
    labels: list, shape: list | None = None, outputs: tuple = (), weights: tuple = ()
) -> bytes:
    """Build a model of the best column's number and of the maps; `x` is negated twice."""
    return models.build(
        [
            models.node("Neg", "x", "negative"),
            models.node("Neg", "negative", "scores"),
            models.node("ArgMax", "scores", "best", axis=-1),
            zip_map("scores", labels),
        ],
        [models.tensor("x", shape=shape or ["n", "m"])],
        [models.tensor("best", "int64"), maps_info(labels), *outputs],
        list(weights),
    )


def feed(rows: int, columns: int) -> dict:
    return {"x": np.random.default_rng(rows).standard_normal((rows, columns), "f4")}


def names(session: ortmmap.Session) -> list[str]:
    return [output.name for output in session.get_outputs()]


def is_direct(session: ortmmap.Session, inputs: dict) -> bool:
    """Whether two runs share their keys, which runs that read maps make anew."""
    first, second = (session.run(["maps"], inputs)[0][0] for _ in range(2))
    return all(one is other for one, other in zip(first, second, strict=True) if one not in (0, 7))


def assert_equal_runs(model: bytes, inputs: dict, fetched: list | None = None) -> list:
    ours, theirs = ortmmap_session(model), onnxruntime_session(model)
    result = ours.run(fetched, inputs)
    expected = theirs.run(fetched, inputs)
    assert_same(bits(result), bits(expected))
    return result


def bits(value: object) -> object:
    """Replace floats by their text, since a NaN differs from itself."""
    if isinstance(value, list):
        return [bits(item) for item in value]
    if isinstance(value, dict):
        return {key: value.hex() for key, value in value.items()}
    return value


@pytest.mark.parametrize("labels", [INTEGERS, STRINGS], ids=["integers", "strings"])
@pytest.mark.parametrize("rows", [0, 1, 2, 300])
def test_dicts_are_onnxruntimes(labels: list, rows: int) -> None:
    maps = assert_equal_runs(classifier(labels), feed(rows, 7))[1]
    assert {type(value) for each in maps for value in each.values()} <= {float}
    assert is_direct(ortmmap_session(classifier(labels)), feed(1, 7))


@pytest.mark.parametrize("labels", [INTEGERS, STRINGS], ids=["integers", "strings"])
def test_values_that_are_no_numbers_or_have_no_sign(labels: list) -> None:
    assert_equal_runs(classifier(labels), {"x": np.stack([SPECIAL, SPECIAL[::-1]])})


def test_a_row_alone_is_one_dict() -> None:
    model = classifier(INTEGERS, shape=["m"])
    assert len(assert_equal_runs(model, {"x": SPECIAL})[1]) == 1
    assert is_direct(ortmmap_session(model), {"x": SPECIAL})


@pytest.mark.parametrize("labels", [[3, 1, 3, 3], ["b", "a", "b", "b"]])
def test_of_equal_labels_the_last_counts(labels: list) -> None:
    assert len(assert_equal_runs(classifier(labels), feed(3, 4))[1][0]) == 2


def test_many_labels() -> None:
    assert_equal_runs(classifier([f"label {number}" for number in range(3000)]), feed(2, 3000))


@pytest.mark.parametrize("columns", [0, 6, 8])
@pytest.mark.parametrize("rows", [0, 1, 3])
def test_columns_that_do_not_go_with_the_labels_are_onnxruntimes_error(
    rows: int, columns: int
) -> None:
    model, inputs = classifier(INTEGERS), {"x": np.ones((rows, columns), "f4")}
    error = caught(ortmmap_session(model).run, ["maps"], inputs)
    assert str(error) == str(caught(onnxruntime_session(model).run, ["maps"], inputs))
    assert isinstance(error, ortmmap.errors.OrtError)


def test_an_input_of_another_type_is_onnxruntimes_error() -> None:
    model = models.build(
        [zip_map("x", INTEGERS)], [models.tensor("x", "f8", ["n", 7])], [maps_info(INTEGERS)]
    )
    error = caught(ortmmap_session, model)
    assert str(error).startswith(str(caught(onnxruntime_session, model)))


@pytest.mark.parametrize(
    "fetched",
    [
        None,
        ["maps"],
        ["maps", "best"],
        ["maps", "maps"],
        ["best", "maps", "best", "maps"],
        ["scores", "maps"],
        ["maps", "scores", "scores"],
    ],
)
def test_outputs_come_in_the_order_of_their_names(fetched: list | None) -> None:
    model = classifier(STRINGS, outputs=(models.tensor("scores", shape=["n", "m"]),))
    result = assert_equal_runs(model, feed(3, 7), fetched)
    if fetched == ["maps", "maps"]:
        assert result[0][0] is not result[1][0]


def test_results_are_the_callers_own() -> None:
    session = ortmmap_session(
        classifier(STRINGS, outputs=(models.tensor("scores", shape=["n", "m"]),))
    )
    inputs = feed(2, 7)
    scores, maps = session.run(["scores", "maps"], inputs)
    expected = copy.deepcopy(maps)
    scores[:] = 0
    maps[0].clear()
    assert maps[1] == expected[1]
    assert session.run(["maps"], inputs) == [expected]


def test_two_zip_maps_of_one_and_of_two_tensors() -> None:
    model = models.build(
        [
            models.node("Neg", "x", "scores"),
            models.node("Abs", "x", "sizes"),
            zip_map("scores", STRINGS, "names"),
            zip_map("scores", INTEGERS, "numbers"),
            zip_map("sizes", INTEGERS, "absolute"),
        ],
        [models.tensor("x", shape=["n", 7])],
        [maps_info(STRINGS, "names"), maps_info(INTEGERS, "numbers"),
         maps_info(INTEGERS, "absolute")],
    )  # fmt: skip
    assert_equal_runs(model, feed(3, 7))
    assert_equal_runs(model, feed(3, 7), ["absolute", "names", "numbers", "names"])
    assert names(ortmmap_session(model)) == ["names", "numbers", "absolute"]


def test_a_zip_map_of_an_input_and_of_weights() -> None:
    weights = models.constant("w", np.arange(14, dtype="f4").reshape(2, 7))
    model = models.build(
        [zip_map("x", INTEGERS), zip_map("w", STRINGS, "fixed")],
        [models.tensor("x", shape=["n", 7])],
        [maps_info(INTEGERS), maps_info(STRINGS, "fixed")],
        [weights],
    )
    assert_equal_runs(model, feed(3, 7))
    session = ortmmap_session(model)
    assert is_direct(session, feed(1, 7))
    (maps,) = session.run(["maps"], {"x": np.zeros((1, 7), "f4")})
    assert maps == [dict.fromkeys(sorted(INTEGERS), 0.0)]


def test_the_tensor_is_no_output_to_anybody() -> None:
    session = ortmmap_session(classifier(STRINGS))
    theirs = onnxruntime_session(classifier(STRINGS))
    inputs = feed(2, 7)
    for ours, other in zip(session.get_outputs(), theirs.get_outputs(), strict=True):
        assert (ours.name, ours.type, ours.shape) == (other.name, other.type, other.shape)
    assert len(session.run(None, inputs)) == len(session.run([], inputs)) == 2
    error = caught(session.run, ["scores"], inputs)
    assert str(error).startswith(str(caught(theirs.run, ["scores"], inputs)))
    assert "['best', 'maps']" in str(error)
    binding = session.io_binding()
    assert isinstance(caught(binding.bind_output, "scores"), ortmmap.errors.InvalidArgument)
    assert len(session.run_with_ort_values(None, ort_values(inputs))) == 2
    assert [arg.name for arg in ortmmap.InferenceSession(classifier(STRINGS))._outputs_meta] == [
        "best",
        "maps",
    ]


def ort_values(inputs: dict) -> dict:
    return {name: ortmmap.OrtValue.ortvalue_from_numpy(value) for name, value in inputs.items()}


def test_values_of_onnxruntimes_stay_sequences_of_maps() -> None:
    session = ortmmap_session(classifier(STRINGS))
    inputs = feed(2, 7)
    expected = session.run(["maps"], inputs)[0]
    (value,) = session.run_with_ort_values(["maps"], ort_values(inputs))
    assert value.data_type() == "seq(map(string,tensor(float)))"
    binding = session.io_binding()
    binding.bind_cpu_input("x", inputs["x"])
    binding.bind_output("maps")
    session.run_with_iobinding(binding)
    assert binding.copy_outputs_to_cpu() == [expected]


def test_runs_on_other_threads() -> None:
    session = ortmmap_session(classifier(STRINGS), intra_op_num_threads=2)
    inputs, done, got = feed(3, 7), threading.Event(), []

    def receive(results: list, _: object, error: str) -> None:
        got.extend([*results, error])
        done.set()

    session.run_async(None, inputs, receive, None)
    assert done.wait(30)
    assert_same(got, [*session.run(None, inputs), ""])


@pytest.mark.parametrize("mode", list(ortmmap.ExecutionMode))
def test_execution_modes_and_profiling(mode: ortmmap.ExecutionMode, tmp_path: Path) -> None:
    session = ortmmap_session(
        classifier(STRINGS),
        execution_mode=mode,
        enable_profiling=True,
        profile_file_prefix=str(tmp_path / "profile"),
    )
    inputs = feed(3, 7)
    assert_same(
        session.run(None, inputs), onnxruntime_session(classifier(STRINGS)).run(None, inputs)
    )
    assert "ZipMap" in Path(session.end_profiling()).read_text()


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview])
def test_buffers(wrap: Callable) -> None:
    session = ortmmap.Session(wrap(classifier(STRINGS)))
    assert names(session) == ["best", "maps"]
    assert is_direct(session, feed(1, 7))


def test_a_file_with_its_copies(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(classifier(STRINGS))
    session = ortmmap.Session(path)
    expected = session.run(None, feed(3, 7))
    for each in (session, copy.copy(session), pickle.loads(pickle.dumps(session))):
        assert names(each) == ["best", "maps"]
        assert is_direct(each, feed(1, 7))
        assert_same(each.run(None, feed(3, 7)), expected)


def with_weights() -> bytes:
    """Build a classifier with weights that stay in its file."""
    weights = models.constant("w", np.random.default_rng(1).random((4096, 7), "f4"))
    return models.build(
        [
            models.node("MatMul", "x w", "product"),
            models.node("Softmax", "product", "scores"),
            zip_map("scores", STRINGS),
        ],
        [models.tensor("x", shape=["n", 4096])],
        [maps_info(STRINGS)],
        [weights],
    )


def test_weights_stay_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(with_weights())
    session = ortmmap_session(path)
    assert session.mapping is not None
    assert is_direct(session, feed(2, 4096))
    assert_same(
        session.run(None, feed(2, 4096)), onnxruntime_session(str(path)).run(None, feed(2, 4096))
    )


@pytest.mark.parametrize("build", [with_weights, lambda: classifier(STRINGS)])
def test_the_cache_keeps_the_tensor(tmp_path: Path, build: Callable) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(build())
    columns = 4096 if build is with_weights else 7
    expected = onnxruntime_session(str(path)).run(["maps"], feed(2, columns))
    for _ in range(3):
        session = ortmmap.Session(path, cache=tmp_path / "cache")
        assert "scores" not in names(session)
        assert is_direct(session, feed(2, columns))
        assert_same(session.run(["maps"], feed(2, columns)), expected)
    assert list((tmp_path / "cache").rglob("graph.onnx"))


@pytest.mark.parametrize("rewritten", [4 << 20, -1], ids=["graph", "copy"])
def test_the_cache_keeps_a_tensor_that_is_an_output(
    tmp_path: Path, rewritten: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ortmmap.session.optimizing, "MOST_REWRITTEN", rewritten)
    path = tmp_path / "model.onnx"
    model = onnx.load_from_string(with_weights())
    model.graph.output.append(helper.make_tensor_value_info("scores", TensorProto.FLOAT, None))
    path.write_bytes(model.SerializeToString())
    expected = onnxruntime_session(str(path)).run(["maps"], feed(2, 4096))
    for _ in range(3):
        session = ortmmap.Session(path, cache=tmp_path / "cache")
        assert "scores" in names(session)
        assert is_direct(session, feed(2, 4096))
        assert_same(session.run(["maps"], feed(2, 4096)), expected)
        assert session.cached.wait(60)


def test_saved_models_have_their_own_outputs_only(tmp_path: Path) -> None:
    source, saved = tmp_path / "model.onnx", tmp_path / "saved.onnx"
    source.write_bytes(classifier(STRINGS))
    for model in (source, source.read_bytes()):
        ortmmap_session(model, optimized_model_filepath=str(saved))
        assert [output.name for output in onnx.load(saved).graph.output] == ["best", "maps"]
    converted = ortmmap.convert(source)
    assert [each.name for each in onnxruntime_session(converted).get_outputs()] == ["best", "maps"]


def test_a_model_with_compiled_nodes_to_save_keeps_its_outputs(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(classifier(STRINGS))
    config = {"ep.context_enable": "1", "ep.context_file_path": str(tmp_path / "saved.onnx")}
    session = ortmmap_session(path, config=config)
    assert not is_direct(session, feed(1, 7))
    assert_same(
        session.run(None, feed(3, 7)),
        onnxruntime_session(classifier(STRINGS)).run(None, feed(3, 7)),
    )


def test_ort_format_is_read_as_maps() -> None:
    model = to_ort(classifier(STRINGS))
    session = ortmmap_session(model)
    inputs = feed(3, 7)
    assert names(session) == ["best", "maps"]
    assert not is_direct(session, inputs)
    assert_same(session.run(None, inputs), onnxruntime_session(model).run(None, inputs))


def test_a_model_that_an_option_has_in_one_file_is_read_as_maps(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(classifier(STRINGS))
    key = "session.model_external_initializers_file_folder_path"
    session = ortmmap_session(tmp_path / "model.onnx", config={key: str(tmp_path)})
    assert names(session) == ["best", "maps"]
    assert_same(
        session.run(None, feed(2, 7)),
        onnxruntime_session(classifier(STRINGS)).run(None, feed(2, 7)),
    )


def test_nothing_more_is_logged(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(classifier(STRINGS))
    done = run_python(
        "import sys, numpy, ortmmap\n"
        "from pathlib import Path\n"
        "x = {'x': numpy.ones((1, 7), 'f4')}\n"
        "for source in (sys.argv[1], Path(sys.argv[1]).read_bytes()):\n"
        "    ortmmap.Session(source).run(None, x)\n",
        path,
    )
    assert done.stderr == ""


SERVICE = """
import sys
import numpy as np
{imports}
x = np.random.default_rng(0).standard_normal((5, 7), "f4")
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
assert hasattr(session, "mapping") is {ours}
print([output.name for output in session.get_outputs()])
best, maps = session.run(None, {{session.get_inputs()[0].name: x}})
print(best.tolist(), maps)
"""
PATCH = "import ortmmap\n_patch = ortmmap.patch_onnxruntime(threshold=0)\nimport onnxruntime"


@pytest.mark.parametrize("imports", [PATCH, "import ortmmap as onnxruntime"])
def test_clients_get_the_same_text(tmp_path: Path, imports: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(classifier(STRINGS))
    ours = run_python(SERVICE.format(imports=imports, ours=True), path).stdout
    theirs = run_python(SERVICE.format(imports="import onnxruntime", ours=False), path).stdout
    assert ours == theirs
    assert "二" in ours


@pytest.mark.parametrize("strings", [False, True])
@pytest.mark.parametrize("kind", ["LogisticRegression", "RandomForestClassifier"])
@pytest.mark.parametrize("classes", [2, 3, 10])
def test_scikit_learns_classifiers(kind: str, classes: int, strings: bool) -> None:
    pytest.importorskip("sklearn")
    skl2onnx = pytest.importorskip("skl2onnx")
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng(classes)
    x = random.standard_normal((200, 5), "f4")
    y = np.digitize(x[:, 0], np.linspace(-1, 1, classes - 1))
    labels = np.array([f"class {number}" for number in y]) if strings else y
    learner = (
        LogisticRegression()
        if kind == "LogisticRegression"
        else RandomForestClassifier(5, max_depth=4, random_state=0)
    )
    model = skl2onnx.to_onnx(learner.fit(x, labels), x[:1], target_opset=15).SerializeToString()
    for rows in (1, 100):
        _, maps = assert_equal_runs(model, {"X": x[:rows]})
        assert len(maps) == rows
        assert len(maps[0]) == classes
    assert {output.name for output in ortmmap_session(model).get_outputs()} == {
        "output_label",
        "output_probability",
    }
