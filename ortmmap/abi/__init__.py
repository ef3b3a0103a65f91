"""Declarations of foreign C: ONNX Runtime's API, DLPack, and the headers in ``include/``."""
