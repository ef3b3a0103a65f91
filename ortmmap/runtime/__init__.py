"""ONNX Runtime's shared library, found and opened; its environment; execution providers."""
