"""Benchmarks: how fast a session opens, what it keeps private, what a call costs.

`architectures` and `models` generate the models, `forms` saves them in other forms, `rivals` are
the ways to open them. `worker` is one cold process, which `calls`, `forks` and `memory` measure;
`harness` runs groups of them, with `page_cache` and `free_memory` prepared, `survey` all rivals in
turn. `columns` makes figures of the records, `report` and `plot` show them, and `page` writes
``docs/benchmarks.md``.

`counts` counts instead of timing: one cold process imports, opens, runs and calls, each between two
marks that strace and callgrind see too; what it counts is held to ``bounds.toml``. `serve` loads a
web server, and `native_calls` measures calls from C.
"""
