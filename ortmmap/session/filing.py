"""Filing: what a session still has to write to the cache after it has been handed out.

One thread of the process does this work, one session after another, and ends when none is left.
It runs at a higher nice value than the rest of the process. When the interpreter exits, it waits
for the thread, for at most ``ORTMMAP_CACHE_EXIT_WAIT`` seconds, and then cancels the rest.

A fork interrupts the work: the thread ends before it, and another one begins the work again in the
parent. So the child inherits no lock that the thread held, such as that of a module being imported,
and Python has no thread to warn of. Work that has been interrupted often is waited for instead.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from ortmmap.cache.folder import CacheWarning, warn
from ortmmap.session.cached import FILING, PRIVATE, SHARED, Cached

if TYPE_CHECKING:
    from ortmmap.cache.lock import Turn

__all__ = ["Cancelled", "Filing", "lack_of_threads", "wait_for_all"]

EXIT_WAIT_VARIABLE = "ORTMMAP_CACHE_EXIT_WAIT"
DEFAULT_EXIT_WAIT = 30.0  # seconds
CANCEL_SECONDS = 5.0  # until the thread has noticed that it is cancelled or interrupted
MOST_INTERRUPTIONS = 16  # by forks, for one session
LEAVE_SECONDS = 0.01  # for the opening to return: the work holds locks of malloc's and Python's
REST_SECONDS = 1.0  # after a fork, which others often follow; before work that nobody waits for
NICE = 5  # a quarter of a core that another thread wants too


class Cancelled(Exception):  # noqa: N818 - a request, not an error
    """The rest of the work is not to be done, or not now."""


class Filing:
    """The work for one session.

    Parameters
    ----------
    work : callable
        Called with this object, whose `check` it calls now and then. It returns None, or why the
        session stays private.
    turn : Turn, optional
        The lock of the session's key, acquired; released when the work is done or has failed.
    let : callable, optional
        Called at the end, in any case, and in the child of a fork.
    then : callable, optional
        Work that nobody waits for, called like `work` after that of all sessions in the queue.
    rests : bool, optional
        Whether to leave the processors to other work for a while before this is begun.
    """

    def __init__(
        self,
        work: Callable[[Filing], str | None],
        turn: Turn | None = None,
        let: Callable[[], object] | None = None,
        then: Callable[[Filing], str | None] | None = None,
        rests: bool = False,
    ) -> None:
        self.cached = Cached(FILING)
        self.cancelled = False
        self.interrupted = False
        self.interruptions = 0
        self.rests = rests
        self._stop = threading.Event()  # ends a rest
        self._work: Callable[[Filing], str | None] | None = work
        self._turn = turn
        self._let = let
        self._then = then
        self._on_cancel: list[Callable[[], object]] = []

    def check(self) -> None:
        """Raise `Cancelled` if the work is cancelled or interrupted."""
        if self.cancelled or self.interrupted:
            raise Cancelled

    def cancel(self) -> None:
        """Ask the thread that does the work to end it soon."""
        self.cancelled = True
        self._call_on_cancel()

    def interrupt(self) -> None:
        """Ask the thread to end the work soon; it is to be done again from the beginning."""
        self.interruptions += 1
        self.postpone()

    def postpone(self) -> None:
        """Ask the thread to do other work first."""
        self.interrupted = True
        self._call_on_cancel()

    def on_cancel(self, call: Callable[[], object]) -> None:
        """Register a function that `cancel` and `interrupt` call, from another thread.

        It is forgotten when the work ends.
        """
        self._on_cancel.append(call)
        if self.cancelled or self.interrupted:
            call()

    def rest(self) -> None:
        """Wait before the work is begun: a while if it can wait or was interrupted."""
        can_wait = self.rests or self.interruptions
        self._stop.wait(REST_SECONDS if can_wait else LEAVE_SECONDS)

    def hurry(self) -> None:
        """End the rest: somebody waits for the work."""
        self._stop.set()

    def _call_on_cancel(self) -> None:
        self._stop.set()
        for call in list(self._on_cancel):
            call()

    def start(self) -> None:
        """Do the work in the process's thread, after that of earlier sessions."""
        try:
            _submit(self)
        except RuntimeError as error:  # no more threads, or the interpreter is exiting
            self._end(PRIVATE, str(error))

    def run(self) -> bool:
        """Do the work in this thread; return False if it was interrupted.

        Errors become a warning and the reason of the state.
        """
        state = PRIVATE
        reason: str | None = "the work was interrupted"
        try:
            self.check()
            assert self._work is not None
            reason = self._work(self)
            state = SHARED if reason is None else PRIVATE
            if self._then is not None:
                Filing(self._then, rests=True).start()
        except Cancelled:
            if self.interrupted and not self.cancelled:
                state, self.interrupted = FILING, False
                self._stop.clear()
            reason = "the process exited before it was done"
        except CacheWarning as warning:  # the user's filter makes errors of warnings
            reason = str(warning)
        except Exception as error:  # a thread has nobody to raise it to
            reason = f"{type(error).__name__}: {error}"
            _try_to_warn(reason)
        finally:
            self._on_cancel.clear()
            if state != FILING:
                self._end(state, reason)
        return state != FILING

    def begun(self) -> None:
        """Let other processes that wait for the key's lock read what is being written."""
        if self._turn is not None:
            self._turn.notify()

    def written(self) -> None:
        """Release the key's lock: what other processes wait for is in the cache."""
        if self._turn is not None:
            self._turn.release()

    def abandon(self) -> None:
        """Leave the work to the parent process, in the child of a fork."""
        if self._turn is not None:
            self._turn.abandon()
        self.cached._done = None  # another thread may have held the event's lock
        self._end(PRIVATE, "the process was forked before it was done")

    def give_up(self) -> None:
        """Drop the work before it was started."""
        self._end(PRIVATE, "the session was not created")

    def _end(self, state: str, reason: str | None) -> None:
        self._work = None  # it holds the session's model
        try:
            if self._let is not None:
                self._let()
        finally:
            self.written()
            self.cached.settle(state, reason)


