"""Counts that do not depend on how fast or how busy a machine is, and the bounds they keep."""
