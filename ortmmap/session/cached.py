"""`Session.cached`: where a session stands with the cache."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threading import Event

__all__ = ["FILING", "OFF", "PRIVATE", "SHARED", "Cached"]

OFF, FILING, SHARED, PRIVATE = "off", "filing", "shared", "private"


class Cached:
    """Where a session stands with the cache.

    Attributes
    ----------
    state : str
        ``off``: it does not want the cache, because of its model's size, a provider or an option.
        ``filing``: it was created without the cache, and a thread is writing what it has made.
        ``shared``: it was created from the cache, or its prepacked weights were exchanged for the
        cache's pages.
        ``private``: it was created without the cache, and nothing is being written.
    reason : str or None
        Why it is ``private``; of another state, why its prepacked weights are not shared.
    folder : str or None
        The cache folder that has its entries, or is going to: the user's own, or a system cache.
    """

    def __init__(self, state: str, reason: str | None = None, folder: str | None = None) -> None:
        self.state = state
        self.reason = reason
        self.folder = folder
        self._done = _new_event() if state == FILING else None

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
        if state == PRIVATE:
            self.folder = None
        done, self._done = self._done, None
        if done is not None:
            done.set()

    def __str__(self) -> str:
        return self.state

    def __repr__(self) -> str:
        reason = "" if self.reason is None else f", {self.reason}"
        return f"<Cached {self.state}{reason}>"


def _new_event() -> "Event":
    from threading import Event  # a session that is created from the cache needs none

    return Event()
