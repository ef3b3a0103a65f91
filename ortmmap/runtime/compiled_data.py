"""Methods for data that execution providers have compiled, which ortmmap refuses."""

from collections.abc import Callable

__all__ = ["CompiledData"]


class CompiledData:
    """A mixin of `SessionOptions`."""

    __slots__ = ()

    def set_ep_context_data_read_func(self, read_func: Callable[..., object]) -> None:
        """Raise: a model that was compiled for a provider keeps its data in files here.

        Raises
        ------
        NotImplementedError
        """
        raise NotImplementedError(
            f"ortmmap calls no function ({read_func!r}) to read what an execution provider has "
            "compiled: keep the data in a file beside the model"
        )

    def clear_ep_context_data_read_func(self) -> None:
        """Do nothing: no function is set."""
