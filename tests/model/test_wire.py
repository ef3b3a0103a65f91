"""Fields of a message, read from protobuf's wire format."""

import pytest
from wire import FIXED32, FIXED64, GROUP, LENGTH, VARINT, group, integer, tag, text

from ortmmap.errors import InvalidProtobuf
from ortmmap.model.wire import fields


def test_a_field_of_each_wire_type() -> None:
    parts = [
        integer(1, 300),
        tag(2, FIXED64) + b"12345678",
        text(3, b"content"),
        group(4, integer(1, 1)),
        tag(500, FIXED32) + b"1234",
    ]
    found = fields(b"".join(parts))
    assert [(field.number, field.wire, field.value) for field in found] == [
        (1, VARINT, 300),
        (2, FIXED64, 0),
        (3, LENGTH, 0),
        (4, GROUP, 0),
        (500, FIXED32, 0),
    ]
    ends = [len(b"".join(parts[: count + 1])) for count in range(len(parts))]
    assert [field.stop for field in found] == ends
    assert found[2].stop - found[2].start == len(b"content")


def test_fields_outside_the_buffer() -> None:
    for start, stop in ((0, 5), (3, 2), (5, 5)):
        with pytest.raises(ValueError, match="not within"):
            fields(b"\x08\x01\x08\x01", start, stop)
    with pytest.raises(InvalidProtobuf, match="at byte 3"):
        fields(b"\x08\x01\x08\x80\x01", 2, 4)
    assert fields(b"\x08\x01\x12\x01a") == [(1, 0, 1, 1, 2), (2, 2, 0, 4, 5)]
