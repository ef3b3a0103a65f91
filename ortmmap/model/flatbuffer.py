"""A reader of flatbuffers, complete enough to describe a model in ORT format.

The format: https://flatbuffers.dev/internals/.
"""

import struct

__all__ = ["Table", "root"]


class Table:
    """A table, whose fields are read by their position in the schema.

    Offsets in a flatbuffer are unsigned numbers of 32 bits, relative to their own position, except
    for a table's offset to its vtable. A read outside the buffer raises `struct.error`.
    """

    def __init__(self, data: memoryview, at: int) -> None:
        self._data = data
        self._at = at
        self._vtable = at - self._number("<i", at)
        self._entries = (self._number("<H", self._vtable) - 4) // 2

    def integer(self, position: int, form: str = "<i", default: int = 0) -> int:
        """Return a number in the format `form` of `struct`; `default` if the field is absent."""
        at = self._field(position)
        return self._number(form, at) if at else default

    def text(self, position: int) -> str:
        """Return a string; an empty one if the field is absent."""
        at = self._field(position)
        return self._text(self._follow(at)) if at else ""

    def texts(self, position: int) -> list[str]:
        """Return a vector of strings."""
        return [self._text(self._follow(at)) for at in self._elements(position, 4)]

    def table(self, position: int) -> "Table | None":
        """Return a table; None if the field is absent."""
        at = self._field(position)
        return Table(self._data, self._follow(at)) if at else None

    def required(self, position: int) -> "Table":
        """Return a table; raise `struct.error` if there is none."""
        found = self.table(position)
        if found is None:
            raise struct.error(f"the table at position {position} is missing")
        return found

    def tables(self, position: int) -> list["Table"]:
        """Return a vector of tables."""
        return [Table(self._data, self._follow(at)) for at in self._elements(position, 4)]

    def integers(self, position: int) -> list[int]:
        """Return a vector of 64-bit integers."""
        return [self._number("<q", at) for at in self._elements(position, 8)]

    def extent(self, position: int) -> tuple[int, int]:
        """Return offset and size of a vector; 0, 0 if the field is absent."""
        at = self._field(position)
        if not at:
            return 0, 0
        start = self._follow(at)
        return start + 4, self._number("<I", start)

    def _elements(self, position: int, width: int) -> range:
        start, count = self.extent(position)
        if start + count * width > len(self._data):
            raise struct.error(f"a vector of {count} at byte {start} goes beyond the end")
        return range(start, start + count * width, width)

    def _field(self, position: int) -> int:
        if position >= self._entries:
            return 0
        offset = self._number("<H", self._vtable + 4 + 2 * position)
        return self._at + offset if offset else 0

    def _follow(self, at: int) -> int:
        return at + self._number("<I", at)

    def _text(self, at: int) -> str:
        size = self._number("<I", at)
        return bytes(self._data[at + 4 : at + 4 + size]).decode("utf-8", "replace")

    def _number(self, form: str, at: int) -> int:
        if at < 0:  # unpack_from counts negative offsets from the end
            raise struct.error(f"an offset of {at}")
        return struct.unpack_from(form, self._data, at)[0]


def root(data: memoryview) -> Table:
    """Return the outermost table."""
    return Table(data, struct.unpack_from("<I", data, 0)[0])
