"""What a metric is in a comparison, or why nobody can say.

A missing baseline makes everything look new: a count of what came is then an upper bound, and judged only where that
is zero. What the later side lacks may hold anything: nothing is judged on it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mountfs.compare.benchmarks import BenchmarkChanges, EndpointChange, LoadChanges, Pace
from mountfs.compare.comparison import Comparison
from mountfs.compare.coverage import CoverageChange
from mountfs.compare.findings import FindingChanges
from mountfs.compare.metrics import Metric
from mountfs.compare.outcomes import TestChanges
from mountfs.compare.sides import Kind, Which
from mountfs.compare.texts import legible
from mountfs.compare.values import Change, finite
from mountfs.reports.model import Finding, Severity

NOWHERE: Final = Change()


@dataclass(frozen=True, slots=True)
class Measure:
    """A number of a comparison: what it is on both sides, by how much it changed, or the reason why that is unknown.

    `changed` is what a gate looks at; for what comes and goes it counts what came.
    """

    at: Change = NOWHERE
    changed: float | None = None
    reason: str = ""


def measure(comparison: Comparison, metric: Metric) -> Measure:
    """What the metric is here."""
    blocked = [lack for lack in comparison.lacks if lack.blocks and metric.kind in lack.kinds]
    if late := [lack for lack in blocked if lack.side is Which.AFTER]:
        return Measure(reason=str(late[0]))
    found = _measured(comparison, metric)
    if not blocked or (found.changed == 0 and metric.name in _WHAT_CAME):
        return found
    return Measure(Change(after=found.at.after), None, str(blocked[0]))


_WHAT_CAME: Final = frozenset(
    {"new_failures", "newly_skipped", "newly_flaky", "new_tests", "findings.new", "findings.total"}
    | {f"findings.{severity}" for severity in Severity}
)


def _measured(comparison: Comparison, metric: Metric) -> Measure:
    found: Measure | None = None
    if metric.kind is Kind.TESTS and comparison.tests is not None:
        found = _of_tests(comparison.tests, metric.name)
    elif metric.kind is Kind.COVERAGE and comparison.coverage is not None:
        found = _of_coverage(comparison.coverage, metric.name)
    elif metric.kind is Kind.FINDINGS and comparison.findings is not None:
        found = _of_findings(comparison.findings, metric.name.removeprefix("findings."))
    elif metric.kind is Kind.BENCHMARKS and comparison.benchmarks is not None:
        found = _of_benchmarks(comparison.benchmarks, metric.name.removeprefix("bench."))
    elif metric.kind is Kind.LOAD and comparison.load is not None:
        found = _of_load(comparison.load, metric.name.removeprefix("load."))
    elif metric.kind is Kind.SIZES:
        found = _difference(_size(comparison, metric.name), "a side has no artifacts of that type")
    return found or Measure(reason=f"no report of {metric.kind} on either side")


def _difference(at: Change, reason: str) -> Measure:
    return Measure(at, at.change, "" if at.change is not None else reason)


# -- tests ------------------------------------------------------------------------------------------------------


def _of_tests(tests: TestChanges, name: str) -> Measure:
    if name.startswith("tests."):
        return _difference(tests.count(name.removeprefix("tests.")), "a side does not say it")
    if tests.after is None:
        return Measure(reason="no tests on the later side")
    most = {"new_failures": tests.after.bad, "newly_flaky": tests.after.flaky, "newly_skipped": tests.after.skipped}
    if most.get(name) == 0:
        return Measure(changed=0.0)
    if tests.before is None:
        return Measure(reason=f"no tests before, so that {most.get(name, 'all')} may be old or new")
    if tests.unnamed:
        return Measure(reason="a report counts tests that failed without naming all of them")
    return Measure(changed=float(_lengths(tests)[name]))


def _lengths(tests: TestChanges) -> dict[str, int]:
    return {
        "new_failures": len(tests.new_failures),
        "fixed": len(tests.fixed),
        "still_failing": len(tests.still_failing),
        "disappeared": len(tests.disappeared),
        "new_tests": len(tests.new),
        "newly_skipped": len(tests.newly_skipped),
        "newly_flaky": len(tests.newly_flaky),
        "slower": len(tests.slower),
    }


# -- the others -------------------------------------------------------------------------------------------------


def _of_coverage(coverage: CoverageChange, name: str) -> Measure:
    at = {
        "coverage.line": coverage.line,
        "coverage.branch": coverage.branch,
        "coverage.lines": coverage.lines,
        "coverage.covered": coverage.covered,
    }[name]
    return _difference(at, "a side does not say it")


_NO_FINDINGS: Final = "no report before"


def _of_findings(found: FindingChanges, name: str) -> Measure:
    """A change counts what came, on the tools of both sides; what it was and is counts all tools."""
    if name == "suppressed":
        both = found.before is not None and found.after is not None
        at = Change(found.suppressed_before, found.suppressed_after) if both else Change()
        return _difference(at, "a side has no report of findings")
    if found.after is None or found.only_before:
        return Measure(reason=f"no report of {', '.join(found.only_before) or 'findings'} on the later side")
    severity = None if name in ("total", "new", "fixed") else Severity(name)
    pending = sum(_many(findings, severity) for findings in found.only_after.values())
    at = found.count(severity)
    at = Change(at.before, (at.after or 0) + pending)
    pending += _counted(found.unnamed_after, severity)
    if found.before is None or (found.arrived(severity) and _counted(found.unnamed_before, severity)):
        pending = int(at.after or 0)  # what was counted before may be these
    if name == "fixed":
        return Measure(at, None, _NO_FINDINGS) if found.before is None else Measure(at, float(len(found.fixed)))
    if pending:
        return Measure(at, None, f"nobody knows which of {pending} findings were there before")
    return Measure(at, float(found.arrived(severity)))


def _counted(totals: Mapping[Severity, int], severity: Severity | None) -> int:
    return sum(totals.values()) if severity is None else totals.get(severity, 0)


def _many(findings: Iterable[Finding], severity: Severity | None) -> int:
    return sum(1 for f in findings if not f.suppressed and (severity is None or f.severity is severity))


def _of_benchmarks(benchmarks: BenchmarkChanges, name: str) -> Measure:
    """A change in percent, 0 within the noise."""
    if name == "slower":
        if not (benchmarks.has_before and benchmarks.has_after):
            return Measure(reason="a side has no benchmarks")
        slower = sum(1 for change in benchmarks.changes if change.pace is Pace.SLOWER)
        gone = benchmarks.only_before
        return Measure(changed=float(slower)) if not gone else Measure(reason=_gone(gone, slower))
    for change in benchmarks.changes:
        if change.name == name:
            return Measure(
                change.time, change.percent, "" if change.percent is not None else "a side has no time of it"
            )
    return Measure(reason="a side has no benchmark of that name")


def _gone(names: Sequence[str], slower: int) -> str:
    """One that became slower and got another name is gone as well."""
    said = "1 benchmark is" if len(names) == 1 else f"{len(names)} benchmarks are"
    shown = ", ".join(legible(name) for name in names[:3])
    return f"{said} not there any more ({shown}), which may be slower under another name; of the others {slower} are"


def _of_load(load: LoadChanges, name: str) -> Measure:
    if name == "failed_checks":
        if not (load.has_before and load.has_after):
            return Measure(reason="a side has no load test")
        return Measure(changed=float(len(load.new_failed_checks)))
    return _difference(_load(load.total, name), "a side does not say it")


def _load(total: EndpointChange, name: str) -> Change:
    return {
        "requests": Change(total.before.requests, total.after.requests),
        "failures": total.failures,
        "median": Change(finite(total.before.median), finite(total.after.median)),
        "p95": total.p95,
        "per_second": total.per_second,
    }[name]


def _size(comparison: Comparison, name: str) -> Change:
    if name != "size":
        return comparison.sizes.get(name.removeprefix("size."), Change())
    before = [change.before for change in comparison.sizes.values() if change.before is not None]
    after = [change.after for change in comparison.sizes.values() if change.after is not None]
    return Change(sum(before) if before else None, sum(after) if after else None)
