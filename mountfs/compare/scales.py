"""Axes: round numbers that hold all values, and how they are written."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from mountfs.compare.metrics import Unit

_LAST_MS: Final = 253_402_300_800_000  # the year 10000, where dates end
_BYTES: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_SECONDS: Final = (("s", 1.0), ("ms", 1e3), ("µs", 1e6), ("ns", 1e9))


@dataclass(frozen=True, slots=True)
class Scale:
    """From `low` to `high`, with marks between that are round in `unit`: a mark is `factor` times its number."""

    low: float
    high: float
    marks: tuple[float, ...]
    unit: str
    factor: float = 1.0

    def label(self, mark: float) -> str:
        return f"{mark / self.factor:.10g}{self.unit}"

    def place(self, value: float) -> float:
        """Where a value lies, 0 at the bottom and 1 at the top."""
        return (value - self.low) / (self.high - self.low)


def scale_of(values: Sequence[float], unit: Unit, *, marks: int = 5) -> Scale:
    """A scale with about so many marks; it holds all values and does not begin at 0: a trend is about change."""
    low, high = _room(min(values, default=0.0), max(values, default=0.0), unit)
    word, factor = _unit(max(abs(low), abs(high)), unit)
    step = _step((high - low) / factor / marks, whole=unit is Unit.COUNT) * factor
    first, last = math.floor(low / step), math.ceil(high / step)
    found = tuple(number * step for number in range(first, last + 1))
    return Scale(min(found[0], low), max(found[-1], high), found, word, factor)


def _room(low: float, high: float, unit: Unit) -> tuple[float, float]:
    """Values that are the same, as far as a picture goes, have some room around them, within 0 and 100 %."""
    room = max(abs(low), abs(high)) / 10
    if high - low > room * 1e-8:
        return low, high
    room = room or 1.0
    least = 0.0 if low >= 0 else low - room
    return max(low - room, least), min(high + room, 100.0) if unit is Unit.PERCENT and high <= 100 else high + room


def _unit(most: float, unit: Unit) -> tuple[str, float]:
    """The word after a number, and what it stands for."""
    match unit:
        case Unit.PERCENT:
            return " %", 1.0
        case Unit.BYTES:
            power = min(int(math.log2(most) // 10), len(_BYTES) - 1) if most >= 1 else 0
            return f" {_BYTES[power]}", 1024.0**power
        case Unit.SECONDS:
            word, per_second = next((pair for pair in _SECONDS if most * pair[1] >= 1), ("s", 1.0))
            return f" {word}", 1 / per_second
        case Unit.PER_SECOND:
            return "/s", 1.0
        case Unit.COUNT:
            return "", 1.0


def _step(least: float, *, whole: bool) -> float:
    """The next of 1, 2, 5, 10, 20 … that is at least so much."""
    if whole and least <= 1:
        return 1.0
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least * (1 - 1e-9))


def shown_day(at_ms: int) -> str:
    """The UTC day; nothing for a moment that has none."""
    if not 0 <= at_ms < _LAST_MS:
        return ""
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%d")
