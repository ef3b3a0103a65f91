"""copy_tensors: copy the elements of tensors into other tensors."""

from collections.abc import Sequence

__all__ = ["copy_tensors"]


def copy_tensors(src: Sequence, dst: Sequence, stream: object = None) -> None:
    """Copy the elements of each tensor in `src` into the memory of its counterpart in `dst`.

    Parameters
    ----------
    src, dst : sequence of OrtValue
        Of one length, with equal types and shapes.
    stream : None
        Streams belong to other devices than the CPU.

    Raises
    ------
    ValueError
        If the lengths, or the shapes of two tensors, differ.
    NotImplementedError
        If a stream is given.
    """
    if stream is not None:
        raise NotImplementedError("ortmmap's values lie in the CPU's memory, which has no streams")
    if len(src) != len(dst):
        raise ValueError(f"{len(src)} tensors cannot be copied into {len(dst)}")
    for source, target in zip(src, dst, strict=True):
        target.update_inplace(source.numpy())
