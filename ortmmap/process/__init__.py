"""State that a process has once: forks, the SIGBUS handler, guards of model files, the GIL."""
