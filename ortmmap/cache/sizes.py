"""Numbers of bytes as people write and read them."""

__all__ = ["parse_size", "readable"]

POWERS = {"": 0, "b": 0, "k": 10, "m": 20, "g": 30, "t": 40}
UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def parse_size(text: str) -> int:
    """Parse a number of bytes: ``1024``, ``500MB`` (10**6), ``10GiB`` or ``10G`` (2**30).

    Raises
    ------
    ValueError
        If it is not a size.
    """
    lowered = text.strip().lower()
    number = lowered.rstrip("bikmgt ")
    unit = lowered[len(number) :].strip()
    letter = unit.removesuffix("ib") if unit.endswith("ib") else unit.removesuffix("b")
    decimal = unit.endswith("b") and not unit.endswith("ib")
    try:
        factor = 1000 ** (POWERS[letter] // 10) if decimal else 1 << POWERS[letter]
        size = int(float(number) * factor)
    except (KeyError, ValueError, OverflowError):
        size = -1
    if size < 0:
        raise ValueError(
            f"{text!r} is not a size; expected bytes, or a number with a unit such as 10GiB"
        )
    return size


def readable(nbytes: int) -> str:
    """Return a number of bytes in the largest fitting unit, such as ``3.0 MiB``."""
    number, unit = float(nbytes), UNITS[0]
    for unit in UNITS:
        if number < 1024 or unit == UNITS[-1]:
            break
        number /= 1024
    return f"{number:.0f} {unit}" if unit == UNITS[0] else f"{number:.1f} {unit}"
