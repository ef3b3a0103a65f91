"""Messages of protobuf, with their fields by number."""

from collections.abc import Iterable

from ortmmap.model.wire import Field, fields

__all__ = ["Message", "signed"]

LENGTH = 2  # protobuf's wire type of strings and messages


class Message:
    """A protobuf message of a model that the scan has accepted: its fields by number."""

    def __init__(self, data: memoryview, start: int, stop: int) -> None:
        self._data = data
        self._fields: dict[int, list[Field]] = {}
        for field in fields(data, start, stop):
            self._fields.setdefault(field.number, []).append(field)

    @classmethod
    def merged(cls, parts: "Iterable[Message]") -> "Message":
        """Merge the occurrences of one field, as protobuf does."""
        merged = None
        for part in parts:
            if merged is None:
                merged = part
                continue
            for number, found in part._fields.items():
                merged._fields.setdefault(number, []).extend(found)
        return merged or cls(memoryview(b""), 0, 0)

    def messages(self, number: int) -> "list[Message]":
        """Return the messages of a field."""
        return [Message(self._data, field.start, field.stop) for field in self._strings(number)]

    def text(self, number: int) -> str:
        """Return the last string of a field; empty if there is none."""
        return self.raw(number).decode("utf-8", "replace")

    def texts(self, number: int) -> list[str]:
        """Return the strings of a field."""
        found = self._strings(number)
        return [
            bytes(self._data[field.start : field.stop]).decode("utf-8", "replace")
            for field in found
        ]

    def raw(self, number: int) -> bytes:
        """Return the last bytes of a field; empty if there are none."""
        found = self._strings(number)
        return bytes(self._data[found[-1].start : found[-1].stop]) if found else b""

    def raws(self, number: int) -> list[bytes]:
        """Return the bytes of each occurrence of a field."""
        return [bytes(self._data[field.start : field.stop]) for field in self._strings(number)]

    def integer(self, number: int) -> int:
        """Return the last number of a field; 0 if there is none."""
        found = self._numbers(number)
        return signed(found[-1]) if found else 0

    def integers(self, number: int) -> list[int]:
        """Return the numbers of a field, packed or not."""
        return [signed(value) for value in self._numbers(number)]

    def count(self, number: int) -> int:
        """Return how often a field occurs."""
        return len(self._fields.get(number, ()))

    def _strings(self, number: int) -> list[Field]:
        return [field for field in self._fields.get(number, ()) if field.wire == LENGTH]

    def _numbers(self, number: int) -> list[int]:
        made = []
        for field in self._fields.get(number, ()):
            if field.wire == LENGTH:
                made += _packed(self._data[field.start : field.stop])
            elif field.wire == 0:
                made.append(field.value)
        return made


def _packed(data: memoryview) -> list[int]:
    made, value, shift = [], 0, 0
    for byte in data:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            made.append(value)
            value = shift = 0
    return made


def signed(value: int) -> int:
    """Return a varint as the signed number of 64 bits that it stands for."""
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value
