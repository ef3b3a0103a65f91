"""One writer at a time: of processes that start together, one builds and the others wait."""

import os
from types import TracebackType
from typing import TYPE_CHECKING

from ortmmap.cache.files import modified
from ortmmap.cache.folder import warn

if TYPE_CHECKING:
    from filelock import BaseFileLock

__all__ = ["Turn", "longest_wait"]

WAIT_VARIABLE = "ORTMMAP_CACHE_WAIT"
DEFAULT_WAIT = 60.0
POLL_SECONDS = 0.02


class Turn:
    """A lock that one process at a time has, and that a killed process gives back."""

    def __init__(self, path: str, timeout: float) -> None:
        self._path = path
        self._timeout = timeout
        self._lock: BaseFileLock | None = None

    def __enter__(self) -> bool:
        from filelock import FileLock, Timeout

        try:
            os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
            self._lock = lock = FileLock(self._path, mode=0o600, thread_local=False)
            try:
                lock.acquire(blocking=False)
            except Timeout:
                return self._wait(lock)
        except Timeout:
            self._lock = None
            return False
        except (OSError, NotImplementedError) as error:
            self._lock = None
            warn("write", f"the cache is not written: {error}")
            return False
        return True

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._lock is not None:
            self._lock.release()

    def _wait(self, lock: "BaseFileLock") -> bool:
        """Wait for the owner; a file touched meanwhile says that it has failed."""
        before = modified(self._path)
        lock.acquire(timeout=self._timeout, poll_interval=POLL_SECONDS)
        return modified(self._path) == before


def longest_wait() -> float:
    """Return how many seconds to wait for another writer, by ``ORTMMAP_CACHE_WAIT``."""
    text = os.environ.get(WAIT_VARIABLE, "").strip()
    try:
        seconds = float(text) if text else DEFAULT_WAIT
    except ValueError:
        seconds = -1.0
    if seconds >= 0:
        return seconds
    warn("wait", f"{WAIT_VARIABLE} is a number of seconds, not {text!r}")
    return DEFAULT_WAIT
