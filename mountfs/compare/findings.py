"""Findings that came, went, were suppressed, or are judged otherwise: matched by identity, with multiplicity.

A tool that ran on one side alone is left out of all of it: what it found is neither new nor fixed, nobody knows.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from mountfs.compare.values import Change
from mountfs.reports.model import Finding, Findings, Parsed, Severity

_ORDER: Final = {severity: number for number, severity in enumerate(Severity)}


@dataclass(frozen=True, slots=True)
class Found:
    """What the tools of one side found, by tool and then by format: one tool may write down its run twice.

    `totals` are findings that are counted and not named.
    """

    by_tool: Mapping[str, Mapping[str, tuple[Finding, ...]]]
    totals: Mapping[Severity, int] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class FindingChange:
    """A finding that is judged otherwise than before."""

    before: Finding
    after: Finding

    @property
    def is_worse(self) -> bool:
        return _ORDER[self.after.severity] < _ORDER[self.before.severity]


@dataclass(frozen=True, slots=True)
class FindingChanges:
    """Of the tools that ran on both sides. `before` and `after` count what is not suppressed, by severity.

    `reopened` were suppressed and are no more, `judged` have another severity. `only_before` and `only_after` are
    the tools that one side lacks, with what they found. `loosely` are those whose formats differ on the two sides:
    their findings are matched by rule and file. `unnamed_…` are counted and in no list: which they are nobody says.
    """

    before: Mapping[Severity, int] | None
    after: Mapping[Severity, int] | None
    suppressed_before: int = 0
    suppressed_after: int = 0
    new: tuple[Finding, ...] = ()
    fixed: tuple[Finding, ...] = ()
    newly_suppressed: tuple[Finding, ...] = ()
    reopened: tuple[Finding, ...] = ()
    judged: tuple[FindingChange, ...] = ()
    unchanged: int = 0
    only_before: Mapping[str, tuple[Finding, ...]] = field(default_factory=lambda: MappingProxyType({}))
    only_after: Mapping[str, tuple[Finding, ...]] = field(default_factory=lambda: MappingProxyType({}))
    loosely: tuple[str, ...] = ()
    unnamed_before: Mapping[Severity, int] = field(default_factory=lambda: MappingProxyType({}))
    unnamed_after: Mapping[Severity, int] = field(default_factory=lambda: MappingProxyType({}))

    def count(self, severity: Severity | None = None) -> Change:
        """How many were and are open, of one severity or of all."""
        return Change(_total(self.before, severity), _total(self.after, severity))

    def arrived(self, severity: Severity | None = None) -> int:
        """How many there are that were not; of one severity also those that rose to it. What gates look at."""
        came = (*self.new, *self.reopened)
        if severity is None:
            return len(came)
        risen = (change.after for change in self.judged if change.is_worse)
        return sum(1 for finding in (*came, *risen) if finding.severity is severity)


def _total(counts: Mapping[Severity, int] | None, severity: Severity | None) -> int | None:
    if counts is None:
        return None
    return sum(counts.values()) if severity is None else counts[severity]


Reports = Sequence[tuple[str, Parsed]]


def findings_of(reports: Reports, other: Reports) -> Found | None:
    """What a side's reports found, by tool; None without any. `other` is the other side."""
    by_tool: dict[str, dict[str, tuple[Finding, ...]]] = defaultdict(dict)
    totals: Counter[Severity] = Counter()
    for path, said in reports:
        if isinstance(said.report, Findings):
            for tool, found in _by_tool(path, said, said.report, other).items():
                by_tool[tool][said.format] = by_tool[tool].get(said.format, ()) + found
            totals.update({Severity(name): many for name, many in said.report.totals.items() if name in set(Severity)})
    return Found(by_tool, totals) if by_tool else None


def _by_tool(path: str, said: Parsed, report: Findings, other: Reports) -> dict[str, tuple[Finding, ...]]:
    """A tool that found nothing is there too; what names no tool is that of the same path on the other side."""
    found: dict[str, list[Finding]] = {tool_word(tool): [] for tool in report.tools}
    for finding in report.findings:
        found.setdefault(tool_word(finding.tool or said.format), []).append(finding)
    if not found:
        there = [answer for place, answer in other if place == path and answer.format == said.format]
        found = {tool: [] for answer in there for tool in _tools(answer)} or {tool_word(said.format): []}
    return {tool: tuple(some) for tool, some in found.items()}


def _tools(said: Parsed) -> set[str]:
    if not isinstance(said.report, Findings):
        return set()
    named = {tool_word(tool) for tool in said.report.tools}
    return named | {tool_word(finding.tool or said.format) for finding in said.report.findings}


def tool_word(name: str) -> str:
    """How names of tools compare: `npm audit` is `npm-audit`."""
    return name.casefold().replace(" ", "-").replace("_", "-")


