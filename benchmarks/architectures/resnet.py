"""ResNet-50 v1.5, as torch.onnx.export writes it: batch normalization folded into Conv."""

from math import prod, sqrt

from onnx import ModelProto

from benchmarks.architectures.graph import Graph
from benchmarks.inputs import Input

RESNET_INPUTS = (Input("input", "float32", ("batch", 3, 224, 224)),)

_STAGES = ((3, 64), (4, 128), (6, 256), (3, 512))  # blocks, width
_EXPANSION = 4
_CLASSES = 1000

# The gain of a convolution, squared. Relu halves the variance, so 2 preserves it; less at the
# end of a residual branch, so that activations do not grow with depth.
_RELU_GAIN, _BRANCH_GAIN, _LINEAR_GAIN = 2.0, 0.25, 1.0


def resnet50() -> ModelProto:
    """Return ResNet-50: 25.5 million float32 parameters, image (batch, 3, 224, 224)."""
    graph = _ResNet("resnet50")
    x = graph.conv("conv1", "input", (64, 3, 7, 7), _RELU_GAIN, stride=2)
    x = graph.node("Relu", x)
    x = graph.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    channels = 64
    for stage, (blocks, width) in enumerate(_STAGES, start=1):
        for block in range(blocks):
            stride = 2 if stage > 1 and block == 0 else 1
            x = graph.bottleneck(f"layer{stage}.{block}", x, channels, width, stride)
            channels = width * _EXPANSION
    x = graph.node("Flatten", graph.node("GlobalAveragePool", x), axis=1)
    weight = graph.normal("fc.weight", (_CLASSES, channels), 1 / sqrt(channels))
    bias = graph.normal("fc.bias", (_CLASSES,), 0.1)
    graph.node("Gemm", x, weight, bias, output="output", transB=1)
    return graph.model(RESNET_INPUTS, {"output": ("batch", _CLASSES)})


class _ResNet(Graph):
    def bottleneck(self, name: str, x: str, channels: int, width: int, stride: int) -> str:
        """Add 1x1, 3x3 (with the stride: v1.5) and 1x1 beside the shortcut."""
        out = width * _EXPANSION
        y = self.node("Relu", self.conv(f"{name}.conv1", x, (width, channels, 1, 1), _RELU_GAIN))
        y = self.conv(f"{name}.conv2", y, (width, width, 3, 3), _RELU_GAIN, stride)
        y = self.conv(f"{name}.conv3", self.node("Relu", y), (out, width, 1, 1), _BRANCH_GAIN)
        if channels != out:
            shape = (out, channels, 1, 1)
            x = self.conv(f"{name}.downsample.0", x, shape, _LINEAR_GAIN, stride)
        return self.node("Relu", self.node("Add", y, x))

    def conv(self, name: str, x: str, shape: tuple[int, ...], gain: float, stride: int = 1) -> str:
        """Add a convolution with bias and "same" padding."""
        weight = self.normal(f"{name}.weight", shape, sqrt(gain / prod(shape[1:])))
        bias = self.normal(f"{name}.bias", shape[:1], 0.05)
        window = {"kernel_shape": shape[2:], "strides": [stride] * 2, "pads": [shape[2] // 2] * 4}
        return self.node("Conv", x, weight, bias, dilations=[1, 1], group=1, **window)
