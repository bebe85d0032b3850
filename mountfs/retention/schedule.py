"""When cleaning comes: the five fields of cron, in UTC. The only module that knows cronsim.

UTC because several machines share a bucket, and because no hour of it is skipped or comes twice.
"""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final

from cronsim import CronSim, CronSimError

from mountfs.errors import InvalidArgument
from mountfs.retention.model import SECOND_NS

_FIELDS: Final = 5
_MOST_CHARACTERS: Final = 200
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SOME_DAY: Final = datetime(2026, 1, 1, tzinfo=UTC)  # any: whether a schedule ever comes does not depend on it
_RUNS_LOOKED_AT: Final = 100  # a minute's worth of runs each hour shows its gap; more than a day's would cost


def check_schedule(text: str) -> str:
    """The schedule with one space between fields. Raises InvalidArgument, also for one that never comes."""
    schedule = " ".join(text.split())
    if len(text) > _MOST_CHARACTERS or len(schedule.split()) != _FIELDS:
        raise InvalidArgument(f"{text[:60]!r} is not a schedule")
    if _next(schedule, _SOME_DAY) is None:
        raise InvalidArgument(f"{schedule!r} never comes; allowed: a day that some month has")
    return schedule


def next_run(schedule: str, *, after_ns: int) -> int:
    """The first moment of the schedule after this one, in ns since the epoch. Raises InvalidArgument."""
    found = _next(schedule, _EPOCH + timedelta(microseconds=after_ns // 1000))
    if found is None:
        raise InvalidArgument(f"{schedule!r} never comes; allowed: a day that some month has")
    since = found - _EPOCH
    return (since.days * 86400 + since.seconds) * SECOND_NS


def is_due(schedule: str, *, last_ns: int, now_ns: int) -> bool:
    """Whether a run is due: its time came since the last one. Times that were missed are made up for by one run."""
    return next_run(schedule, after_ns=last_ns) <= now_ns


def longest_gap_seconds(schedule: str) -> int:
    """The longest time between two runs that follow each other, among the first hundred."""
    runs = [_SOME_DAY]
    while len(runs) < _RUNS_LOOKED_AT and (found := _next(schedule, runs[-1])) is not None:
        runs.append(found)
    gaps = [int((later - sooner).total_seconds()) for sooner, later in pairwise(runs[1:])]
    return max(gaps, default=0)


def _next(schedule: str, after: datetime) -> datetime | None:
    """None: not in fifty years."""
    try:
        return next(CronSim(schedule, after), None)
    except CronSimError as error:
        raise InvalidArgument(f"{schedule[:60]!r} is not a schedule: {str(error).lower()}") from None
