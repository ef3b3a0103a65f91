"""BERT-base and GPT-2 small, with operators that torch.onnx.export emits.

They differ from an export in one respect: GPT-2's joint projection of query, key and value is
written as three, and its Gelu is that of BERT.
"""

from math import sqrt

import numpy as np
from onnx import ModelProto, TensorProto

from benchmarks.architectures.graph import Graph
from benchmarks.inputs import Input

_LAYERS, _HEADS, _HIDDEN, _INTERMEDIATE = 12, 12, 768, 3072
_HEAD_SIZE = _HIDDEN // _HEADS
_DEVIATION = 0.05  # larger than the 0.02 that training starts with: attention is not uniform
_LEAST = np.finfo(np.float32).min
_TOKENS = ("batch", "sequence")


class _Transformer(Graph):
    def __init__(self, name: str) -> None:
        """Add the shapes that split states into heads and merge them, and the mask of scores.

        The mask has 0 and the least float32 for 1 and 0 of `attention_mask`.
        """
        super().__init__(name)
        # 0 stands for a size of the tensor that is reshaped: of the batch, and of the tokens.
        self._split = self.integers("split", [0, 0, _HEADS, _HEAD_SIZE])
        self._merged = self.integers("merged", [0, 0, _HIDDEN])
        x = self.node("Unsqueeze", "attention_mask", self.integers("mask_axes", [1, 2]))
        x = self.node("Cast", x, to=TensorProto.FLOAT)
        x = self.node("Sub", self.floats("mask_one", 1.0), x)
        self.mask = self.node("Mul", x, self.floats("mask_least", _LEAST))

    def embed(self, name: str, rows: int, ids: str) -> str:
        """Add a table of embeddings, and the rows of it that `ids` selects."""
        return self.node("Gather", self.normal(name, (rows, _HIDDEN), _DEVIATION), ids)

    def linear(self, name: str, x: str, rows: int, columns: int) -> str:
        """Add x @ weight + bias."""
        y = self.node("MatMul", x, self.normal(f"{name}.weight", (rows, columns), _DEVIATION))
        return self.node("Add", self.normal(f"{name}.bias", (columns,), _DEVIATION), y)

    def layer_norm(self, name: str, x: str, output: str | None = None) -> str:
        """Add a normalization of every token's state."""
        scale = self.normal(f"{name}.weight", (_HIDDEN,), _DEVIATION, mean=1.0)
        bias = self.normal(f"{name}.bias", (_HIDDEN,), _DEVIATION)
        return self.node("LayerNormalization", x, scale, bias, output=output, epsilon=1e-12)

    def heads(self, name: str, x: str) -> str:
        """Add a projection, split into heads: (batch, heads, tokens, head size)."""
        x = self.node("Reshape", self.linear(name, x, _HIDDEN, _HIDDEN), self._split)
        return self.node("Transpose", x, perm=[0, 2, 1, 3])

    def attention(self, name: str, x: str, past: int | None = None) -> str:
        """Add self-attention with a projection; keys and values come after those of a past."""
        query, key, value = (self.heads(f"{name}.{part}", x) for part in ("query", "key", "value"))
        if past is not None:
            before, after = f"past_key_values.{past}", f"present.{past}"
            key = self.node("Concat", f"{before}.key", key, axis=2, output=f"{after}.key")
            value = self.node("Concat", f"{before}.value", value, axis=2, output=f"{after}.value")
        scores = self.node("MatMul", query, self.node("Transpose", key, perm=[0, 1, 3, 2]))
        scores = self.node("Div", scores, self.floats(f"{name}.scale", sqrt(_HEAD_SIZE)))
        scores = self.node("Softmax", self.node("Add", scores, self.mask), axis=-1)
        x = self.node("Transpose", self.node("MatMul", scores, value), perm=[0, 2, 1, 3])
        x = self.node("Reshape", x, self._merged)
        return self.linear(f"{name}.output", x, _HIDDEN, _HIDDEN)

    def feed_forward(self, name: str, x: str) -> str:
        """Add two layers around Gelu, x * (1 + erf(x / sqrt(2))) / 2."""
        x = self.linear(f"{name}.intermediate", x, _HIDDEN, _INTERMEDIATE)
        y = self.node("Erf", self.node("Div", x, self.floats(f"{name}.sqrt_2", sqrt(2))))
        y = self.node("Mul", x, self.node("Add", y, self.floats(f"{name}.one", 1.0)))
        y = self.node("Mul", y, self.floats(f"{name}.half", 0.5))
        return self.linear(f"{name}.output", y, _INTERMEDIATE, _HIDDEN)


