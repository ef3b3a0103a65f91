"""Filing: what a session still has to write to the cache after it has been handed out.

One thread of the process does this work, one session after another, and ends when none is left.
It runs at a higher nice value than the rest of the process. When the interpreter exits, it waits
for the thread, for at most ``ORTMMAP_CACHE_EXIT_WAIT`` seconds, and then cancels the rest.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from ortmmap.cache.folder import CacheWarning, warn

if TYPE_CHECKING:
    from ortmmap.cache.lock import Turn

__all__ = ["FILING", "OFF", "PRIVATE", "SHARED", "Cached", "Cancelled", "Filing", "wait_for_all"]

OFF, FILING, SHARED, PRIVATE = "off", "filing", "shared", "private"

EXIT_WAIT_VARIABLE = "ORTMMAP_CACHE_EXIT_WAIT"
DEFAULT_EXIT_WAIT = 30.0  # seconds
CANCEL_SECONDS = 5.0  # until the thread has noticed that it is cancelled
NICE = 5  # a quarter of a core that another thread wants too


class Cancelled(Exception):  # noqa: N818 - a request, not an error
    """The rest of the work is not wanted any more."""


class Cached:
    """Where a session stands with the cache.

    Attributes
    ----------
    state : str
        ``off``: it does not use the cache.
        ``filing``: it was created without the cache, and a thread is writing what it has made.
        ``shared``: it was created from the cache, or its prepacked weights were exchanged for the
        cache's pages.
        ``private``: it was created without the cache, and nothing is being written.
    reason : str or None
        Why it is ``private``.
    """

    def __init__(self, state: str, reason: str | None = None) -> None:
        self.state = state
        self.reason = reason
        self._done = threading.Event() if state == FILING else None

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the session's work for the cache is done or has failed.

        Parameters
        ----------
        timeout : float, optional
            In seconds; by default there is no limit.

        Returns
        -------
        bool
            Whether the state is another than ``filing`` now.
        """
        done = self._done
        return done is None or done.wait(timeout)

    def settle(self, state: str, reason: str | None = None) -> None:
        """Set the final state, and wake the threads that wait for it."""
        self.state, self.reason = state, reason
        done, self._done = self._done, None
        if done is not None:
            done.set()

    def __str__(self) -> str:
        return self.state

    def __repr__(self) -> str:
        reason = "" if self.reason is None else f", {self.reason}"
        return f"<Cached {self.state}{reason}>"


class Filing:
    """The work for one session.

    Parameters
    ----------
    work : callable
        Called with this object, whose `check` it calls now and then. It returns None, or why the
        session stays private.
    turn : Turn
        The lock of the session's key, acquired; released when the work is done or has failed.
    let : callable
        Called at the end, in any case, and in the child of a fork.
    """

    def __init__(
        self, work: Callable[[Filing], str | None], turn: Turn, let: Callable[[], object]
    ) -> None:
        self.cached = Cached(FILING)
        self.cancelled = False
        self._work: Callable[[Filing], str | None] | None = work
        self._turn = turn
        self._let = let
        self._on_cancel: list[Callable[[], object]] = []

    def check(self) -> None:
        """Raise `Cancelled` if the work is not wanted any more."""
        if self.cancelled:
            raise Cancelled

    def cancel(self) -> None:
        """Ask the thread that does the work to end it soon."""
        self.cancelled = True
        for call in list(self._on_cancel):
            call()

    def on_cancel(self, call: Callable[[], object]) -> None:
        """Register a function that `cancel` calls, from another thread."""
        self._on_cancel.append(call)
        if self.cancelled:
            call()

    def start(self) -> None:
        """Do the work in the process's thread, after that of earlier sessions."""
        try:
            _submit(self)
        except RuntimeError as error:  # no more threads, or the interpreter is exiting
            self._end(PRIVATE, str(error))

    def run(self) -> None:
        """Do the work in this thread. Errors become a warning and the reason of the state."""
        state = PRIVATE
        reason: str | None = "the work was interrupted"
        try:
            self.check()
            assert self._work is not None
            reason = self._work(self)
            state = SHARED if reason is None else PRIVATE
        except Cancelled:
            reason = "the process exited before it was done"
        except CacheWarning as warning:  # the user's filter makes errors of warnings
            reason = str(warning)
        except Exception as error:  # a thread has nobody to raise it to
            reason = f"{type(error).__name__}: {error}"
            _try_to_warn(reason)
        finally:
            self._end(state, reason)

    def abandon(self) -> None:
        """Leave the work to the parent process, in the child of a fork."""
        self._turn.abandon()
        self.cached._done = None  # another thread may have held the event's lock
        self._end(PRIVATE, "the process was forked before it was done")

    def give_up(self) -> None:
        """Drop the work before it was started."""
        self._end(PRIVATE, "the session was not created")

    def _end(self, state: str, reason: str | None) -> None:
        self._work = None  # it holds the session's model
        self._on_cancel.clear()
        try:
            self._let()
        finally:
            self._turn.release()
            self.cached.settle(state, reason)


