"""When something is worth an event: a quota that was crossed, a report that jumped, a run that dropped jobs."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mountfs.events.values import ExpiredJob, JobExpired, QuotaWarning, SizeJump
from mountfs.retention import DatedVictim, Plan, Victim

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
    """A report jumped when it takes `factor` times the median of the `last` before it, and `least_bytes` more.

    With fewer than `fewest` before it nothing is usual yet.
    """

    factor: float = 2.0
    least_bytes: int = 10 * 1024**2
    last: int = 10
    fewest: int = 3


def size_jump(
    job: str,
    slug: str,
    stored_bytes: int,
    before: Sequence[int],
    *,
    rule: JumpRule = JumpRule(),
) -> SizeJump | None:
    """Whether this report is much larger than those of its type that went `before`, the newest first."""
    looked_at = before[: rule.last]
    if len(looked_at) < rule.fewest:
        return None
    usual_bytes = int(statistics.median(looked_at))
    if stored_bytes < usual_bytes * rule.factor or stored_bytes - usual_bytes < rule.least_bytes:
        return None
    return SizeJump(job, slug, stored_bytes, usual_bytes, len(looked_at))


def expired(plan: Plan) -> JobExpired | None:
    """What to tell of a plan that was carried out."""
    whole: dict[str, list[Victim]] = {}
    for victim in plan.victims:
        whole.setdefault(victim.report.job, []).append(victim)
    alone: dict[str, list[DatedVictim]] = {}
    for dated in plan.dated:
        alone.setdefault(dated.report.job, []).append(dated)
    left = {kept.report.job for kept in plan.kept}
    jobs = [_expired_job(job, whole.get(job, []), alone.get(job, []), left) for job in sorted(plan.jobs)]
    return JobExpired(tuple(jobs)) if jobs else None


def _expired_job(job: str, whole: list[Victim], alone: list[DatedVictim], left: set[str]) -> ExpiredJob:
    return ExpiredJob(
        job,
        (*(victim.sentence for victim in whole), *(victim.sentence for victim in alone)),
        sum(victim.report.artifacts for victim in whole) + len(alone),
        sum(victim.report.stored_bytes for victim in whole) + sum(victim.dated.stored_bytes for victim in alone),
        is_gone=job not in left,
    )
