"""UTF-8 to and from the code units of a str or a numpy text: 1, 2 or 4 bytes a character."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef enum:
    HIGH_BITS = 0x8080808080808080

ctypedef fused Unit:
    uint8_t
    uint16_t
    uint32_t


cdef inline bint is_ascii(const uint8_t *text, size_t size) noexcept nogil:
    """Whether no byte of a text has its highest bit set."""
    cdef uint64_t seen = 0
    cdef uint64_t word
    cdef size_t index = 0
    while index + 8 <= size:
        memcpy(&word, text + index, 8)
        seen |= word
        index += 8
    while index < size:
        seen |= <uint64_t>text[index]
        index += 1
    return not seen & <uint64_t>HIGH_BITS


cdef inline size_t encoded_size(const Unit *units, size_t count) noexcept nogil:
    """Return the size of `count` units in UTF-8, in bytes."""
    cdef size_t size = count
    cdef size_t index
    for index in range(count):
        size += units[index] >= 0x80
        if Unit is not uint8_t:
            size += units[index] >= 0x800
        if Unit is uint32_t:
            size += units[index] >= 0x10000
    return size


cdef inline int encode_ascii(const Unit *units, size_t count, char *end) noexcept nogil:
    """Write `count` units, all ASCII, to `end`."""
    cdef size_t index
    for index in range(count):
        end[index] = <char>units[index]
    return 0


cdef inline bint encode(const Unit *units, size_t count, char *end) noexcept nogil:
    """Write `count` units to `end`; return False if one of them is no character."""
    cdef size_t index
    cdef uint32_t unit
    for index in range(count):
        unit = units[index]
        if unit < 0x80:
            end[0] = <char>unit
            end += 1
        elif unit < 0x800:
            end[0] = <char>(0xC0 | unit >> 6)
            end[1] = <char>(0x80 | unit & 0x3F)
            end += 2
        elif unit < 0x10000:
            if 0xD800 <= unit < 0xE000:
                return False
            end[0] = <char>(0xE0 | unit >> 12)
            end[1] = <char>(0x80 | unit >> 6 & 0x3F)
            end[2] = <char>(0x80 | unit & 0x3F)
            end += 3
        elif unit <= 0x10FFFF:
            end[0] = <char>(0xF0 | unit >> 18)
            end[1] = <char>(0x80 | unit >> 12 & 0x3F)
            end[2] = <char>(0x80 | unit >> 6 & 0x3F)
            end[3] = <char>(0x80 | unit & 0x3F)
            end += 4
        else:
            return False
    return True


cdef inline size_t character_count(
    const uint8_t *text, size_t size, uint8_t *highest
) noexcept nogil:
    """Return the number of characters, and by `highest` the highest byte, for character_bound()."""
    cdef size_t count = 0
    cdef uint8_t found = 0
    cdef size_t index
    for index in range(size):
        count += text[index] & 0xC0 != 0x80
        found = max(found, text[index])
    highest[0] = found
    return count


cdef inline uint32_t character_bound(uint8_t highest) noexcept nogil:
    """Upper bound on the code points of a text with this highest byte, for PyUnicode_New."""
    if highest < 0x80:
        return 0x7F
    if highest < 0xC4:
        return 0xFF
    if highest < 0xF0:
        return 0xFFFF
    return 0x10FFFF


cdef inline bint decode(const uint8_t *text, size_t size, Unit *units) noexcept nogil:
    """Write at most character_count() units; return False if the text is no UTF-8."""
    cdef const uint8_t *end = text + size
    cdef uint32_t unit, least
    cdef size_t more
    while text < end:
        unit = text[0]
        text += 1
        if unit < 0x80:
            units[0] = <Unit>unit
            units += 1
            continue
        if 0xC2 <= unit < 0xE0:
            unit, more, least = unit & 0x1F, 1, 0x80
        elif 0xE0 <= unit < 0xF0:
            unit, more, least = unit & 0x0F, 2, 0x800
        elif 0xF0 <= unit < 0xF5:
            unit, more, least = unit & 0x07, 3, 0x10000
        else:
            return False
        if <size_t>(end - text) < more:
            return False
        while more:
            if text[0] & 0xC0 != 0x80:
                return False
            unit = unit << 6 | text[0] & 0x3F
            text += 1
            more -= 1
        if unit < least or 0xD800 <= unit < 0xE000 or unit > 0x10FFFF:
            return False
        units[0] = <Unit>unit
        units += 1
    return True
