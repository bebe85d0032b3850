"""Numbers of bytes, in powers of 1000 (kB, MB) and of 1024 (KiB, MiB)."""

import re
from typing import Final

from quantities.errors import BadQuantity

_DECIMAL: Final = ("B", "kB", "MB", "GB", "TB")
_BINARY: Final = ("B", "KiB", "MiB", "GiB", "TiB")
_BYTES_OF: Final = {
    **{unit.lower(): 1000**power for power, unit in enumerate(_DECIMAL)},
    **{unit.lower(): 1024**power for power, unit in enumerate(_BINARY)},
}
_SHAPE: Final = re.compile(r"\s*(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[a-z]*)\s*", re.IGNORECASE)
_EXPECTED: Final = "a size such as 512, 10 kB or 1.5 MiB"


def parse_size(text: str) -> int:
    """The number of bytes meant by `text`, rounded down; a bare number counts bytes."""
    match = _SHAPE.fullmatch(text)
    if match is None:
        raise BadQuantity(text, expected=_EXPECTED)
    unit = match["unit"].lower() or "b"
    if unit not in _BYTES_OF:
        raise BadQuantity(text, expected=_EXPECTED)
    return int(float(match["number"]) * _BYTES_OF[unit])


def format_size(size_bytes: int, *, decimal: bool = False) -> str:
    """`size_bytes` in the largest unit that leaves at least 1 before the point."""
    if size_bytes < 0:
        raise BadQuantity(str(size_bytes), expected="a number of bytes, 0 or more")
    step, units = (1000, _DECIMAL) if decimal else (1024, _BINARY)
    number = float(size_bytes)
    for unit in units[:-1]:
        if number < step:
            return f"{number:g} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= step
    return f"{number:.1f} {units[-1]}"