_BERT_WORDS, _BERT_POSITIONS, _BERT_TYPES = 30522, 512, 2
BERT_INPUTS = (
    Input("input_ids", "int64", _TOKENS, high=_BERT_WORDS),
    Input("attention_mask", "int64", _TOKENS),
    Input("token_type_ids", "int64", _TOKENS, high=_BERT_TYPES),
)


def bert_base() -> ModelProto:
    """Return BERT-base: 109 million float32 parameters, batch and sequence dynamic."""
    graph = _Transformer("bert_base")
    zero, one = graph.integers("zero", [0]), graph.integers("one", [1])
    sequence = graph.node("Gather", graph.node("Shape", "input_ids"), one)
    ids = graph.integers("position_ids", [range(_BERT_POSITIONS)])
    positions = graph.node("Slice", ids, zero, sequence, one)
    x = graph.embed("word_embeddings", _BERT_WORDS, "input_ids")
    x = graph.node("Add", x, graph.embed("type_embeddings", _BERT_TYPES, "token_type_ids"))
    x = graph.node("Add", x, graph.embed("position_embeddings", _BERT_POSITIONS, positions))
    x = graph.layer_norm("embeddings.norm", x)
    for layer in range(_LAYERS):
        name, output = f"layer.{layer}", "last_hidden_state" if layer == _LAYERS - 1 else None
        y = graph.attention(f"{name}.attention", x)
        x = graph.layer_norm(f"{name}.norm_1", graph.node("Add", y, x))
        x = graph.node("Add", graph.feed_forward(name, x), x)
        x = graph.layer_norm(f"{name}.norm_2", x, output)
    first = graph.node("Gather", x, graph.integers("pooler.first", 0), axis=1)
    weight = graph.normal("pooler.weight", (_HIDDEN, _HIDDEN), _DEVIATION)
    bias = graph.normal("pooler.bias", (_HIDDEN,), _DEVIATION)
    x = graph.node("Gemm", first, weight, bias, transB=1)
    graph.node("Tanh", x, output="pooler_output")
    outputs = {"last_hidden_state": (*_TOKENS, _HIDDEN), "pooler_output": ("batch", _HIDDEN)}
    return graph.model(BERT_INPUTS, outputs)


_GPT2_WORDS, _GPT2_POSITIONS = 50257, 1024
_HALVES = [f"{layer}.{half}" for layer in range(_LAYERS) for half in ("key", "value")]
_PAST = ("batch", _HEADS, "past", _HEAD_SIZE)
GPT2_INPUTS = (
    Input("input_ids", "int64", _TOKENS, high=_GPT2_WORDS),
    Input("attention_mask", "int64", ("batch", "past + sequence")),
    Input("position_ids", "int64", _TOKENS, high=_GPT2_POSITIONS),
    *(Input(f"past_key_values.{half}", "float32", _PAST) for half in _HALVES),
)


def gpt2() -> ModelProto:
    """Return GPT-2 small: 124 million float32 parameters and, as exported, 39 million twice.

    The word embeddings and the last layer share weights in the original; an exporter writes the
    last layer's transposed, as a second initializer.
    """
    graph = _Transformer("gpt2")
    # The causal mask (tokens, past and tokens): the least floats above a diagonal, 0 elsewhere.
    one, names = graph.integers("one", [1]), ("input_ids", "attention_mask")
    tokens, total = (graph.node("Gather", graph.node("Shape", name), one) for name in names)
    shape = graph.node("Concat", tokens, total, axis=0)
    least = graph.node("Expand", graph.floats("causal_least", _LEAST / 2), shape)
    diagonal = graph.node("Add", graph.node("Sub", total, tokens), one)
    causal = graph.node("Trilu", least, diagonal, upper=1)
    graph.mask = graph.node("Add", graph.mask, causal)
    words = graph.embed("word_embeddings", _GPT2_WORDS, "input_ids")
    x = graph.node("Add", words, graph.embed("positions", _GPT2_POSITIONS, "position_ids"))
    for layer in range(_LAYERS):
        name = f"layer.{layer}"
        y = graph.attention(f"{name}.attention", graph.layer_norm(f"{name}.norm_1", x), layer)
        x = graph.node("Add", x, y)
        y = graph.feed_forward(name, graph.layer_norm(f"{name}.norm_2", x))
        x = graph.node("Add", x, y)
    head = graph.transposed("head", "word_embeddings")
    graph.node("MatMul", graph.layer_norm("norm", x), head, output="logits")
    present = ("batch", _HEADS, "past + sequence", _HEAD_SIZE)
    outputs = {"logits": (*_TOKENS, _GPT2_WORDS)} | {f"present.{one}": present for one in _HALVES}
    return graph.model(GPT2_INPUTS, outputs)
