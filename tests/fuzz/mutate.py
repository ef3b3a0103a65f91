"""Mutations of protobuf messages, with the lengths of the messages around them adjusted."""

from __future__ import annotations

import random
from collections.abc import Sequence

from wire import LENGTH, group, integer, text, varint

from ortmmap import errors
from ortmmap.model.wire import Field, fields

NUMBERS = [0, 1, 2, 7, 8, 11, 16, 63, 64, 65, 127, 128, 1 << 31, 1 << 40, (1 << 64) - 1]
TEXTS = [b"", b"w", b"x", b"y", b"Constant", b"value", b"location", b"ai.onnx", b"\xff" * 9]
HIGHEST = 32  # field number, exclusive


def mutate(content: bytes, corpus: Sequence[bytes], rng: random.Random) -> bytes:
    """Change a model in a few places, most often inside fields."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        content = change_message(content, corpus, rng) if rng.random() < 0.9 else flip(content, rng)
    return content


def flip(content: bytes, rng: random.Random) -> bytes:
    """Change, cut or repeat bytes anywhere."""
    at = rng.randrange(len(content) + 1)
    stop = min(len(content), at + rng.choice((0, 1, 1, 2, 8)))
    kind = rng.randrange(4)
    if kind == 0:
        return content[:at]
    middle = [b"", rng.randbytes(stop - at), content[at:stop] * 2][kind - 1]
    return content[:at] + middle + content[stop:]


def change_message(content: bytes, corpus: Sequence[bytes], rng: random.Random) -> bytes:
    """Change a field of the message, or of a nested message."""
    found = read(content)
    if not found:
        return flip(content, rng)
    index = rng.randrange(len(found))
    chosen = found[index]
    inner = content[chosen.start : chosen.stop]
    parts = [written(content, found, at) for at in range(len(found))]
    if is_message(content, chosen) and rng.random() < 0.85:
        width = rng.choice((1, 1, 1, 5))
        parts[index] = text(chosen.number, change_message(inner, corpus, rng), width)
    else:
        change_fields(parts, index, corpus, rng)
    return b"".join(parts)


def change_fields(
    parts: list[bytes], index: int, corpus: Sequence[bytes], rng: random.Random
) -> None:
    kind = rng.randrange(8)
    if kind == 0:
        del parts[index]
    elif kind == 1:
        parts.insert(rng.randrange(len(parts) + 1), parts[index])
    elif kind == 2:
        rng.shuffle(parts)
    elif kind == 3:
        parts.insert(index, any_field(rng))
    elif kind == 4:
        parts[index] = any_field(rng)
    elif kind == 5:
        parts[index] = flip(parts[index], rng)
    elif kind == 6:
        parts[index] = borrowed(rng.choice(corpus), rng)
    else:
        parts.append(borrowed(rng.choice(corpus), rng))


def any_field(rng: random.Random) -> bytes:
    number = rng.randrange(1, HIGHEST)
    kind = rng.randrange(4)
    if kind == 0:
        return integer(number, rng.choice(NUMBERS), rng.choice((1, 1, 10)))
    if kind == 1:
        return text(number, rng.choice(TEXTS), rng.choice((1, 1, 5)))
    if kind == 2:
        return text(number, b"".join(varint(rng.choice(NUMBERS)) for _ in range(3)))
    return group(number, any_field(rng) if rng.random() < 0.5 else b"")


def borrowed(content: bytes, rng: random.Random) -> bytes:
    """Return a field of another model, at any depth."""
    found = read(content)
    if not found:
        return b""
    index = rng.randrange(len(found))
    chosen = found[index]
    if is_message(content, chosen) and rng.random() < 0.7:
        return borrowed(content[chosen.start : chosen.stop], rng)
    return written(content, found, index)


def read(content: bytes) -> list[Field]:
    try:
        return fields(content)
    except errors.InvalidProtobuf:
        return []


def written(content: bytes, found: list[Field], index: int) -> bytes:
    """Return a field's bytes, with its tag."""
    start = found[index - 1].stop if index else 0
    return content[start : found[index].stop]


def is_message(content: bytes, chosen: Field) -> bool:
    return chosen.wire == LENGTH and bool(read(content[chosen.start : chosen.stop]))