def _try_to_warn(reason: str) -> None:
    try:
        warn("write", f"the cache is not written: {reason}")
    except CacheWarning:
        return


# The thread. `_lock` guards the variables below.

_lock = threading.Lock()
_queue: deque[Filing] = deque()
_current: Filing | None = None
_thread: threading.Thread | None = None


def _submit(filing: Filing) -> None:
    """Add work to the queue, and start the thread unless it is running."""
    global _thread
    with _lock:
        _queue.append(filing)
        if _thread is not None:
            return
        _thread = threading.Thread(target=_run, name="ortmmap filing", daemon=True)
        try:
            _thread.start()
        except BaseException:
            _thread = None
            _queue.remove(filing)
            raise


def _run() -> None:
    _yield_to_others()
    while (filing := _next()) is not None:
        try:
            filing.run()
        except BaseException:  # the next session's work is still to be done
            continue
        finally:
            del filing


def _next() -> Filing | None:
    global _current, _thread
    with _lock:
        _current = _queue.popleft() if _queue else None
        if _current is None:
            _thread = None
        return _current


def _yield_to_others() -> None:
    """Raise the nice value of this thread, which on Linux concerns it alone."""
    if sys.platform != "linux":
        return
    try:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
    except OSError:
        return


def _under_way() -> list[Filing]:
    with _lock:
        return [filing for filing in (_current, *_queue) if filing is not None]


def wait_for_all(timeout: float | None = None) -> bool:
    """Wait until nothing is left to write; return False if the timeout has passed before.

    Parameters
    ----------
    timeout : float, optional
        In seconds; by default there is no limit.
    """
    thread = _thread
    if thread is None:
        return True
    thread.join(timeout)  # it ends when the queue is empty
    return not thread.is_alive()


# The end of the process


def exit_wait() -> float:
    """Return how many seconds the exit waits, by ``ORTMMAP_CACHE_EXIT_WAIT``; default 30."""
    text = os.environ.get(EXIT_WAIT_VARIABLE, "").strip()
    try:
        seconds = float(text) if text else DEFAULT_EXIT_WAIT
    except ValueError:
        seconds = -1.0
    if seconds >= 0:
        return seconds
    warn("exit wait", f"{EXIT_WAIT_VARIABLE} is a number of seconds, not {text!r}")
    return DEFAULT_EXIT_WAIT


def _finish_at_exit() -> None:
    """Wait for the thread; cancel it after the longest wait, or if the wait is interrupted."""
    thread = _thread
    if thread is None:
        return
    try:
        if wait_for_all(exit_wait()):
            return
    finally:
        for filing in _under_way():
            filing.cancel()
        thread.join(CANCEL_SECONDS)


def _after_fork() -> None:
    """Forget, in the child, the thread and the work, which are the parent's."""
    global _lock, _current, _thread
    under_way = [filing for filing in (_current, *_queue) if filing is not None]
    _lock = threading.Lock()
    _queue.clear()
    _current = _thread = None
    for filing in under_way:
        filing.abandon()


# threading's own list is also called in the children of multiprocessing, which atexit is not.
getattr(threading, "_register_atexit", atexit.register)(_finish_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
