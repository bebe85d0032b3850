"""One number through the jobs: where it began, where it is, and whether that is an alarm."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mountfs.compare.metrics import Metric, Unit
from mountfs.compare.values import Better, Change
from mountfs.namespace import age_of

_MOST: Final = 1e18  # more than any disk holds or clock shows: a broken report, and no axis could show it


@dataclass(frozen=True, slots=True)
class Point:
    """The number in one job; `at_ms` is its beginning."""

    at_ms: int
    value: float
    job: str = ""
    commit: str = ""


@dataclass(frozen=True, slots=True)
class Trend:
    """Points from the oldest to the newest, with what they come to; numbers are None where there is no point."""

    metric: Metric
    points: tuple[Point, ...]

    @property
    def change(self) -> Change:
        """From the first to the last."""
        return Change(self.points[0].value, self.points[-1].value) if self.points else Change()

    @property
    def least(self) -> float | None:
        return min((point.value for point in self.points), default=None)

    @property
    def most(self) -> float | None:
        return max((point.value for point in self.points), default=None)

    def alert(self, percent: float) -> bool:
        """Whether the last number is worse than the first by more than so many percent of it.

        What is in percent itself (coverage) is compared in points. Where neither way is better both are an alarm;
        where there was nothing, anything is, the way that is worse.
        """
        moved = self.change.percent if self.metric.unit is not Unit.PERCENT else self.change.change
        if moved is None:
            moved = _from_nothing(self.change)
        worse = {Better.LESS: moved, Better.MORE: -moved, Better.NEITHER: abs(moved)}[self.metric.better]
        return worse > percent


def _from_nothing(change: Change) -> float:
    if not change.change:
        return 0.0
    return float("inf") if change.change > 0 else float("-inf")


def trend(metric: Metric, points: Iterable[Point]) -> Trend:
    """The trend of these points, in the order of time; what cannot be a number of a run is left out."""
    kept = (point for point in points if abs(point.value) <= _MOST)  # NaN is not
    return Trend(metric, tuple(sorted(kept, key=lambda point: age_of(point.at_ms, point.job))))
