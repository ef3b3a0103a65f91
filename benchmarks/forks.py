"""Children that a process with an open session forks."""

import json
import os
import select
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

_LONGEST_SECONDS = 60  # a session whose threads the child lacks may wait for them for ever


@contextmanager
def forked(work: Callable[[int], Any], count: int) -> Iterator[list[Any]]:
    """Fork children that each do their work and hold; yield the results, and kill them.

    `work` takes the index of the child and returns JSON values. A child that ended before, or took
    longer than a minute, has None.
    """
    alive, hold = os.pipe()
    children: list[tuple[int, TextIO]] = []
    try:
        for index in range(count):
            reads, writes = os.pipe()
            pid = os.fork()
            if not pid:
                os.close(hold)
                _be_child(work, index, writes, alive)
            os.close(writes)
            children.append((pid, os.fdopen(reads)))
        yield [_result(pipe) for _, pipe in children]
    finally:
        for pid, pipe in children:
            os.kill(pid, signal.SIGKILL)  # its exit might hang, and is not measured
            os.waitpid(pid, 0)
            pipe.close()
        os.close(alive)
        os.close(hold)


def _be_child(work: Callable[[int], Any], index: int, writes: int, alive: int) -> None:
    """Work, write the result, hold while the parent lives, and end at once."""
    try:
        result = work(index)  # an error is printed before the pipe is closed
        with os.fdopen(writes, "w") as pipe:
            json.dump(result, pipe)
        os.read(alive, 1)  # returns when no other process has the other end open
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def _result(pipe: TextIO) -> Any:
    ready, _, _ = select.select([pipe], [], [], _LONGEST_SECONDS)
    text = pipe.read() if ready else ""
    return json.loads(text) if text else None
