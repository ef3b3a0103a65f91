"""BERT-base, with the operators that torch.onnx.export emits for Hugging Face's BertModel."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, TensorProto

from benchmarks.architectures.transformer import DEVIATION, Transformer
from benchmarks.inputs import Input

_VOCABULARY, _POSITIONS, _TYPES = 30522, 512, 2
_LAYERS, _HIDDEN, _HEADS, _INTERMEDIATE = 12, 768, 12, 3072
_HEAD_SIZE = _HIDDEN // _HEADS

_TOKENS = ("batch", "sequence")
BERT_INPUTS = (
    Input("input_ids", "int64", _TOKENS, high=_VOCABULARY),
    Input("attention_mask", "int64", _TOKENS),
    Input("token_type_ids", "int64", _TOKENS, high=_TYPES),
)
_OUTPUTS = {
    "last_hidden_state": (*_TOKENS, _HIDDEN),
    "pooler_output": ("batch", _HIDDEN),
}


def bert_base() -> ModelProto:
    """Return BERT-base: 109 million float32 parameters, batch and sequence dynamic."""
    graph = _Bert()
    x = graph.embeddings()
    for layer in range(_LAYERS):
        last = layer == _LAYERS - 1
        x = graph.layer(f"encoder.layer.{layer}", x, "last_hidden_state" if last else None)
    graph.pooler(x)
    return graph.model(BERT_INPUTS, _OUTPUTS)


class _Bert(Transformer):
    """The graph, begun with what all layers use: sizes, shapes and the mask."""

    def __init__(self) -> None:
        super().__init__("bert_base", _HIDDEN, _HEADS)
        batch, self._sequence = self._token_sizes()
        self._split = self._shape(batch, _HEADS, _HEAD_SIZE)
        self._merged = self._shape(batch, _HIDDEN)
        self._mask = self._additive_mask()

    def _token_sizes(self) -> tuple[str, str]:
        """Add the nodes that read batch and sequence off `input_ids`, each of shape (1,)."""
        shape = self.node("Shape", "input_ids")
        axes = self.integers("size_axes", [0])
        indices = (self.integers(f"size_index_{dimension}", dimension) for dimension in range(2))
        batch, sequence = (
            self.node("Unsqueeze", self.node("Gather", shape, index, axis=0), axes)
            for index in indices
        )
        return batch, sequence

    def _shape(self, batch: str, *sizes: int) -> str:
        """Add the nodes that compute the shape (batch, sequence, *sizes)."""
        names = [self.integers(f"shape_of_{len(sizes) + 2}_{size}", [size]) for size in sizes]
        return self.node("Concat", batch, self._sequence, *names, axis=0)

    def _additive_mask(self) -> str:
        """Add the nodes that turn 1 and 0 into 0 and the least float32."""
        x = "attention_mask"
        for axis in (1, 2):
            x = self.node("Unsqueeze", x, self.integers(f"mask_axis_{axis}", [axis]))
        x = self.node("Cast", x, to=TensorProto.FLOAT)
        x = self.node("Sub", self.floats("mask_one", 1.0), x)
        return self.node("Mul", x, self.floats("mask_least", np.finfo(np.float32).min))

    def embeddings(self) -> str:
        """Add the sum of word, type and position embeddings, normalized."""
        words = self._table("word_embeddings", _VOCABULARY)
        types = self._table("token_type_embeddings", _TYPES)
        positions = self._table("position_embeddings", _POSITIONS)
        ids = self.integers("embeddings.position_ids", [range(_POSITIONS)])
        start, axis = self.integers("position_start", [0]), self.integers("position_axis", [1])
        used = self.node("Slice", ids, start, self._sequence, axis)
        x = self.node("Gather", words, "input_ids")
        x = self.node("Add", x, self.node("Gather", types, "token_type_ids"))
        x = self.node("Add", x, self.node("Gather", positions, used))
        return self.layer_norm("embeddings.LayerNorm", x)

    def _table(self, name: str, rows: int) -> str:
        return self.normal(f"embeddings.{name}.weight", (rows, _HIDDEN), DEVIATION)

    def layer(self, name: str, x: str, output: str | None) -> str:
        """Add a transformer layer: attention and the feed-forward network."""
        y = self._attention(f"{name}.attention.self", x)
        y = self.linear(f"{name}.attention.output.dense", y, _HIDDEN, _HIDDEN)
        x = self.layer_norm(f"{name}.attention.output.LayerNorm", self.node("Add", y, x))
        y = self.linear(f"{name}.intermediate.dense", x, _HIDDEN, _INTERMEDIATE)
        y = self.gelu(name, y)
        y = self.linear(f"{name}.output.dense", y, _INTERMEDIATE, _HIDDEN)
        return self.layer_norm(f"{name}.output.LayerNorm", self.node("Add", y, x), output)

    def _attention(self, name: str, x: str) -> str:
        query = self.heads(f"{name}.query", x, self._split, [0, 2, 1, 3])
        key = self.heads(f"{name}.key", x, self._split, [0, 2, 3, 1])
        value = self.heads(f"{name}.value", x, self._split, [0, 2, 1, 3])
        context = self.attend(name, query, key, value, self._mask)
        return self.node("Reshape", context, self._merged)

    def pooler(self, x: str) -> None:
        """Add what turns the first token's state into `pooler_output`."""
        first = self.node("Gather", x, self.integers("pooler.first", 0), axis=1)
        weight = self.normal("pooler.dense.weight", (_HIDDEN, _HIDDEN), DEVIATION)
        bias = self.normal("pooler.dense.bias", (_HIDDEN,), DEVIATION)
        x = self.node("Gemm", first, weight, bias, transB=1)
        self.node("Tanh", x, output="pooler_output")
