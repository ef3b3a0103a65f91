"""Cancellation of the creation of sessions, by options that may have copies."""

from typing import Any

__all__ = ["Cancellation"]


class Cancellation:
    """Whether the creation of sessions is cancelled, and what is being created."""

    __slots__ = ("creating", "is_set")

    def __init__(self) -> None:
        self.is_set = False
        self.creating: set[Any] = set()  # native options of sessions

    def set(self, flag: bool) -> None:
        """Cancel what is being created and what will be, or allow it again."""
        self.is_set = flag
        for native in list(self.creating):
            native.set_load_cancellation_flag(flag)
