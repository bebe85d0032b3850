"""Selecting by hand: `mountfs cleanup --older-than 90d --type T --tag k=v --branch B --merged`.

What is pinned, a baseline, among the newest, or wanted until a date stays here too; only days and types are somebody's
own word now, also where the policy is switched off.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from mountfs.errors import InvalidArgument
from mountfs.retention.deciding import in_order
from mountfs.retention.model import DAY_NS, SECOND_NS, Report
from mountfs.retention.plan import Kept, Plan, Victim
from mountfs.retention.policy import Policy
from mountfs.retention.protecting import Latest, date_ahead, latest, protections
from mountfs.retention.reasons import AskedFor, NotAskedFor, Staying


@dataclass(frozen=True, slots=True)
class Selection:
    """What was asked for; a report must meet all of it.

    `merged`: the branches that are merged, without the one into which they were; None: nobody asked about that.
    """

    older_than_ns: int | None = None
    types: frozenset[str] = frozenset()
    tags: tuple[tuple[str, str], ...] = ()
    branches: frozenset[str] = frozenset()
    merged: frozenset[str] | None = None

    def flags_of(self, report: Report) -> tuple[str, ...]:
        """The flags by which this report was selected, as they are written."""
        said = [] if self.older_than_ns is None else [f"--older-than {_span(self.older_than_ns)}"]
        said += [f"--type {report.type}"] if self.types else []
        said += [f"--tag {key}={value}" if value else f"--tag {key}" for key, value in self.tags]
        said += [f"--branch {report.branch}"] if self.branches else []
        said += [f"--merged: {report.branch} is"] if self.merged is not None else []
        return tuple(said)


def select(reports: Iterable[Report], selection: Selection, policy: Policy, *, now_ns: int) -> Plan:
    """What goes by this selection. Raises InvalidArgument where it selects nothing in particular."""
    if selection == Selection():
        raise InvalidArgument(
            "nothing is selected; allowed: at least one of --older-than, --type, --tag, --branch, --merged"
        )
    ordered = in_order(reports)
    newest = latest(ordered, policy)
    judged = [_judge(report, selection, newest, policy, now_ns) for report in ordered]
    return Plan(
        tuple(verdict for verdict in judged if isinstance(verdict, Victim)),
        (),
        tuple(verdict for verdict in judged if isinstance(verdict, Kept)),
    )


def _judge(report: Report, selection: Selection, newest: Latest, policy: Policy, now_ns: int) -> Victim | Kept:
    missed = _missed(report, selection, now_ns)
    if missed is not None:
        return Kept(report, (NotAskedFor(missed),))
    is_merged = selection.merged is not None
    reasons: list[Staying] = protections(report, newest, policy, is_merged=is_merged)
    ahead = date_ahead(report, now_ns)
    if ahead is not None:
        reasons.append(ahead)
    if reasons:
        return Kept(report, tuple(reasons))
    return Victim(report, AskedFor(report.age_days(now_ns), selection.flags_of(report)))


def _missed(report: Report, selection: Selection, now_ns: int) -> str | None:
    """The first flag that this report does not meet."""
    older_ns = selection.older_than_ns
    if older_ns is not None and now_ns - report.published_ns < older_ns:
        return f"--older-than {_span(older_ns)}"
    if selection.types and report.type not in selection.types:
        return "--type"
    if any(report.tags.get(key) != value for key, value in selection.tags):
        return "--tag"
    if selection.branches and report.branch not in selection.branches:
        return "--branch"
    if selection.merged is not None and (not report.branch or report.branch not in selection.merged):
        return "--merged"
    return None


def _span(span_ns: int) -> str:
    """As one would write it: whole days, else hours or seconds."""
    for unit, size_ns in (("d", DAY_NS), ("h", 3600 * SECOND_NS)):
        if span_ns and span_ns % size_ns == 0:
            return f"{span_ns // size_ns}{unit}"
    return f"{span_ns / SECOND_NS:g}s"
