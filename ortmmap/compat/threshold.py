"""Which models gain nothing from ortmmap: those smaller than a threshold, weights included.

A second ONNX Runtime in a process takes 13 to 23 MiB of private memory. A model smaller than that
cannot save as much. The module imports nothing of the native layer.
"""

import os
from collections.abc import Iterator
from typing import Any

__all__ = ["DEFAULT", "VARIABLE", "model_size", "threshold_of"]

VARIABLE = "ORTMMAP_PATCH_THRESHOLD"
DEFAULT = 16 << 20  # bytes; the cache is used from the same size on

# malloc keeps more memory for itself once it has freed a block that was mapped, of 128 KiB or more.
BLOCK = 1 << 16
# The key of the entry of TensorProto.external_data that names the file, in the wire format.
LOCATION = b"\n\x08location\x12"
LONGEST_PATH = 4096
FOLDER_KEY = "session.model_external_initializers_file_folder_path"


def threshold_of(threshold: int | None) -> int:
    """Return the threshold in bytes: the argument, or the variable's value, or the default.

    Raises
    ------
    ValueError
        If it is negative, or the variable's value is no integer.
    """
    if threshold is None:
        text = os.environ.get(VARIABLE, "")
        try:
            threshold = int(text) if text else DEFAULT
        except ValueError:
            raise ValueError(
                f"{VARIABLE} should be a number of bytes such as {DEFAULT}, not {text!r}"
            ) from None
    if threshold < 0:
        raise ValueError(f"the threshold should be 0 bytes or more, not {threshold}")
    return threshold


def model_size(model: Any, options: Any, threshold: int) -> int:
    """Return the size of a model, in bytes: of its file and of its files of external data.

    External data are left out if all files in the folder do not reach the threshold together.

    Parameters
    ----------
    model : str, os.PathLike or bytes
        The first argument of onnxruntime's ``InferenceSession``.
    options : onnxruntime.SessionOptions or None
        These may name the folder of the external data.
    threshold : int
        A file at least as large is not read.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    if isinstance(model, bytes):
        size, blocks, folder = len(model), iter([model]), ""
    else:
        path = os.fspath(model)
        size, blocks, folder = os.path.getsize(path), _blocks(path), os.path.dirname(path)
        if os.path.isdir(path):
            raise IsADirectoryError(path)
    folder = _folder_of(options) or folder
    if size >= threshold or _holds_less(folder or os.curdir, threshold):
        return size
    names = set(_locations(blocks))
    return size + sum(_size_of(os.path.join(folder, name)) for name in names)


def _holds_less(folder: str, size: int) -> bool:
    """Return whether the files of a folder are smaller together, so that none need be looked for.

    False if that takes long to find out: of subfolders and of more than 100 files.
    """
    try:
        with os.scandir(folder) as entries:
            for count, entry in enumerate(entries):
                if count == 100 or entry.is_dir():
                    return False
                size -= entry.stat().st_size
                if size <= 0:
                    return False
    except OSError:
        return False
    return True


def _blocks(path: str) -> Iterator[bytes]:
    with open(path, "rb", buffering=0) as file:
        while block := file.read(BLOCK):
            yield block


def _locations(blocks: Iterator[bytes]) -> Iterator[str]:
    """Return the names of external files, each found by its key in the bytes of the model.

    Bytes of a weight that look like such a key name no file that exists.
    """
    rest = b""
    for block in blocks:
        data = rest + block if rest else block
        position = data.find(LOCATION)
        while position >= 0:
            yield _path_at(data, position + len(LOCATION))
            position = data.find(LOCATION, position + 1)
        rest = data[-(len(LOCATION) + LONGEST_PATH) :]


def _path_at(data: bytes, position: int) -> str:
    """Return the string at a position: its length as a varint, then its bytes."""
    length = shift = 0
    for byte in data[position : position + 3]:
        position += 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    return os.fsdecode(data[position : position + min(length, LONGEST_PATH)])


def _folder_of(options: Any) -> str:
    try:
        return options.get_session_config_entry(FOLDER_KEY)
    except (AttributeError, RuntimeError):  # no options, or no such entry
        return ""


def _size_of(path: str) -> int:
    try:
        return os.path.getsize(path) if os.path.isfile(path) else 0
    except (OSError, ValueError):
        return 0
