"""ViT-B/16, with the operators that torch.onnx.export emits for Hugging Face's ViT classifier."""

from __future__ import annotations

from math import sqrt

from onnx import ModelProto

from benchmarks.architectures.transformer import DEVIATION, Transformer
from benchmarks.inputs import Input

_LAYERS, _HIDDEN, _HEADS, _INTERMEDIATE = 12, 768, 12, 3072
_PATCH, _CHANNELS, _SIDE, _CLASSES = 16, 3, 224, 1000
_PATCHES = (_SIDE // _PATCH) ** 2

VIT_INPUTS = (Input("pixel_values", "float32", ("batch", _CHANNELS, _SIDE, _SIDE)),)


def vit_b16() -> ModelProto:
    """Return ViT-B/16: 86.6 million float32 parameters, image (batch, 3, 224, 224)."""
    graph = _ViT()
    x = graph.embeddings()
    for layer in range(_LAYERS):
        x = graph.layer(f"encoder.layer.{layer}", x)
    graph.classifier(x)
    return graph.model(VIT_INPUTS, {"logits": ("batch", _CLASSES)})


class _ViT(Transformer):
    """The graph, begun with the shapes that all layers use."""

    def __init__(self) -> None:
        super().__init__("vit_b16", _HIDDEN, _HEADS)
        # 0 takes the size from the tensor that is reshaped: the batch.
        self._split = self.integers("split", [0, _PATCHES + 1, _HEADS, _HIDDEN // _HEADS])
        self._merged = self.integers("merged", [0, _PATCHES + 1, _HIDDEN])

    def embeddings(self) -> str:
        """Add the patches' projection, the class token before them, and their positions."""
        weight_shape = (_HIDDEN, _CHANNELS, _PATCH, _PATCH)
        x = self.node(
            "Conv",
            "pixel_values",
            self.normal("patch.weight", weight_shape, 1 / sqrt(_CHANNELS * _PATCH**2)),
            self.normal("patch.bias", (_HIDDEN,), DEVIATION),
            kernel_shape=[_PATCH, _PATCH],
            strides=[_PATCH, _PATCH],
        )
        x = self.node("Reshape", x, self.integers("patches", [0, _HIDDEN, _PATCHES]))
        x = self.node("Transpose", x, perm=[0, 2, 1])
        x = self.node("Concat", self._class_token(x), x, axis=1)
        positions = self.normal("position_embeddings", (1, _PATCHES + 1, _HIDDEN), DEVIATION)
        return self.node("Add", x, positions)

    def _class_token(self, x: str) -> str:
        """Add the class token of every image in the batch."""
        batch = self.node("Gather", self.node("Shape", x), self.integers("batch_index", [0]))
        shape = self.node("Concat", batch, self.integers("token_shape", [1, _HIDDEN]), axis=0)
        return self.node("Expand", self.normal("cls_token", (1, 1, _HIDDEN), DEVIATION), shape)

    def layer(self, name: str, x: str) -> str:
        """Add a layer: attention and the feed-forward network, each normalized before."""
        y = self._attention(f"{name}.attention", self.layer_norm(f"{name}.layernorm_before", x))
        x = self.node("Add", x, self.linear(f"{name}.attention.output.dense", y, _HIDDEN, _HIDDEN))
        y = self.layer_norm(f"{name}.layernorm_after", x)
        y = self.gelu(name, self.linear(f"{name}.intermediate.dense", y, _HIDDEN, _INTERMEDIATE))
        return self.node("Add", x, self.linear(f"{name}.output.dense", y, _INTERMEDIATE, _HIDDEN))

    def _attention(self, name: str, x: str) -> str:
        query = self.heads(f"{name}.query", x, self._split, [0, 2, 1, 3])
        key = self.heads(f"{name}.key", x, self._split, [0, 2, 3, 1])
        value = self.heads(f"{name}.value", x, self._split, [0, 2, 1, 3])
        return self.node("Reshape", self.attend(name, query, key, value), self._merged)

    def classifier(self, x: str) -> None:
        """Add what turns the class token's state into `logits`."""
        x = self.layer_norm("layernorm", x)
        first = self.node("Gather", x, self.integers("first", 0), axis=1)
        weight = self.normal("classifier.weight", (_CLASSES, _HIDDEN), DEVIATION)
        bias = self.normal("classifier.bias", (_CLASSES,), DEVIATION)
        self.node("Gemm", first, weight, bias, output="logits", transB=1)
