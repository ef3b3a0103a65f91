"""The command line, ``python -m ortmmap``: one module a command."""
