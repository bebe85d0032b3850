"""A comparison for programs: the promised `comparison.coverage.before/after/change`, and everything by name (F-110)."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from mountfs.compare.baseline import Baseline
from mountfs.compare.benchmarks import BenchmarkChange, BenchmarkChanges, EndpointChange, LoadChanges
from mountfs.compare.comparison import Comparison
from mountfs.compare.coverage import CoverageChange, FileChange
from mountfs.compare.findings import FindingChanges
from mountfs.compare.gates import GateResult
from mountfs.compare.history import History, HistoryRow, JobFacts, Since
from mountfs.compare.outcomes import Counts, TestChange, TestChanges
from mountfs.compare.trend import Trend
from mountfs.compare.values import Change
from mountfs.reports.model import Case, Finding, Severity

SCHEMA: Final = 1

Json = Mapping[str, object]


def as_json(
    comparison: Comparison, *, gates: Sequence[GateResult] = (), baseline: Baseline | None = None
) -> dict[str, object]:
    """What `--json` prints. No number in it is NaN or infinite: those are null."""
    document = {
        "schema": SCHEMA,
        "before": comparison.before,
        "after": comparison.after,
        "baseline": None if baseline is None else _baseline(baseline),
        "changed": comparison.changed,
        "comparison": _comparison(comparison),
        "gates": [_gate(gate) for gate in gates],
        "passed": not any(gate.failed for gate in gates),
        "lacks": [
            {
                "side": lack.side,
                "kinds": list(lack.kinds),
                "path": lack.path,
                "reason": lack.reason,
                "blocks": lack.blocks,
            }
            for lack in comparison.lacks
        ],
        "notes": list(comparison.notes),
    }
    return {key: _clean(value) for key, value in document.items()}


def _clean(value: object) -> object:
    """Only what JSON can hold, and what reads back: tools write NaN, and ratios of tiny times are infinite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _clean(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(inner) for inner in value]
    return str(value) if isinstance(value, str) else value


def _baseline(baseline: Baseline) -> Json:
    unknown = baseline.job is not None and baseline.commits_away is None
    return {
        "job": baseline.job,
        "rule": baseline.rule,
        "age_seconds": baseline.age_seconds,
        "commits_away": baseline.commits_away,
        "distance": "distance unknown" if unknown else None,
        "because": baseline.because or None,
    }


def _gate(gate: GateResult) -> Json:
    return {
        "name": gate.name,
        "gate": gate.gate,
        "value": gate.value,
        "threshold": gate.threshold,
        "failed": gate.failed,
        "judged": gate.judged,
        "reason": gate.reason,
    }


def _comparison(comparison: Comparison) -> Json:
    return {
        "coverage": _coverage(comparison.coverage),
        **_tests(comparison.tests),
        **_findings(comparison.findings),
        "benchmarks": _benchmarks(comparison.benchmarks),
        "load": _load(comparison.load),
        "sizes": {slug: _change(change) for slug, change in comparison.sizes.items()},
    }


def _change(change: Change) -> dict[str, object]:
    return {"before": change.before, "after": change.after, "change": change.change}


# -- tests ------------------------------------------------------------------------------------------------------


def _tests(tests: TestChanges | None) -> Json:
    lists: dict[str, Iterable[TestChange]] = {} if tests is None else {
        "new_failures": tests.new_failures,
        "fixed": tests.fixed,
        "still_failing": tests.still_failing,
        "disappeared": tests.disappeared,
        "new_tests": tests.new,
        "newly_skipped": tests.newly_skipped,
        "flaky": tests.flaky,
        "slower": tests.slower,
    }  # fmt: skip
    counts = None if tests is None else _count_changes(tests)
    return {"tests": counts, **{name: [_test(change) for change in changes] for name, changes in lists.items()}}


def _count_changes(tests: TestChanges) -> Json:
    return {
        "before": None if tests.before is None else tests.before.by_name(),
        "after": None if tests.after is None else tests.after.by_name(),
        "change": {name: tests.count(name).change for name in Counts().by_name()},
    }


def _test(change: TestChange) -> Json:
    return {
        "test": str(change.id),
        "class": change.id.classname,
        "name": change.id.name,
        "report": change.leg,
        "before": _case(change.before),
        "after": _case(change.after),
    }


def _case(case: Case | None) -> Json | None:
    if case is None:
        return None
    return {"outcome": case.outcome, "seconds": case.seconds, "flaky": case.flaky, "message": case.message}


# -- coverage ---------------------------------------------------------------------------------------------------


def _coverage(coverage: CoverageChange | None) -> Json | None:
    if coverage is None:
        return None
    return {
        **_change(coverage.line),
        "line": _change(coverage.line),
        "branch": _change(coverage.branch),
        "lines": _change(coverage.lines),
        "covered": _change(coverage.covered),
        "files": [_file(file) for file in coverage.files],
        "unchanged_files": coverage.unchanged,
    }


