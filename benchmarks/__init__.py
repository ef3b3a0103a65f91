"""Benchmarks: how fast a session opens, what it keeps private, what a call costs."""
