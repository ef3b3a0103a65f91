"""The C API for embedders: its table of functions, handles, arguments, runs and errors."""