def _file(file: FileChange) -> Json:
    state = "new" if file.before is None else "gone" if file.after is None else "changed"
    return {
        "path": file.path,
        "state": state,
        **_change(file.line),
        "missed": _change(file.missed),
        "indirect": file.indirect,
    }


# -- findings ---------------------------------------------------------------------------------------------------


def _findings(found: FindingChanges | None) -> Json:
    if found is None:
        return {"findings": None}
    return {
        "findings": {
            "before": _severities(found.before),
            "after": _severities(found.after),
            "new": {severity: found.arrived(severity) for severity in Severity},
            "unchanged": found.unchanged,
            "suppressed": {"before": found.suppressed_before, "after": found.suppressed_after},
            "not_compared": {
                "before": {tool: len(some) for tool, some in found.only_before.items()},
                "after": {tool: len(some) for tool, some in found.only_after.items()},
            },
        },
        "new_findings": [_finding(finding) for finding in found.new],
        "fixed_findings": [_finding(finding) for finding in found.fixed],
        "newly_suppressed_findings": [_finding(finding) for finding in found.newly_suppressed],
        "reopened_findings": [_finding(finding) for finding in found.reopened],
        "judged_findings": [
            {**_finding(judged.after), "severity_before": judged.before.severity} for judged in found.judged
        ],
    }


def _severities(counts: Mapping[Severity, int] | None) -> Json | None:
    return (
        None
        if counts is None
        else {**{str(severity): many for severity, many in counts.items()}, "total": sum(counts.values())}
    )


def _finding(finding: Finding) -> Json:
    return {
        "rule": finding.rule,
        "severity": finding.severity,
        "tool": finding.tool,
        "path": finding.path,
        "line": finding.line,
        "message": finding.message,
    }


# -- times ------------------------------------------------------------------------------------------------------


def _benchmarks(benchmarks: BenchmarkChanges | None) -> Json | None:
    if benchmarks is None:
        return None
    return {
        "changes": [_benchmark(change) for change in benchmarks.changes],
        "only_before": benchmarks.only_before,
        "only_after": benchmarks.only_after,
        "machines": benchmarks.machines,
    }


def _benchmark(change: BenchmarkChange) -> Json:
    return {
        "name": change.name,
        "measure": change.measure,
        **_change(change.time),
        "percent": change.time.percent,
        "noise": change.noise,
        "pace": change.pace,
    }


def _load(load: LoadChanges | None) -> Json | None:
    if load is None:
        return None
    return {
        "total": _endpoint(load.total),
        "endpoints": [_endpoint(change) for change in load.endpoints],
        "only_before": load.only_before,
        "only_after": load.only_after,
        "new_failed_checks": load.new_failed_checks,
        "fixed_checks": load.fixed_checks,
    }


def _endpoint(change: EndpointChange) -> Json:
    return {
        "name": change.name,
        "p95": _change(change.p95),
        "failures": _change(change.failures),
        "per_second": _change(change.per_second),
        "pace": change.pace,
    }


# -- history and trend ------------------------------------------------------------------------------------------


def history_as_json(history: History) -> dict[str, object]:
    """What `history --json` prints."""
    document = {
        "schema": SCHEMA,
        "test": str(history.test),
        "failing_since": _since(history.failing_since),
        "flaky_since": _since(history.flaky_since),
        "slower_since": _since(history.slower_since),
        "slower": None if history.slower is None else {"before": history.slower[0], "after": history.slower[1]},
        "rows": [_history_row(row) for row in history.rows],
    }
    return {key: _clean(value) for key, value in document.items()}


def _history_row(row: HistoryRow) -> Json:
    return {
        **_job(row.job),
        "outcome": row.outcome,
        "seconds": row.seconds,
        "flaky": row.flaky,
        "times": row.times,
        "message": row.message,
    }


def _job(job: JobFacts) -> Json:
    return {
        "job": job.job,
        "began_ms": job.began_ms,
        "commit": job.commit,
        "branch": job.branch,
        "status": job.status,
        "pr": job.pr,
    }


def _since(since: Since | None) -> Json | None:
    if since is None:
        return None
    return {"first": _job(since.first), "last_before": None if since.last_before is None else _job(since.last_before)}


def trend_as_json(trend: Trend) -> dict[str, object]:
    """What `trend --json` prints; the points of its picture are these."""
    document = {
        "schema": SCHEMA,
        "metric": trend.metric.name,
        "unit": trend.metric.unit,
        "first": trend.change.before,
        "last": trend.change.after,
        "change": trend.change.change,
        "percent": trend.change.percent,
        "min": trend.least,
        "max": trend.most,
        "points": [
            {"began_ms": point.at_ms, "value": point.value, "job": point.job, "commit": point.commit}
            for point in trend.points
        ],
    }
    return {key: _clean(value) for key, value in document.items()}
