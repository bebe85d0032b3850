"""Numbers before and after, and how far apart they must be to count."""

import enum
import math
from dataclasses import dataclass


class Better(enum.StrEnum):
    """Which way is good."""

    LESS = "less"
    MORE = "more"
    NEITHER = "neither"


@dataclass(frozen=True, slots=True)
class Options:
    """What counts as a change of time.

    A test is slower from this ratio on, if it took at least so many seconds more. A benchmark or an endpoint changed
    when it left its noise: the larger of so many percent of the time before, and so many of its own deviations.
    """

    slower_ratio: float = 2.0
    slower_seconds: float = 0.5
    noise_percent: float = 5.0
    noise_deviations: float = 1.0
    load_noise_percent: float = 10.0


@dataclass(frozen=True, slots=True)
class Change:
    """A number on both sides, None where a side does not say it."""

    before: float | None = None
    after: float | None = None

    @property
    def change(self) -> float | None:
        return finite(self.after - self.before) if self.before is not None and self.after is not None else None

    @property
    def percent(self) -> float | None:
        """The change in percent of what was before; None of nothing."""
        change = self.change
        return finite(100 * change / self.before) if change is not None and self.before else None


def finite(number: float | None) -> float | None:
    """The number, None for one that is none: tools write NaN, and what JSON holds must be read again."""
    return number if number is not None and math.isfinite(number) else None


def rate(covered: float, whole: float) -> float | None:
    """In percent; None of nothing."""
    return finite(100 * covered / whole) if whole else None
