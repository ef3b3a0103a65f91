"""Libraries that use onnxruntime, unchanged, on ortmmap's sessions.

A test is skipped if its library is not installed: ``pip install "ortmmap[clients]"``, and torch.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

import ortmmap

pytestmark = [
    pytest.mark.filterwarnings("default"),  # of the libraries themselves
    pytest.mark.slow,
]


@pytest.fixture(autouse=True)
def patched() -> Iterator[None]:
    with ortmmap.patch_onnxruntime(threshold=0):
        yield


def open_session(model: object, *args: object) -> onnxruntime.InferenceSession:
    session = onnxruntime.InferenceSession(model, *args)
    assert isinstance(session, ortmmap.Session)
    return session


# scikit-learn, through skl2onnx


@pytest.fixture(scope="module")
def iris() -> tuple[np.ndarray, np.ndarray]:
    datasets = pytest.importorskip("sklearn.datasets")
    pytest.importorskip("skl2onnx")
    features, labels = datasets.load_iris(return_X_y=True)
    return features.astype("f4"), labels


def test_a_classifier_returns_a_sequence_of_maps(iris):
    from skl2onnx import to_onnx
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    features, labels = iris
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(features, labels)
    session = open_session(to_onnx(model, features[:1]).SerializeToString())
    assert session.get_outputs()[1].type == "seq(map(int64,tensor(float)))"
    predicted, probabilities = session.run(None, {"X": features})
    np.testing.assert_array_equal(predicted, model.predict(features))
    assert [list(row) for row in probabilities] == [[0, 1, 2]] * len(features)
    np.testing.assert_allclose(
        [list(row.values()) for row in probabilities], model.predict_proba(features), atol=1e-5
    )


def test_a_classifier_of_strings_returns_maps_with_strings(iris):
    from skl2onnx import to_onnx
    from sklearn.ensemble import RandomForestClassifier

    features, labels = iris
    names = np.array(["setosa", "versicolor", "virginica"])[labels]
    model = RandomForestClassifier(8, random_state=0).fit(features, names)
    session = open_session(to_onnx(model, features[:1]).SerializeToString())
    predicted, probabilities = session.run(None, {"X": features})
    assert list(predicted) == list(model.predict(features))
    assert list(probabilities[0]) == ["setosa", "versicolor", "virginica"]


def test_a_pipeline_of_text_columns(iris):
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    features, _ = iris
    table = np.empty((len(features), 2), object)
    table[:, 0] = np.where(features[:, 0] > 6, "long", "größer")
    table[:, 1] = features[:, 1]
    columns = ColumnTransformer([("text", OneHotEncoder(), [0]), ("number", StandardScaler(), [1])])
    model = make_pipeline(columns, Ridge()).fit(table, features[:, 2])
    inputs = [("text", StringTensorType([None, 1])), ("number", FloatTensorType([None, 1]))]
    session = open_session(to_onnx(model, initial_types=inputs).SerializeToString())
    feed = {"text": table[:, :1], "number": table[:, 1:].astype("f4")}
    np.testing.assert_allclose(
        session.run(None, feed)[0].ravel(), model.predict(table).ravel(), rtol=1e-3
    )


# torch


@pytest.fixture
def module() -> object:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    torch.manual_seed(0)
    layers = (
        torch.nn.Conv2d(3, 4, 3),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        torch.nn.Linear(144, 5),
    )
    return torch.nn.Sequential(*layers).eval()


def test_an_exported_module_runs_from_its_file(module, tmp_path):
    import torch

    image = torch.randn(2, 3, 8, 8)
    program = torch.onnx.export(module, (image,), dynamo=True, verbose=False)
    program.save(str(tmp_path / "model.onnx"), external_data=True)
    session = open_session(Path(tmp_path, "model.onnx"))
    feed = {session.get_inputs()[0].name: image.numpy()}
    expected = module(image).detach().numpy()
    np.testing.assert_allclose(session.run(None, feed)[0], expected, atol=1e-5)


def test_a_tensor_is_fed_as_it_is(module, tmp_path):
    import torch

    image = torch.randn(1, 3, 8, 8)
    torch.onnx.export(module, (image,), str(tmp_path / "model.onnx"), dynamo=True, verbose=False)
    session = open_session(str(tmp_path / "model.onnx"))
    found = session.run(None, {session.get_inputs()[0].name: image})[0]
    np.testing.assert_allclose(found, module(image).detach().numpy(), atol=1e-5)


def test_an_exported_program_runs_itself(module):
    """``torch.onnx.ONNXProgram`` makes onnxruntime's session, options and values itself."""
    import torch

    image = torch.randn(1, 3, 8, 8)
    program = torch.onnx.export(module, (image,), dynamo=True, verbose=False)
    np.testing.assert_allclose(program(image)[0].numpy(), module(image).detach().numpy(), atol=1e-5)


# onnxruntime-extensions


def test_custom_operators_of_a_library():
    extensions = pytest.importorskip("onnxruntime_extensions")
    graph = helper.make_graph(
        [helper.make_node("StringUpper", ["text"], ["upper"], domain="ai.onnx.contrib")],
        "upper",
        [helper.make_tensor_value_info("text", TensorProto.STRING, [None])],
        [helper.make_tensor_value_info("upper", TensorProto.STRING, [None])],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.contrib", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(extensions.get_library_path())
    session = open_session(model.SerializeToString(), options)
    text = np.array(["ab", "c"], object)
    assert list(session.run(None, {"text": text})[0]) == ["AB", "C"]


def test_an_operator_in_python():
    """``PyOp`` calls Python from a kernel, so a run must not hold the interpreter lock."""
    extensions = pytest.importorskip("onnxruntime_extensions")

    @extensions.onnx_op(op_type="Reversed", inputs=[extensions.PyOp.dt_float])
    def reverse(values: np.ndarray) -> np.ndarray:
        return values[::-1]

    graph = helper.make_graph(
        [helper.make_node("Reversed", ["x"], ["y"], domain="ai.onnx.contrib")],
        "reversed",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None])],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.contrib", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(extensions.get_library_path())
    session = open_session(model.SerializeToString(), options)
    x = np.arange(3, dtype="f4")
    np.testing.assert_array_equal(session.run(None, {"x": x})[0], x[::-1])
