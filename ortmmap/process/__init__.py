"""State that a process has once: counters, forks, guards of model files, the SIGBUS handler."""
