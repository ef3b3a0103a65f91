"""The C API for embedders: its table, and what is behind it: handles, arguments, runs, errors."""
