"""The command line, ``ortmmap``: one module a command, and `formatting` for all."""
