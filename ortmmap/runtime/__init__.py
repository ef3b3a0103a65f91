"""ONNX Runtime's shared library, found and opened; its environment; execution providers.

Settings of the environment wait here until the library is opened, so that they can be made without
loading the native layer.
"""

from collections.abc import Callable

__all__ = ["call_when_open", "opened"]

_is_open = False
_waiting: list[Callable[[], object]] = []


def call_when_open(call: Callable[[], object]) -> None:
    """Make a call at once if the library is open, else when it has been opened."""
    _waiting.append(call)
    if _is_open:  # also if another thread has opened it just now
        opened()


def opened() -> None:
    """Make the calls that wait. Called once the library is open."""
    global _is_open
    _is_open = True
    while _waiting:
        try:
            call = _waiting.pop(0)
        except IndexError:  # another thread has made the last one
            return
        call()
