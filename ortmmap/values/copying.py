"""copy_tensors: the contents of tensors into others."""

from collections.abc import Sequence

__all__ = ["copy_tensors"]


def copy_tensors(src: Sequence, dst: Sequence, stream: object = None) -> None:
    """Copy each tensor's contents into the tensor at the same place, in its memory.

    Parameters
    ----------
    src, dst : sequence of OrtValue
        As many of each, of equal types and shapes.
    stream : None
        Of a device; the CPU's memory has none.

    Raises
    ------
    ValueError
        Where there are not as many of each, or a shape differs.
    NotImplementedError
        Where a stream is given.
    """
    if stream is not None:
        raise NotImplementedError("ortmmap's values lie in the CPU's memory: there is no stream")
    if len(src) != len(dst):
        raise ValueError(f"{len(src)} tensors cannot be copied into {len(dst)}")
    for source, target in zip(src, dst, strict=True):
        target.update_inplace(source.numpy())
