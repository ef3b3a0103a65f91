"""The lock of a key: one process at a time writes its entries, and the others wait for them.

A waiting process sleeps until the kernel reports an event of the lock's file. The owner changes the
file's mode (to what it was) after it has unlocked it, and when the others can begin to read what it
is writing; the kernel reports the close of a killed owner's file.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from ortmmap.cache.folder import NO_FOLLOW, make_folder, modified, warn

if TYPE_CHECKING:
    from filelock import BaseFileLock

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["Turn"]

MODE = 0o600
ATTEMPTS = 10  # against processes that remove the folder at the same time
# A killed owner's lock ends just after its event, and other machines cause none.
MOST_SECONDS_BETWEEN_TRIES = 1.0
POLL_SECONDS = 0.02  # without events
IN_ATTRIB, IN_CLOSE_WRITE = 0x4, 0x8


class Turn:
    """A lock between processes, which the kernel frees when its owner is killed.

    It is not reentrant. A thread may release what another one has acquired.

    Parameters
    ----------
    path : str
        The lock's file, created if it does not exist.
    timeout : float
        How long to wait for another owner, in seconds.

    Attributes
    ----------
    failure : str or None
        Why `acquire` could not try: a folder that is read-only, a file system without locks.
    """

    def __init__(self, path: str, timeout: float) -> None:
        self._path = path
        self._timeout = timeout
        self._lock: _FileLock | BaseFileLock | None = None
        self.failure: str | None = None

    def acquire(self, is_begun: Callable[[], bool] | None = None) -> bool:
        """Acquire the lock, and return whether this process is to write the entries.

        False if the timeout has passed, if another writer has failed meanwhile, or if the folder
        is read-only, with a warning in that case.

        Parameters
        ----------
        is_begun : callable, optional
            Called when the owner has called `notify`, and at other times. If it returns True, the
            wait ends, and the result is False.
        """
        try:
            self._make_folders()
            return self._acquire_file(is_begun)
        except (OSError, NotImplementedError) as error:
            self._lock = None
            self.failure = str(error)
            warn("write", f"the cache is not written: {error}")
            return False

    def release(self) -> None:
        """Release the lock, if it is held, and wake the processes that wait for it."""
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()

    def notify(self) -> None:
        """Let the processes that wait for the lock find out what has been written."""
        if isinstance(self._lock, _FileLock):
            self._lock.notify()

    def abandon(self) -> None:
        """Close the descriptor that a fork has copied; the parent keeps the lock."""
        lock, self._lock = self._lock, None
        if isinstance(lock, _FileLock):
            lock.close()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()

    def __del__(self) -> None:
        self.release()

    def _make_folders(self) -> None:
        """Make the cache's folder and that of its locks; others may remove them in between."""
        locks = os.path.dirname(self._path)
        for _ in range(ATTEMPTS):
            make_folder(os.path.dirname(locks))
            try:
                os.mkdir(locks, 0o700)
            except FileNotFoundError:
                continue
            except FileExistsError:
                pass
            return

    def _acquire_file(self, is_begun: Callable[[], bool] | None) -> bool:
        """Acquire the file's lock; `CacheFolder.note_failure` touches the file."""
        if fcntl is None:
            return self._acquire_polling()
        lock = _FileLock(self._path)
        if lock.acquire():
            self._lock = lock
            return True
        before = modified(self._path)
        if not lock.wait(self._timeout, is_begun):
            lock.close()
            return False
        self._lock = lock
        return modified(self._path) == before

    def _acquire_polling(self) -> bool:
        from filelock import FileLock, Timeout

        lock = FileLock(self._path, mode=MODE, thread_local=False)
        before = modified(self._path)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            pass
        else:
            self._lock = lock
            return True
        try:
            lock.acquire(timeout=self._timeout, poll_interval=POLL_SECONDS)
        except Timeout:
            return False
        self._lock = lock
        return modified(self._path) == before


class _FileLock:
    """flock(2) on a file, which `filelock` uses too."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | NO_FOLLOW, MODE)

    def acquire(self) -> bool:
        """Acquire the lock unless another descriptor has it."""
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except BaseException:
            self.close()
            raise
        return True

    def wait(self, timeout: float, is_begun: Callable[[], bool] | None = None) -> bool:
        """Acquire the lock once its owner has released it.

        Return False after the timeout, or once `is_begun` has returned True.
        """
        end = time.monotonic() + timeout
        events = _events_of(self._path)
        try:
            while not self.acquire():
                left = end - time.monotonic()
                if left <= 0 or (is_begun is not None and is_begun()):
                    return False
                _sleep(events, left)
        except BaseException:
            self.close()
            raise
        finally:
            if events is not None:
                os.close(events)
        return True

    def notify(self) -> None:
        """Cause an event."""
        try:
            os.fchmod(self._fd, MODE)
        except OSError:  # a file system that was unmounted or made read-only
            return

    def release(self) -> None:
        """Release the lock, in any case, and then cause an event."""
        fd, self._fd = self._fd, -1
        if fd < 0:
            return
        try:
            fcntl.flock(fd, fcntl.LOCK_UN)  # a child of a fork may have a copy of the descriptor
            os.fchmod(fd, MODE)
        except OSError:  # a file system that was unmounted or made read-only
            pass
        finally:
            os.close(fd)

    def close(self) -> None:
        """Close the descriptor; the lock ends when every copy of it is closed."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        self.close()


def _sleep(events: int | None, left: float) -> None:
    """Sleep until the lock's file is released or closed, or until it is time to try again."""
    if events is None:
        time.sleep(min(left, POLL_SECONDS))
        return
    import select  # who acquires the lock at once waits for nothing

    poll = select.poll()
    poll.register(events, select.POLLIN)
    if poll.poll(1000 * min(left, MOST_SECONDS_BETWEEN_TRIES)):
        os.read(events, 1 << 16)


def _events_of(path: str) -> int | None:
    """Return a descriptor that becomes readable when a file is closed or its mode is set.

    None if the system has no inotify(7), or this user has no more instances of it.
    """
    if sys.platform != "linux":
        return None
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    try:
        fd = library.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
    except AttributeError:
        return None
    if fd < 0:
        return None
    name = ctypes.c_char_p(os.fsencode(path))
    if library.inotify_add_watch(fd, name, ctypes.c_uint32(IN_ATTRIB | IN_CLOSE_WRITE)) >= 0:
        return fd
    os.close(fd)
    return None