def compare_findings(before: Found | None, after: Found | None) -> FindingChanges | None:
    """What came and what went; None where neither side has a report."""
    if before is None or after is None:
        if before is None and after is None:
            return None
        return FindingChanges(
            None if before is None else _count(_all(before), before.totals),
            None if after is None else _count(_all(after), after.totals),
            unnamed_before={} if before is None else before.totals,
            unnamed_after={} if after is None else after.totals,
        )
    both = before.by_tool.keys() & after.by_tool.keys()
    matched = {tool: _alike(before.by_tool[tool], after.by_tool[tool]) for tool in sorted(both)}
    was = [item for one, _, loose in matched.values() for item in _keyed(one, loosely=loose)]
    now = [item for _, other, loose in matched.values() for item in _keyed(other, loosely=loose)]
    matches = _matched(was, now)
    return replace(
        matches,
        before=_count((finding for _, finding in was), before.totals),
        after=_count((finding for _, finding in now), after.totals),
        unnamed_before=before.totals,
        unnamed_after=after.totals,
        only_before={tool: _any(found) for tool, found in sorted(before.by_tool.items()) if tool not in both},
        only_after={tool: _any(found) for tool, found in sorted(after.by_tool.items()) if tool not in both},
        loosely=tuple(tool for tool, (_, _, loose) in matched.items() if loose),
    )


ByFormat = Mapping[str, tuple[Finding, ...]]
Keyed = tuple[tuple[str, ...], Finding]


def _all(found: Found) -> list[Finding]:
    return [finding for by_format in found.by_tool.values() for finding in _any(by_format)]


def _any(by_format: ByFormat) -> tuple[Finding, ...]:
    """What a tool found, from that of its formats which says most."""
    return max(by_format.values(), key=len)


def _alike(before: ByFormat, after: ByFormat) -> tuple[tuple[Finding, ...], tuple[Finding, ...], bool]:
    """What to compare of a tool: the format that both sides have, else what there is, to be matched loosely."""
    shared = sorted(before.keys() & after.keys())
    if shared:
        return before[shared[0]], after[shared[0]], False
    return _any(before), _any(after), True


def _keyed(findings: Iterable[Finding], *, loosely: bool) -> Iterator[Keyed]:
    for finding in findings:
        yield (tool_word(finding.tool), finding.rule, finding.path) if loosely else finding.identity, finding


def _matched(before: Sequence[Keyed], after: Sequence[Keyed]) -> FindingChanges:
    was, now = _by_key(before), _by_key(after)
    lists = _Lists([], [], [], [], [])
    unchanged = sum(lists.match(was.get(key, []), now.get(key, [])) for key in {**was, **now})
    return FindingChanges(
        None,
        None,
        sum(1 for _, finding in before if finding.suppressed),
        sum(1 for _, finding in after if finding.suppressed),
        tuple(sorted(lists.new, key=worst_first)),
        tuple(sorted(lists.fixed, key=worst_first)),
        tuple(sorted(lists.newly_suppressed, key=worst_first)),
        tuple(sorted(lists.reopened, key=worst_first)),
        tuple(sorted(lists.judged, key=lambda change: worst_first(change.after))),
        unchanged,
    )


def _by_key(findings: Iterable[Keyed]) -> dict[tuple[str, ...], list[Finding]]:
    found: dict[tuple[str, ...], list[Finding]] = defaultdict(list)
    for key, finding in findings:
        found[key].append(finding)
    return found


def worst_first(finding: Finding) -> tuple[int, str, str, int]:
    return _ORDER[finding.severity], finding.path, finding.rule, finding.line or 0


def _count(findings: Iterable[Finding], totals: Mapping[Severity, int]) -> dict[Severity, int]:
    many = Counter(finding.severity for finding in findings if not finding.suppressed)
    return {severity: many[severity] + totals.get(severity, 0) for severity in Severity}


@dataclass(slots=True)
class _Lists:
    new: list[Finding]
    fixed: list[Finding]
    newly_suppressed: list[Finding]
    reopened: list[Finding]
    judged: list[FindingChange]

    def match(self, before: Sequence[Finding], after: Sequence[Finding]) -> int:
        """Sort the findings of one identity into the lists; how many are as they were.

        First pair those that are open on both sides or suppressed on both; of what is left some were suppressed.
        """
        was, now = _split(before), _split(after)
        both = min(len(was[True]), len(now[True]))  # suppressed on both sides: nobody asks
        unchanged = self._match_open(was[False], now[False])
        del was[True][:both], now[True][:both]
        self.newly_suppressed += _take(was[False], now[True])
        self.reopened += _take(now[False], was[True])
        self.fixed += was[False]
        self.new += now[False]
        return unchanged

    def _match_open(self, was: list[Finding], now: list[Finding]) -> int:
        unchanged = 0
        for severity in Severity:
            unchanged += _drop_alike(was, now, severity)
        both = min(len(was), len(now))
        self.judged += map(FindingChange, was[:both], now[:both])
        del was[:both], now[:both]
        return unchanged


def _split(findings: Iterable[Finding]) -> dict[bool, list[Finding]]:
    found: dict[bool, list[Finding]] = {False: [], True: []}
    for finding in sorted(findings, key=worst_first):
        found[finding.suppressed].append(finding)
    return found


def _drop_alike(was: list[Finding], now: list[Finding], severity: Severity) -> int:
    """Both lose what they have alike of this severity; how many."""
    both = min(sum(f.severity is severity for f in was), sum(f.severity is severity for f in now))
    for findings in (was, now):
        places = [place for place, finding in enumerate(findings) if finding.severity is severity][:both]
        for place in reversed(places):
            del findings[place]
    return both


def _take(some: list[Finding], others: list[Finding]) -> list[Finding]:
    """As many of the first as there are of the second; both lose them. Those that are taken are the present ones."""
    both = min(len(some), len(others))
    taken = some[:both]
    del some[:both], others[:both]
    return taken
