"""The command line, ``python -m ortmmap``: one module a command, and `formatting` for all."""
