"""When something is worth an event: a quota that was crossed, an artifact whose size jumped."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mountfs.events.values import QuotaWarning, SizeJump

REARMS_BELOW: Final = 0.95
"""Of the threshold: a store that hovers at it would warn with every file that comes and goes."""


def warn(used_bytes: int, quota_bytes: int, *, threshold: float, has_warned: bool) -> tuple[QuotaWarning | None, bool]:
    """The warning that is due now, if any, and `has_warned` for the next time.

    One for each time that the usage reaches the threshold; it may come again once the usage fell clearly below.
    Without a quota there is none.
    """
    if not quota_bytes:
        return None, False
    limit_bytes = quota_bytes * threshold
    if used_bytes >= limit_bytes:
        return (None if has_warned else QuotaWarning(used_bytes, quota_bytes, threshold)), True
    return None, has_warned and used_bytes >= limit_bytes * REARMS_BELOW


@dataclass(frozen=True, slots=True)
class JumpRule:
    """An artifact jumped when it has `factor` times the median of the `last` before it, and `least_bytes` more.

    With fewer than `fewest` before it nothing is usual yet.
    """

    factor: float = 1.5
    least_bytes: int = 1024**2
    last: int = 5
    fewest: int = 3


@dataclass(frozen=True, slots=True)
class Published:
    """An artifact as it was published; `branch` is that of its job."""

    job: str
    path: str
    type: str
    branch: str
    size_bytes: int


def size_jump(now: Published, before: Sequence[int], *, rule: JumpRule = JumpRule()) -> SizeJump | None:
    """Whether this artifact is much larger than those that were at its place `before`, the newest first."""
    looked_at = before[: rule.last]
    if len(looked_at) < rule.fewest:
        return None
    usual_bytes = int(statistics.median(looked_at))
    if now.size_bytes < usual_bytes * rule.factor or now.size_bytes - usual_bytes < rule.least_bytes:
        return None
    return SizeJump(now.job, now.path, now.type, now.branch, now.size_bytes, usual_bytes, len(looked_at))
