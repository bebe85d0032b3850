"""What is going to expire and when, if nothing else happens: the view `.expiring/`, and the next time worth a run."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mountfs.retention.deciding import in_order
from mountfs.retention.model import DAY_NS, NEVER, Dated, Report
from mountfs.retention.policy import Policy
from mountfs.retention.protecting import Latest, holds_dates, latest, protections
from mountfs.retention.reasons import DatePassed, Going, TooOld, moment


@dataclass(frozen=True, slots=True)
class Expiring:
    """A report, or with `dated` that artifact of it alone, and the moment at which `decide` will take it."""

    report: Report
    at_ns: int
    reason: Going
    dated: Dated | None = None

    @property
    def sentence(self) -> str:
        what = str(self.report) if self.dated is None else f"{self.report.job}/{self.dated.path}"
        return f"{what}: goes at {moment(self.at_ns)}, {self.reason}"


def expiring(reports: Iterable[Report], policy: Policy, *, now_ns: int, within_ns: int = 7 * DAY_NS) -> list[Expiring]:
    """What goes within that time, the first first; also what is due already and waits for the next run."""
    found = [one for one in _all(reports, policy) if one.at_ns <= now_ns + within_ns]
    return sorted(found, key=lambda one: (one.at_ns, one.report.key, one.dated.path if one.dated else ""))


def next_expiry(reports: Iterable[Report], policy: Policy) -> int | None:
    """The earliest moment at which anything goes; it may lie in the past. None: nothing ever does."""
    return min((one.at_ns for one in _all(reports, policy)), default=None)


def _all(reports: Iterable[Report], policy: Policy) -> Iterator[Expiring]:
    if not policy.enabled:
        return
    ordered = in_order(reports)
    newest = latest(ordered, policy)
    for report in ordered:
        whole = _whole(report, newest, policy)
        if whole is not None:
            yield whole
        if not holds_dates(report):
            yield from _alone(report, before_ns=whole.at_ns if whole else None)


def _whole(report: Report, newest: Latest, policy: Policy) -> Expiring | None:
    """When the report goes as a whole: when its days are full, and the last date in it has passed."""
    limit = policy.limit_of(report.type)
    if limit.days == NEVER or protections(report, newest, policy):
        return None
    full_ns = report.published_ns + limit.days * DAY_NS
    at_ns = max([full_ns, *(dated.expires_at_ns for dated in report.dated)])
    return Expiring(report, at_ns, TooOld(report.age_days(at_ns), limit.days, limit.rule))


def _alone(report: Report, *, before_ns: int | None) -> Iterator[Expiring]:
    for dated in report.dated:
        if before_ns is None or dated.expires_at_ns < before_ns:
            yield Expiring(report, dated.expires_at_ns, DatePassed(dated.expires_at_ns), dated)