def _try_to_warn(reason: str) -> None:
    try:
        warn("write", f"the cache is not written: {reason}")
    except CacheWarning:
        return


# The thread. `_lock` guards the variables below.

_lock = threading.RLock()  # a signal handler may fork while its thread holds it
_queue: deque[Filing] = deque()
_current: Filing | None = None
_thread: threading.Thread | None = None  # the last one
_running = False  # whether it takes work from the queue
_forks = 0  # under way; no thread is started meanwhile


def lack_of_threads() -> str | None:
    """Return why the process cannot start a thread, or None."""
    if _running:
        return None
    probe = threading.Thread(target=int, name="ortmmap probe", daemon=True)
    try:
        probe.start()
    except RuntimeError as error:  # RLIMIT_NPROC, a container's limit, an interpreter that exits
        return str(error)
    _join(probe, CANCEL_SECONDS)
    return None


def _submit(filing: Filing) -> None:
    """Add work to the queue, and start the thread unless it is running."""
    with _lock:
        _queue.append(filing)
        if _current is not None and _current.rests and not filing.rests:
            _current.postpone()
        try:
            _start()
        except BaseException:
            _queue.remove(filing)
            raise


def _start() -> None:
    """Start the thread unless it is running or a fork is under way; `_lock` is held."""
    global _thread, _running
    if _running or _forks:
        return
    thread = threading.Thread(target=_run, name="ortmmap filing", daemon=True)
    thread.start()
    _thread, _running = thread, True


def _run() -> None:
    _yield_to_others()
    while (filing := _next()) is not None:
        try:
            filing.rest()
            if not filing.run():
                _put_back(filing)
        except BaseException:  # the next session's work is still to be done
            continue
        finally:
            del filing


def _next() -> Filing | None:
    global _current, _running
    with _lock:
        _current = None if _forks else _take()
        _running = _current is not None
        return _current


def _take() -> Filing | None:
    """Take the first work from the queue that somebody may wait for, else any; `_lock` is held."""
    for filing in _queue:
        if not filing.rests:
            _queue.remove(filing)
            return filing
    return _queue.popleft() if _queue else None


def _put_back(filing: Filing) -> None:
    """Put work that was interrupted before that of later sessions."""
    global _current
    with _lock:
        _current = None
        _queue.appendleft(filing)


def _yield_to_others() -> None:
    """Raise the nice value of this thread, which on Linux concerns it alone."""
    if sys.platform != "linux":
        return
    try:
        os.nice(NICE)
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
    end = None if timeout is None else time.monotonic() + timeout

    def left() -> float | None:
        return None if end is None else max(0.0, end - time.monotonic())

    while under_way := _under_way():
        for filing in under_way:
            filing.hurry()
        if not under_way[0].cached.wait(left()):
            return False
    thread = _thread
    if thread is None:
        return True
    thread.join(left())
    return not thread.is_alive()


# Forks and the end of the process


def _before_fork() -> None:
    """Interrupt the work, and wait until the thread has ended."""
    global _forks
    with _lock:
        _forks += 1
        thread, current = _thread, _current
    if thread is None or thread is threading.current_thread():
        return
    if current is not None and current.interruptions < MOST_INTERRUPTIONS:
        current.interrupt()
        _join(thread, CANCEL_SECONDS)
    else:
        _join(thread, DEFAULT_EXIT_WAIT)


def _join(thread: threading.Thread, timeout: float) -> None:
    """Wait for a thread, and on Linux until the kernel no longer counts it."""
    end = time.monotonic() + timeout
    thread.join(timeout)
    task = f"/proc/self/task/{thread.native_id}"
    while os.path.exists(task) and time.monotonic() < end:
        time.sleep(0.0001)


def _after_fork_in_parent() -> None:
    global _forks
    with _lock:
        _forks -= 1
        if not _queue:
            return
        try:
            _start()
        except RuntimeError as error:
            left, reason = list(_queue), str(error)
            _queue.clear()
        else:
            return
    for filing in left:
        filing._end(PRIVATE, reason)


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


def _after_fork_in_child() -> None:
    """Forget, in the child, the thread and the work, which are the parent's."""
    global _lock, _current, _thread, _running, _forks
    under_way = [filing for filing in (_current, *_queue) if filing is not None]
    _lock = threading.RLock()
    _queue.clear()
    _current = _thread = None
    _running, _forks = False, 0
    for filing in under_way:
        filing.abandon()


# threading's own list is also called in the children of multiprocessing, which atexit is not.
getattr(threading, "_register_atexit", atexit.register)(_finish_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
