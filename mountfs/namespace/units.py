"""Sizes and durations with their units, as people write them."""

import math
import re
from decimal import Decimal
from typing import Final

from mountfs.errors import InvalidArgument

SIZE_ALLOWED: Final = "a size such as 100 MiB, 20 GiB or 1 TB; a plain number is bytes"
DURATION_ALLOWED: Final = "a duration such as 30d, 12h, 90s or 500ms; a plain number is seconds"

_NUMBER: Final = re.compile(r"([0-9]{1,20}(?:\.[0-9]{1,9})?)\s*([A-Za-zµ]*)")
_POWERS: Final = {letter: power for power, letter in enumerate("KMGTP", start=1)}
_SIZE_UNITS: Final = {
    "": 1,
    "B": 1,
    **{letter: 1024**power for letter, power in _POWERS.items()},  # as coreutils reads them
    **{f"{letter}IB": 1024**power for letter, power in _POWERS.items()},
    **{f"{letter}B": 1000**power for letter, power in _POWERS.items()},
}
_SECONDS: Final = {
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), Decimal("0.001")),
    **dict.fromkeys(("", "s", "sec", "second", "seconds"), Decimal(1)),
    **dict.fromkeys(("m", "min", "minute", "minutes"), Decimal(60)),
    **dict.fromkeys(("h", "hour", "hours"), Decimal(3600)),
    **dict.fromkeys(("d", "day", "days"), Decimal(86400)),
    **dict.fromkeys(("w", "week", "weeks"), Decimal(7 * 86400)),
}
_MOST_BYTES: Final = 2**63 - 1


def parse_size(text: str | int) -> int:
    """The bytes that `100 MiB`, `20G`, `1.5 TB` or a plain number mean. KB is 1000, KiB and K are 1024."""
    matched = _NUMBER.fullmatch(str(text).strip())
    factor = _SIZE_UNITS.get(matched[2].upper()) if matched else None
    if matched is None or factor is None:
        raise InvalidArgument(f"{str(text)[:60]!r} is not a size; allowed: {SIZE_ALLOWED}")
    size_bytes = int(Decimal(matched[1]) * factor)
    if size_bytes > _MOST_BYTES:
        raise InvalidArgument(f"{str(text)[:60]!r} is more than any disk holds; allowed: {SIZE_ALLOWED}")
    return size_bytes


def format_size(size_bytes: int) -> str:
    """A size for eyes, rounded: `1.4 MiB`."""
    amount = float(size_bytes)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(amount) < 1024:
            return f"{size_bytes} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} PiB"


def exact_size(size_bytes: int) -> str:
    """A size in the largest unit that says it without rounding; `parse_size` gives the number back."""
    units = [(unit, factor) for unit, factor in _SIZE_UNITS.items() if len(unit) > 1]
    for unit, factor in sorted(units, key=lambda item: -item[1]):
        if size_bytes and size_bytes % factor == 0:
            return f"{size_bytes // factor} {unit.replace('IB', 'iB')}"
    return str(size_bytes)


def parse_duration_seconds(text: str | float, *, plain_unit_seconds: int = 1) -> float:
    """The seconds that `30d`, `12h`, `1.5 min` or a plain number mean.

    A plain number counts `plain_unit_seconds`: a key that ends in `_days` passes 86400.
    """
    if isinstance(text, float) and not math.isfinite(text):
        raise InvalidArgument(f"{text} is not a duration; allowed: {DURATION_ALLOWED}")
    matched = _NUMBER.fullmatch(str(text).strip())
    factor = _SECONDS.get(matched[2].lower()) if matched else None
    if matched is None or factor is None:
        raise InvalidArgument(f"{str(text)[:60]!r} is not a duration; allowed: {DURATION_ALLOWED}")
    return float(Decimal(matched[1]) * (factor if matched[2] else plain_unit_seconds))
