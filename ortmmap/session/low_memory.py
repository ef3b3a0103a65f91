"""Runs that keep no memory once they have ended."""

from ortmmap.session.native_options import CPU_ARENA, SHRINKAGE, RunOptions

__all__ = ["low_memory"]


def low_memory() -> RunOptions:
    """Return run options with which a session gives memory back to the system after each run.

    ONNX Runtime keeps what runs have allocated, to use it again: after one large batch a process
    stays large. With these options it frees all but what lies in its first region and what results
    occupy; the next run allocates anew, which is the price.

    Returns
    -------
    RunOptions
        With ``memory.enable_memory_arena_shrinkage`` set to ``cpu:0``. The session must have an
        arena (`SessionOptions.enable_cpu_mem_arena`, which is the default).

    Examples
    --------
    >>> session.run(None, feed, ortmmap.low_memory())
    """
    options = RunOptions()
    options.add_run_config_entry(SHRINKAGE, CPU_ARENA)
    return options
