"""Children that a process with an open session forks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

_LONGEST_SECONDS = 60  # a session whose threads the child lacks may wait for them for ever


@contextmanager
def forked(work: Callable[[int], Any], count: int) -> Iterator[list[Any]]:
    """Fork children that each do their work and hold; yield the results, and kill them.

    `work` takes the index of the child. A child that ended before, or took longer than a minute,
    has None.
    """
    import multiprocessing  # here, since it would count as memory of every worker

    context = multiprocessing.get_context("fork")

    def be_child(index: int, pipe: Any) -> None:
        pipe.send(work(index))
        with suppress(EOFError):  # the parent has ended
            pipe.recv()  # hold: an exit might hang, and is not measured

    children = []
    try:
        for index in range(count):
            ours, theirs = context.Pipe()
            child = context.Process(target=be_child, args=(index, theirs), daemon=True)
            child.start()
            theirs.close()
            children.append((child, ours))
        yield [_result(pipe) for _, pipe in children]
    finally:
        for child, pipe in children:
            child.kill()
            child.join()
            pipe.close()


def _result(pipe: Any) -> Any:
    try:
        return pipe.recv() if pipe.poll(_LONGEST_SECONDS) else None
    except EOFError:
        return None
