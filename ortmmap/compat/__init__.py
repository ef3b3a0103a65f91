"""In place of onnxruntime: the patch, scripts that import onnxruntime, names for parity only."""
