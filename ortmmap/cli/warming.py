"""Progress of a session that fills the cache: its stage, and the bytes that it has written.

The stages are seen in the cache's folder: an entry that is being written has a temporary folder,
whose files grow.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import TYPE_CHECKING

from ortmmap.cache.folder import is_temporary
from ortmmap.session.recorded_creation import PAGES_FILE

if TYPE_CHECKING:
    from rich.progress import Progress

    from ortmmap.cli.formatting import Console

__all__ = ["Stages", "showing_stages"]

OPTIMIZING = "optimizing the graph"
SAVING = "saving the optimized graph"
PREPACKING = "prepacking weights"
WRITING = "writing prepacked weights"
SECONDS = 0.05  # between two looks at the folder


class Stages:
    """The stages of a session that fills the cache in `folder`.

    Parameters
    ----------
    folder : str
        The cache's.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._others = self._drafts()  # of other processes, or of killed ones
        self._entries = self._finished()

    def look(self) -> tuple[str, int]:
        """Return the present stage, and the number of bytes written in it."""
        for draft in sorted(self._drafts() - self._others):
            files = _sizes(os.path.join(self._folder, draft))
            if PAGES_FILE in files:
                return WRITING, files[PAGES_FILE]
            if any(files.values()):
                return SAVING, sum(files.values())
        made = self._finished() - self._entries
        return (PREPACKING if made else OPTIMIZING), 0

    def _drafts(self) -> set[str]:
        return {name for name in _names(self._folder) if is_temporary(name)}

    def _finished(self) -> set[str]:
        return {name for name in _names(self._folder) if not is_temporary(name)}


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:  # not there yet
        return []


def _sizes(folder: str) -> dict[str, int]:
    """Return the sizes of a folder's files in bytes; other processes may remove them meanwhile."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name: entry.stat().st_size for entry in entries}
    except OSError:
        return {}


@contextmanager
def showing_stages(console: Console, text: str, folder: str, nbytes: int) -> Iterator[None]:
    """Show a progress bar of the bytes written into the cache while the block runs.

    Nothing is shown without rich, or if the output is not a terminal. A stage ends at about
    `nbytes`, the size of the model.
    """
    if console.rich is None:
        yield
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TimeElapsedColumn(),
    )
    done = Event()
    with Progress(*columns, console=console.rich, transient=True) as progress:
        watcher = Thread(target=_watch, args=(progress, text, Stages(folder), nbytes, done))
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()


def _watch(progress: Progress, text: str, stages: Stages, nbytes: int, done: Event) -> None:
    """Show the stage and its bytes until `done`."""
    task = progress.add_task(text, total=nbytes)
    while not done.wait(SECONDS):
        stage, written = stages.look()
        progress.update(
            task,
            description=f"{text}: {stage}",
            completed=written,
            total=max(nbytes, written),
        )
