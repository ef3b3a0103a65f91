"""A Python function in place of the library's log on standard error."""
