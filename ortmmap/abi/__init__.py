"""Declarations of C for Cython: ONNX Runtime's API, DLPack, and the headers in ``include/``."""
