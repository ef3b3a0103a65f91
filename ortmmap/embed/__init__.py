"""The C API for embedders: its table of functions, runs without the interpreter lock, errors."""
