"""The header of an entry: the file ``header`` in its folder.

1. Integers are little-endian. Magic ``ORTMHEAD`` (8 bytes), version 2 (u32), number of files
   (u32, at most 1024), size of the description (u32), 4 bytes of zero, the entry's name (80 bytes
   of ASCII, padded with zeros); of the sources: BLAKE2b-256 of their bytes (zeros until it is
   known); BLAKE2b-128 of their places, of these with times in seconds, and of their samples (see
   ``identity.py``).
2. For each file: name (64 bytes of ASCII, padded with zeros; no separator), size, XXH3-64 of its
   bytes, inode (u64 each), time of modification and of change (i64 each, nanoseconds), BLAKE2b-128
   of its samples.
3. The description: a JSON object, for people only.
4. BLAKE2b-128 of everything before it. Nothing follows.
"""

import struct
from _blake2 import blake2b  # hashlib's own; hashlib loads OpenSSL too, which takes longer
from collections import namedtuple

from ortmmap.cache.folder import HEADER_NAME
from ortmmap.cache.identity import SAMPLE_BYTES

__all__ = [
    "CHECKSUM_BYTES",
    "LARGEST_HEADER",
    "NO_CONTENT",
    "Damaged",
    "File",
    "Header",
    "checksum",
    "pack",
    "parse",
]

MAGIC = b"ORTMHEAD"
VERSION = 2
NAME_BYTES = 80
MOST_FILES = 1024
LARGEST_HEADER = 1 << 20
NO_CONTENT = bytes(32)

_HEAD = struct.Struct(f"<8sIII4x{NAME_BYTES}s32s" + 3 * f"{SAMPLE_BYTES}s")
_FILE = struct.Struct(f"<64sQQQqq{SAMPLE_BYTES}s")
CHECKSUM_BYTES = 16

File = namedtuple("File", "name size checksum inode mtime_ns ctime_ns samples")
Header = namedtuple("Header", "name content place coarse_place samples files description")


class Damaged(Exception):  # noqa: N818 - a state of the entry
    """An entry is not as it was written."""


def pack(header: Header) -> bytes:
    """Return the bytes of a header file.

    Raises
    ------
    ValueError
        If there are too many files, or a file's name is too long.
    """
    if len(header.files) > MOST_FILES or any(len(f.name) > 64 for f in header.files):
        raise ValueError(f"an entry holds {MOST_FILES} files with names of 64 characters at most")
    raw = bytearray(
        _HEAD.pack(
            MAGIC,
            VERSION,
            len(header.files),
            len(header.description),
            header.name.encode("ascii"),
            header.content,
            header.place,
            header.coarse_place,
            header.samples,
        )
    )
    for file in header.files:
        raw += _FILE.pack(file.name.encode("ascii"), *file[1:])
    raw += header.description
    return bytes(raw) + checksum(raw)


def parse(raw: bytes, name: str) -> Header:
    """Return the header of the entry `name` from the bytes of its file.

    Raises
    ------
    Damaged
        If they break a rule of the format, or belong to another entry.
    """
    if len(raw) < _HEAD.size + CHECKSUM_BYTES:
        raise Damaged("the header ends too early")
    if checksum(raw[:-CHECKSUM_BYTES]) != raw[-CHECKSUM_BYTES:]:
        raise Damaged("the header is not what was written")
    magic, version, count, described, said, *digests = _HEAD.unpack_from(raw)
    content, place, coarse_place, samples = digests
    end = _HEAD.size + count * _FILE.size
    if magic != MAGIC or version != VERSION or count > MOST_FILES:
        raise Damaged("the header is of another format")
    if end + described + CHECKSUM_BYTES != len(raw):
        raise Damaged("the header has another size")
    if said.rstrip(b"\0") != name.encode("ascii"):
        raise Damaged("the entry is another's")
    files = [_file(*fields) for fields in _FILE.iter_unpack(raw[_HEAD.size : end])]
    description = raw[end : end + described]
    return Header(name, content, place, coarse_place, samples, tuple(files), description)


def _file(name: bytes, *fields: object) -> File:
    try:
        text = name.rstrip(b"\0").decode("ascii")
    except UnicodeDecodeError:
        raise Damaged("a file's name is not ASCII") from None
    if not text or text in (".", "..", HEADER_NAME) or "/" in text or "\\" in text or "\0" in text:
        raise Damaged(f"a file cannot be called {text!r}")
    return File(text, *fields)


def checksum(raw: bytes | bytearray) -> bytes:
    """Return the BLAKE2b-128 that ends each of the cache's own files."""
    return blake2b(raw, digest_size=CHECKSUM_BYTES).digest()
