"""Standing in for onnxruntime: the patch, other people's scripts, names for parity only."""
