"""What transformers have in common, with the operators that torch.onnx.export emits."""

from __future__ import annotations

from math import sqrt

from benchmarks.architectures.graph import Graph

# Larger than the 0.02 that training starts with, so that attention is not uniform.
DEVIATION = 0.05


class Transformer(Graph):
    """A graph of layers of one width.

    Parameters
    ----------
    name : str
        The graph's name.
    hidden : int
        The width of a token's state.
    heads : int
        Heads of attention.
    """

    def __init__(self, name: str, hidden: int, heads: int) -> None:
        super().__init__(name)
        self._hidden = hidden
        self._head_size = hidden // heads

    def attend(self, name: str, query: str, key: str, value: str, mask: str | None = None) -> str:
        """Add attention of (batch, heads, tokens, head size), its key transposed already.

        The mask is added to the scores. The result is (batch, tokens, heads, head size).
        """
        scores = self.node("MatMul", query, key)
        scores = self.node("Div", scores, self.floats(f"{name}.scale", sqrt(self._head_size)))
        if mask:
            scores = self.node("Add", scores, mask)
        weights = self.node("Softmax", scores, axis=-1)
        return self.node("Transpose", self.node("MatMul", weights, value), perm=[0, 2, 1, 3])

    def heads(self, name: str, x: str, split: str, order: list[int]) -> str:
        """Add a projection whose last axis is split as asked, its axes then ordered as asked."""
        x = self.node("Reshape", self.linear(name, x, self._hidden, self._hidden), split)
        return self.node("Transpose", x, perm=order)

    def linear(self, name: str, x: str, rows: int, columns: int) -> str:
        """Add x @ weight + bias."""
        weight = self.normal(f"{name}.weight", (rows, columns), DEVIATION)
        bias = self.normal(f"{name}.bias", (columns,), DEVIATION)
        return self.node("Add", bias, self.node("MatMul", x, weight))

    def layer_norm(
        self, name: str, x: str, output: str | None = None, epsilon: float = 1e-12
    ) -> str:
        """Add a normalization of every token's state."""
        scale = self.normal(f"{name}.weight", (self._hidden,), DEVIATION, mean=1.0)
        bias = self.normal(f"{name}.bias", (self._hidden,), DEVIATION)
        options = {"axis": -1, "epsilon": epsilon}
        return self.node("LayerNormalization", x, scale, bias, output=output, **options)

    def gelu(self, name: str, x: str) -> str:
        """Add x * (1 + erf(x / sqrt(2))) / 2 as the exporter spells it."""
        y = self.node("Erf", self.node("Div", x, self.floats(f"{name}.sqrt_2", sqrt(2))))
        y = self.node("Mul", x, self.node("Add", y, self.floats(f"{name}.one", 1.0)))
        return self.node("Mul", y, self.floats(f"{name}.half", 0.5))
