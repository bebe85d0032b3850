"""The decision: which reports expire now, which stay, and why.

It keeps true: what is pinned, a baseline in use or among the newest never goes by a rule of age; a report goes whole;
whatever goes has its reason. A date of an artifact's own is somebody's word: it takes that artifact alone, also from
among the newest, and as long as it is ahead the report stays. A second run at the same time finds nothing; what goes
now goes later too; the order of the reports does not matter.
"""

from collections.abc import Iterable
from itertools import pairwise

from mountfs.retention.model import DAY_NS, NEVER, Report
from mountfs.retention.plan import DatedVictim, Kept, Plan, Victim
from mountfs.retention.policy import Policy
from mountfs.retention.protecting import Latest, date_ahead, holds_dates, latest, protections
from mountfs.retention.reasons import DatePassed, NoLimit, Staying, SwitchedOff, TooOld, Young


def decide(reports: Iterable[Report], policy: Policy, *, now_ns: int) -> Plan:
    """What expires by the policy at this time. Raises ValueError where a report is named twice."""
    ordered = in_order(reports)
    newest = latest(ordered, policy)
    judged = [_judge(report, newest, policy, now_ns) for report in ordered]
    kept = tuple(verdict for verdict in judged if isinstance(verdict, Kept))
    dated = _passed(kept, now_ns) if policy.enabled else ()
    return Plan(tuple(verdict for verdict in judged if isinstance(verdict, Victim)), dated, kept)


def in_order(reports: Iterable[Report]) -> list[Report]:
    """By job, then type: each once."""
    ordered = sorted(reports, key=lambda report: report.key)
    for one, other in pairwise(ordered):
        if one.key == other.key:
            raise ValueError(f"{one} is named twice")
    return ordered


def _judge(report: Report, newest: Latest, policy: Policy, now_ns: int) -> Victim | Kept:
    reasons: list[Staying] = [] if policy.enabled else [SwitchedOff()]
    reasons += protections(report, newest, policy)
    ahead = date_ahead(report, now_ns)
    if ahead is not None:
        reasons.append(ahead)
    age = by_age(report, policy, now_ns)
    if isinstance(age, TooOld) and not reasons:
        return Victim(report, age)
    if not isinstance(age, TooOld):
        reasons.append(age)
    return Kept(report, tuple(reasons))


def by_age(report: Report, policy: Policy, now_ns: int) -> TooOld | Young | NoLimit:
    """What the days alone say. A report goes when they are full, not a day later."""
    limit = policy.limit_of(report.type)
    if limit.days == NEVER:
        return NoLimit(limit.rule)
    is_over = now_ns - report.published_ns >= limit.days * DAY_NS
    return (TooOld if is_over else Young)(report.age_days(now_ns), limit.days, limit.rule)


def _passed(kept: Iterable[Kept], now_ns: int) -> tuple[DatedVictim, ...]:
    """Single artifacts whose date has come, in reports that stay."""
    return tuple(
        DatedVictim(verdict.report, dated, DatePassed(dated.expires_at_ns))
        for verdict in kept
        if not holds_dates(verdict.report)
        for dated in sorted(verdict.report.dated, key=lambda dated: dated.path)
        if dated.expires_at_ns <= now_ns
    )
