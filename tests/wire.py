"""Protobuf's wire format, written by hand, with encodings that no serializer produces."""

VARINT, FIXED64, LENGTH, GROUP, END_GROUP, FIXED32 = range(6)


def varint(value: int, width: int = 1) -> bytes:
    """Encode a number in at least `width` bytes."""
    value &= (1 << 70) - 1
    made = bytearray()
    while value >= 0x80 or len(made) < width - 1:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*made, value])


def tag(number: int, wire: int, width: int = 1) -> bytes:
    return varint(number << 3 | wire, width)


def text(number: int, content: bytes, width: int = 1) -> bytes:
    """Encode a string or message, with its length in at least `width` bytes."""
    return tag(number, LENGTH) + varint(len(content), width) + content


def integer(number: int, value: int, width: int = 1) -> bytes:
    return tag(number, VARINT) + varint(value, width)


def group(number: int, content: bytes = b"", end: int | None = None) -> bytes:
    return tag(number, GROUP) + content + tag(number if end is None else end, END_GROUP)


def nested_groups(number: int, depth: int) -> bytes:
    return tag(number, GROUP) * depth + tag(number, END_GROUP) * depth
