"""SessionIOBinding: a binding with the arguments of onnxruntime's C++ class."""

from collections.abc import Sequence

from ortmmap.session.binding import IOBinding
from ortmmap.values.ort_value import OrtValueVector

__all__ = ["SessionIOBinding"]


class SessionIOBinding(IOBinding):
    """An `IOBinding` with the arguments of ``onnxruntime.SessionIOBinding``.

    Parameters
    ----------
    session : Session
        Or its ``_sess``, which is the same here.
    """

    __slots__ = ()

    def bind_input(self, name: str, *what: object) -> None:
        """Bind an input: to an array, or to an address.

        Parameters
        ----------
        name : str
        *what
            An array; or an `OrtDevice`, the type of the elements, a shape and an address.
        """
        if len(what) == 1:
            super().bind_cpu_input(name, what[0])
            return
        device, element_type, shape, address = _address(what)
        super().bind_input(name, device, 0, element_type, shape, address)

    def bind_output(self, name: str, device: object, *what: object) -> None:
        """Bind an output: to memory that the first run allocates, or to an address.

        Parameters
        ----------
        name : str
        device : OrtDevice
        *what
            Nothing; or the type of the elements, a shape and an address.
        """
        if not what:
            super().bind_output(name, device)
            return
        _, element_type, shape, address = _address((device, *what))
        super().bind_output(name, device, 0, element_type, shape, address)

    def get_outputs(self) -> OrtValueVector:
        """Return the outputs of the last run, in the order of binding."""
        return self.get_outputs_as_ortvaluevector()


def _address(what: Sequence) -> Sequence:
    if len(what) != 4:
        raise TypeError(
            "memory is bound by its device, the type of its elements, its shape and its address, "
            f"not by {what!r}"
        )
    return what
