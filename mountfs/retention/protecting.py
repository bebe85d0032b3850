"""What no rule of age touches: what is pinned, baselines, the newest jobs, and what somebody wants until a date."""

from collections.abc import Iterable, Mapping

from mountfs.namespace import age_of
from mountfs.retention.model import Report
from mountfs.retention.policy import BRANCH, TYPE, Policy
from mountfs.retention.reasons import AmongLatest, DateAhead, IsBaseline, IsPinned, Staying

Group = tuple[tuple[str, str], ...]
Latest = Mapping[tuple[str, str], AmongLatest]
"""By key of a report."""


def latest(reports: Iterable[Report], policy: Policy) -> Latest:
    """The reports of the newest `keep_latest_n` jobs of each group.

    A job counts once, by its beginning: what it published since makes it no newer.
    """
    if not policy.keep_latest_n:
        return {}
    groups: dict[Group, dict[str, list[Report]]] = {}
    for report in reports:
        groups.setdefault(group_of(report, policy.group_by), {}).setdefault(report.job, []).append(report)
    return {
        report.key: AmongLatest(rank, policy.keep_latest_n, group)
        for group, jobs in groups.items()
        for rank, job in enumerate(_newest_first(jobs)[: policy.keep_latest_n], 1)
        for report in jobs[job]
    }


def group_of(report: Report, group_by: tuple[str, ...]) -> Group:
    """A job without the tag is in the group of those without it."""
    return tuple((key, report.type if key == TYPE else report.tags.get(key, "")) for key in group_by)


def _newest_first(jobs: Mapping[str, list[Report]]) -> list[str]:
    return sorted(jobs, key=lambda job: age_of(jobs[job][0].began_ns, job), reverse=True)


def protections(report: Report, latest_ones: Latest, policy: Policy, *, is_merged: bool = False) -> list[Staying]:
    """Why this report stays at any age, the strongest first.

    With `is_merged` its branch is over: what was kept for the sake of that branch alone, its newest report to compare
    with and its own group of newest jobs, is kept no more.
    """
    reasons: list[Staying] = []
    if report.pinned:
        reasons.append(IsPinned())
    baseline = report.baseline
    if baseline is not None and (baseline.chosen or not is_merged):
        reasons.append(IsBaseline(baseline.branch, baseline.chosen))
    among = latest_ones.get(report.key)
    if among is not None and not (is_merged and BRANCH in policy.group_by):
        reasons.append(among)
    return reasons


def date_ahead(report: Report, now_ns: int) -> DateAhead | None:
    """Somebody wants an artifact of it until then; the report is not torn, so all of it waits."""
    last_ns = max((dated.expires_at_ns for dated in report.dated), default=now_ns)
    return DateAhead(last_ns) if last_ns > now_ns else None


def holds_dates(report: Report) -> bool:
    """Whether not even an artifact's own date takes it: a pin and a baseline say more than a date."""
    return report.pinned or report.baseline is not None
