"""GPT-2 small with past keys and values, with the operators of an exported decoder."""

from __future__ import annotations

from math import pi, sqrt

import numpy as np
from onnx import ModelProto, TensorProto

from benchmarks.architectures.transformer import DEVIATION, Transformer
from benchmarks.inputs import Input

_VOCABULARY, _POSITIONS = 50257, 1024
_LAYERS, _HIDDEN, _HEADS = 12, 768, 12
_HEAD_SIZE = _HIDDEN // _HEADS
_EPSILON = 1e-5

_TOKENS = ("batch", "sequence")
_TOTAL = "past + sequence"
_HALVES = ("key", "value")

GPT2_INPUTS = (
    Input("input_ids", "int64", _TOKENS, high=_VOCABULARY),
    Input("attention_mask", "int64", ("batch", _TOTAL)),
    Input("position_ids", "int64", _TOKENS, high=_POSITIONS),
    *(
        Input(
            f"past_key_values.{layer}.{half}",
            "float32",
            ("batch", _HEADS, "past", _HEAD_SIZE),
        )
        for layer in range(_LAYERS)
        for half in _HALVES
    ),
)
_OUTPUTS = {"logits": (*_TOKENS, _VOCABULARY)} | {
    f"present.{layer}.{half}": ("batch", _HEADS, _TOTAL, _HEAD_SIZE)
    for layer in range(_LAYERS)
    for half in _HALVES
}


def gpt2() -> ModelProto:
    """Return GPT-2 small: 124 million float32 parameters and, as exported, 39 million twice.

    The word embeddings and the last layer share weights in the original; an exporter writes the
    last layer's transposed, as a second initializer.
    """
    graph = _Gpt2()
    x = graph.embeddings()
    for layer in range(_LAYERS):
        x = graph.layer(layer, x)
    graph.head(x)
    return graph.model(GPT2_INPUTS, _OUTPUTS)


class _Gpt2(Transformer):
    """The graph, begun with what all layers use: shapes and the mask."""

    def __init__(self) -> None:
        super().__init__("gpt2", _HIDDEN, _HEADS)
        # 0 takes the size from the tensor that is reshaped: batch and sequence.
        self._split = self.integers("split", [0, 0, _HEADS, _HEAD_SIZE])
        self._merged = self.integers("merged", [0, 0, _HIDDEN])
        self._mask = self._additive_mask()

    def _additive_mask(self) -> str:
        """Add 0 where a token may look, the least float32 elsewhere: (batch, 1, tokens, all)."""
        total, tokens = self._length("attention_mask"), self._length("input_ids")
        zero, one = self.integers("zero", 0), self.integers("one", 1)
        keys = self.node("Range", zero, total, one)
        queries = self.node("Range", self.node("Sub", total, tokens), total, one)
        queries = self.node("Unsqueeze", queries, self.integers("query_axis", [1]))
        seen = self.node("LessOrEqual", keys, queries)
        asked = self.node("Cast", "attention_mask", to=TensorProto.BOOL)
        asked = self.node("Unsqueeze", asked, self.integers("mask_axes", [1, 2]))
        least = self.floats("mask_least", np.finfo(np.float32).min)
        allowed = self.node("And", seen, asked)
        return self.node("Where", allowed, self.floats("mask_none", 0.0), least)

    def _length(self, tensor: str) -> str:
        """Add what reads the second dimension of a tensor, as a scalar."""
        index = self.integers(f"length_index_{tensor}", 1)
        return self.node("Gather", self.node("Shape", tensor), index)

    def embeddings(self) -> str:
        """Add the sum of word and position embeddings."""
        self._words = self.normal("wte.weight", (_VOCABULARY, _HIDDEN), DEVIATION)
        positions = self.normal("wpe.weight", (_POSITIONS, _HIDDEN), DEVIATION)
        x = self.node("Gather", self._words, "input_ids")
        return self.node("Add", x, self.node("Gather", positions, "position_ids"))

    def layer(self, index: int, x: str) -> str:
        """Add a layer: attention over past and present, and the feed-forward network."""
        name = f"h.{index}"
        y = self.layer_norm(f"{name}.ln_1", x, epsilon=_EPSILON)
        y = self._attention(f"{name}.attn", index, y)
        x = self.node("Add", self._conv1d(f"{name}.attn.c_proj", y, _HIDDEN, _HIDDEN), x)
        y = self.layer_norm(f"{name}.ln_2", x, epsilon=_EPSILON)
        y = self._conv1d(f"{name}.mlp.c_fc", y, _HIDDEN, 4 * _HIDDEN)
        y = self._conv1d(f"{name}.mlp.c_proj", self._gelu_tanh(name, y), 4 * _HIDDEN, _HIDDEN)
        return self.node("Add", x, y)

    def _attention(self, name: str, index: int, x: str) -> str:
        together = self._conv1d(f"{name}.c_attn", x, _HIDDEN, 3 * _HIDDEN)
        query, key, value = self._parts(name, together)
        key, value = (
            self.node(
                "Concat",
                f"past_key_values.{index}.{half}",
                present,
                axis=2,
                output=f"present.{index}.{half}",
            )
            for half, present in zip(_HALVES, (key, value), strict=True)
        )
        transposed = self.node("Transpose", key, perm=[0, 1, 3, 2])
        context = self.attend(name, query, transposed, value, self._mask)
        return self.node("Reshape", context, self._merged)

    def _parts(self, name: str, together: str) -> list[str]:
        """Add what takes query, key and value apart, and each into heads."""
        axis = self.integers(f"{name}.axis", [2])
        parts = []
        for part in range(3):
            start = self.integers(f"{name}.start_{part}", [part * _HIDDEN])
            end = self.integers(f"{name}.end_{part}", [(part + 1) * _HIDDEN])
            x = self.node("Reshape", self.node("Slice", together, start, end, axis), self._split)
            parts.append(self.node("Transpose", x, perm=[0, 2, 1, 3]))
        return parts

    def _conv1d(self, name: str, x: str, rows: int, columns: int) -> str:
        """Add a projection as Gemm on tokens of all the batch, which it is exported as."""
        flat = self.node("Reshape", x, self.integers(f"{name}.flat", [-1, rows]))
        weight = self.normal(f"{name}.weight", (rows, columns), DEVIATION)
        bias = self.normal(f"{name}.bias", (columns,), DEVIATION)
        y = self.node("Gemm", flat, weight, bias)
        sizes = self.node("Slice", self.node("Shape", x), *self._first_two(name))
        shape = self.node("Concat", sizes, self.integers(f"{name}.columns", [columns]), axis=0)
        return self.node("Reshape", y, shape)

    def _first_two(self, name: str) -> tuple[str, str]:
        return self.integers(f"{name}.from", [0]), self.integers(f"{name}.to", [2])

    def _gelu_tanh(self, name: str, x: str) -> str:
        """Add x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))) / 2."""
        cube = self.node("Pow", x, self.floats(f"{name}.three", 3.0))
        y = self.node("Mul", cube, self.floats(f"{name}.cubic", 0.044715))
        y = self.node("Mul", self.node("Add", x, y), self.floats(f"{name}.root", sqrt(2 / pi)))
        y = self.node("Add", self.node("Tanh", y), self.floats(f"{name}.one", 1.0))
        return self.node("Mul", self.node("Mul", x, self.floats(f"{name}.half", 0.5)), y)

    def head(self, x: str) -> None:
        """Add what turns states into `logits`."""
        x = self.layer_norm("ln_f", x, epsilon=_EPSILON)
        weight = self.transposed("lm_head.weight", self._words)
        self.node("MatMul", x, weight, output="logits")
