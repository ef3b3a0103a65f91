"""Recognition: what a session needs to recognize blocks that kernels have packed from stand-ins.

It is a file of the entry with the pages, and accepted only if every rule holds:

1. Integers are little-endian. Magic ``ORTMSTND`` (8 bytes), version 5 (u32), number of blocks n
   (u32), number of weights m (u32), number of a session's blocks that depend on stand-ins (u32),
   the key (32 bytes).
2. n fingerprints (two u64 each; zeros where there is none), in the order of the blocks.
3. n indices of blocks (u32 each), each block once: the order in which a session allocates them.
4. m names of weights, each its length (u32) and bytes. On their order depends which one begins at
   another page of the pattern if the hashes of two names are alike.
5. BLAKE2b-128 of everything before it. Nothing follows.
"""

import os
import struct
import sys
from collections import namedtuple

from ortmmap.cache.header import CHECKSUM_BYTES, checksum

__all__ = ["RECOGNITION_FILE", "VARIABLE", "Recognition", "is_proven", "pack", "parse"]

VERSION = 5
RECOGNITION_FILE = f"recognition-{VERSION}"  # so that each version finds its own
VARIABLE = "ORTMMAP_STANDINS"
LEAST_BYTES = 1 << 18  # of a weight: kernels make no blocks of it that are too small to be recorded
LEAST_TOTAL = 6 << 20  # of all these weights: comparing fewer takes no longer
MOST_TOTAL = 8 << 30  # of them too: a mapping shows 512 KiB of pattern, and 65,530 are allowed
MOST_BYTES = 1 << 26  # of the file

# ONNX Runtime's versions and processors that tests/session/test_stand_in_proof.py has passed with;
# `make proof` runs it with each version.
PROVEN_VERSIONS = (
    *("1.23.0", "1.23.1", "1.23.2", "1.24.1", "1.24.2", "1.24.3", "1.24.4", "1.25.0", "1.25.1"),
    *("1.26.0", "1.27.0", "1.28.0", "1.29.0", "1.30.0", "1.31.0", "1.31.1", "1.32.0"),
)
PROVEN_MACHINES = ("x86_64",)

MAGIC = b"ORTMSTND"
_HEAD = struct.Struct("<8sIIII32s")
_FINGERPRINT = struct.Struct("<QQ")
_INDEX = struct.Struct("<I")
_LENGTH = struct.Struct("<I")

Recognition = namedtuple("Recognition", "fingerprints order weights dependent")
Recognition.__doc__ = """How blocks are recognized.

Attributes
----------
fingerprints : list of (int, int)
    Of each stored block, as kernels pack it from stand-ins; zeros if it does not depend on them.
order : list of int
    The indices of the stored blocks, in the order in which a session allocates them.
weights : list of bytes
    The names of the weights that have stand-ins, in their order.
dependent : int
    How many of a session's blocks depend on them. If fewer are recognized, one was not recorded.
"""


def is_proven(version: str) -> bool:
    """Return whether stand-ins may be used with this version of ONNX Runtime, in this process."""
    return (
        sys.platform == "linux"
        and version in PROVEN_VERSIONS
        and os.uname().machine in PROVEN_MACHINES
        and os.environ.get(VARIABLE, "").strip() != "0"
    )


def pack(recognition: Recognition, key: bytes) -> bytes:
    """Return the bytes of the file, for the entry of that key."""
    fingerprints, order, weights, dependent = recognition
    raw = bytearray(_HEAD.pack(MAGIC, VERSION, len(fingerprints), len(weights), dependent, key))
    for fingerprint in fingerprints:
        raw += _FINGERPRINT.pack(*fingerprint)
    for index in order:
        raw += _INDEX.pack(index)
    for name in weights:
        raw += _LENGTH.pack(len(name)) + name
    return bytes(raw) + checksum(raw)


def parse(raw: bytes, key: bytes, blocks: int) -> Recognition | None:
    """Return what the file says of that many blocks; None if it breaks a rule."""
    body = raw[:-CHECKSUM_BYTES]
    if len(body) < _HEAD.size or checksum(body) != raw[-CHECKSUM_BYTES:]:
        return None
    magic, version, count, named, dependent, found = _HEAD.unpack_from(body)
    if (magic, version, count, found) != (MAGIC, VERSION, blocks, key):
        return None
    start = _HEAD.size + count * _FINGERPRINT.size
    end = start + count * _INDEX.size
    if len(body) < end:
        return None
    fingerprints = list(_FINGERPRINT.iter_unpack(body[_HEAD.size : start]))
    order = [index for (index,) in _INDEX.iter_unpack(body[start:end])]
    if sorted(order) != list(range(count)):
        return None
    start = end
    weights = []
    for _ in range(named):
        (length,) = _LENGTH.unpack_from(body, start)
        start += _LENGTH.size + length
        weights.append(body[start - length : start])
    return Recognition(fingerprints, order, weights, dependent) if start == len(body) else None
