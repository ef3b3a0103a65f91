"""Libraries of custom operators, which the system's loader opens."""

import os

__all__ = ["has_identity"]


def has_identity(library: str) -> bool:
    """Return whether a path names the file that the loader opens: it searches for a bare name."""
    return bool(os.path.dirname(library)) and os.path.exists(library)
