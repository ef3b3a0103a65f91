"""The models that are generated, their inputs, and their forms."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from support import onnxruntime_session

from benchmarks import architectures, forms, models
from benchmarks.architectures import transformers
from benchmarks.inputs import Input, feeds, size


@pytest.fixture
def store(tmp_path):
    return models.Store(tmp_path / "models")


def test_sizes_of_dimensions():
    sizes = {"batch": 2, "sequence": 5, "past": 7}
    assert size(3, sizes) == 3
    assert size(0, sizes) == 0
    assert size("4", sizes) == 4
    assert size("batch_size", sizes) == 2
    assert size("past_sequence_length + sequence_length", sizes) == 12
    assert size("past + 1", sizes) == 8
    assert size("unheard of", sizes) == 1
    assert size(None, sizes) == 1


def test_values_that_inputs_are_fed():
    inputs = [
        Input("ids", "int64", ("batch", 4), high=9),
        Input("attention_mask", "int32", ("batch", 2)),
        Input("x", "float16", (3,)),
        Input("s", "str", (2,), high=1000),
    ]
    found = feeds(inputs, {"batch": "3"})
    assert found["ids"].shape == (3, 4)
    assert 0 <= found["ids"].min() <= found["ids"].max() < 9
    assert found["attention_mask"].tolist() == [[1, 1]] * 3
    assert found["x"].dtype == np.float16
    assert [len(text) for text in found["s"]] == [3, 3]
    again = feeds(inputs, {"batch": "3"})
    assert all((found[name] == again[name]).all() for name in found)


def test_an_input_that_is_no_tensor_is_refused():
    assert Input.of(SimpleNamespace(name="x", type="tensor(float)", shape=[None])).shape == (None,)
    with pytest.raises(ValueError, match=r"'x' of type seq\(tensor\(float\)\)"):
        Input.of(SimpleNamespace(name="x", type="seq(tensor(float))", shape=[]))


@pytest.mark.parametrize(
    ("name", "inputs", "nodes"),
    [
        ("weights_1", 1, 16),
        ("nodes_10", 1, 10),
        ("inputs_4", 4, 1),
        ("inputs_3x7", 3, 1),
        ("strings_3", 1, 1),
    ],
)
def test_models_of_any_size(store, name, inputs, nodes):
    onnx = pytest.importorskip("onnx", reason="the bench extra is not installed")
    case = store.case(f"{name}.onnx", {})
    model = onnx.load(case.path)
    assert (len(model.graph.input), len(model.graph.node)) == (inputs, nodes)
    [output] = onnxruntime_session(case.path).run(None, case.feeds)
    if name == "strings_3":
        assert output.tolist() == case.feeds["x"].tolist()
        assert set(map(len, output)) == {18}
        return
    assert np.isfinite(output).all()
    if name == "weights_1":
        assert 2**20 <= case.path.stat().st_size < 1.01 * 2**20
    if name == "inputs_3x7":
        assert output.shape == (1, 7)
        assert np.allclose(output, sum(case.feeds.values()))


@pytest.mark.parametrize("name", ["weights_0", "nodes_", "nodes_2x3", "bert", "inputs_4x"])
def test_an_unknown_model_is_named(store, name):
    assert architectures.generated(name) is None
    with pytest.raises(LookupError, match=name):
        store.onnx(name)


def test_a_model_that_is_quantized(store, tmp_path, monkeypatch):
    small = dataclasses.replace(architectures.generated("weights_1"), quantize=True)
    monkeypatch.setitem(architectures.MODELS, "small_int8", small)
    case = store.case("small_int8.onnx", {})
    assert case.path.stat().st_size < 2**20 / 3
    assert [one.name for one in (tmp_path / "models").iterdir()] == ["small_int8.onnx"]
    [output] = onnxruntime_session(case.path).run(None, case.feeds)
    [plain] = onnxruntime_session(store.onnx("weights_1")).run(None, case.feeds)
    assert np.allclose(output, plain, atol=0.3)


@pytest.fixture
def small(monkeypatch):
    """Make BERT and GPT-2 small."""
    sizes = {"_HIDDEN": 24, "_HEAD_SIZE": 2, "_INTERMEDIATE": 8}
    words = {"_BERT_WORDS": 11, "_BERT_POSITIONS": 8, "_GPT2_WORDS": 11, "_GPT2_POSITIONS": 8}
    for name, value in (sizes | words).items():
        monkeypatch.setattr(transformers, name, value)
    for name in ("BERT_INPUTS", "GPT2_INPUTS"):
        inputs = tuple(
            dataclasses.replace(
                one,
                shape=tuple(2 if size == 64 else size for size in one.shape),
                high=min(one.high, 8),
            )
            for one in getattr(transformers, name)
        )
        monkeypatch.setattr(transformers, name, inputs)


@pytest.mark.usefixtures("small")
def test_gpt2_appends_to_its_past():
    model, sizes = transformers.gpt2(), {"sequence": 2, "past": 3}
    assert model.ByteSize() < 2**20
    given = feeds(transformers.GPT2_INPUTS, sizes)
    session = onnxruntime_session(model.SerializeToString())
    names = [one.name for one in session.get_outputs()]
    outputs = dict(zip(names, session.run(None, given), strict=True))
    assert outputs["logits"].shape == (1, 2, 11)
    past = given["past_key_values.3.value"]
    assert (outputs["present.3.value"][:, :, :3] == past).all()
    # A later token changes nothing for those before: the mask is causal.
    given["input_ids"][:, 1] = (given["input_ids"][:, 1] + 1) % 8
    other = session.run(["logits"], given)[0]
    assert (other[:, 0] == outputs["logits"][:, 0]).all()
    assert (other[:, 1] != outputs["logits"][:, 1]).any()


@pytest.mark.usefixtures("small")
def test_bert_does_not_look_at_masked_tokens():
    session = onnxruntime_session(transformers.bert_base().SerializeToString())
    given = feeds(transformers.BERT_INPUTS, {"batch": 2, "sequence": 5})
    given["attention_mask"][:, 4] = 0
    states, pooled = session.run(None, given)
    assert (states.shape, pooled.shape) == ((2, 5, 24), (2, 24))
    given["input_ids"][:, 4] = (given["input_ids"][:, 4] + 1) % 8
    others = session.run(["last_hidden_state"], given)[0]
    assert np.allclose(states[:, :4], others[:, :4], atol=1e-6)
    given["input_ids"][:, 3] = (given["input_ids"][:, 3] + 1) % 8
    assert not np.allclose(session.run(None, given)[0][:, :3], others[:, :3], atol=1e-3)


# Forms


@pytest.mark.parametrize("form", ["ort", "mapped", "external", "prepacked"])
def test_a_form_is_made_once_and_computes_the_same(store, form):
    pytest.importorskip("onnx", reason="the bench extra is not installed")
    case = store.case("weights_1.onnx", {})
    path = forms.form_of(form, case.path, case.folder)
    made = path.stat().st_mtime_ns
    assert forms.form_of(form, case.path, case.folder) == path
    assert path.stat().st_mtime_ns == made
    if form in ("external", "prepacked"):
        assert forms.data_of(path).stat().st_size > 2**20 / 2
        assert path.stat().st_size < 2**16
    assert not list(case.folder.glob("*.tmp*"))
    ours, theirs = onnxruntime_session(path), onnxruntime_session(case.path)
    assert (ours.run(None, case.feeds)[0] == theirs.run(None, case.feeds)[0]).all()


def test_forms_of_two_models_of_one_name(store, tmp_path):
    content = store.onnx("nodes_10").read_bytes()
    paths = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        (folder / "model.onnx").write_bytes(content)
        paths.append(forms.form_of("ort", folder / "model.onnx", tmp_path / "models"))
    assert paths[0] != paths[1]


def test_a_form_that_cannot_be_made_says_of_what(tmp_path):
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"not a model")
    with pytest.raises(ValueError, match=r"broken\.onnx can't be saved as prepacked"):
        forms.form_of("prepacked", path, tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == ["broken.onnx"]


def test_each_model_and_module_has_a_cache_of_its_own(store):
    cases = [store.case(name, {}) for name in ("nodes_10.onnx", "nodes_10.ort", "nodes_20.onnx")]
    folders = {case.cache(module) for case in cases for module in ("ortmmap", "openvino")}
    assert len(folders) == 6
    assert all(folder.parent.is_dir() for folder in folders)
