"""What the catalog keeps of a report: its kind, its type, and flat numbers by dotted name.

A name stands for the same thing whatever tool wrote the report, so that a trend runs over a change of tools. What a
report does not say is not there: no coverage of a file without lines, no zero for a time that nobody measured.
"""

import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final, assert_never

from mountfs.reports.limits import SUMMARY_BYTES, shortened
from mountfs.reports.model import (
    Benchmarks,
    Components,
    Coverage,
    Diff,
    Findings,
    Load,
    LoadTest,
    Outcome,
    Parsed,
    Report,
    Severity,
    TestRun,
)

Numbers = Mapping[str, int | float | str]

_FORMATS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "tests": "junit pytest-json-report pytest-reportlog tap mountfs-tests",
        "coverage": "cobertura coverage.py lcov jacoco clover mountfs-coverage",
        "findings": "sarif bandit trivy npm-audit npm-audit-v1 pip-audit error-document code-quality mountfs-security",
        "benchmarks": "pytest-benchmark hyperfine",
        "load": "k6 k6-handle-summary k6-summary-export locust locust-csv",
        "diff": "diff",
        "components": "cyclonedx spdx",
    }
)
KIND_OF_FORMAT: Final[Mapping[str, str]] = MappingProxyType(
    {name: kind for kind, names in _FORMATS.items() for name in names.split()}
)
"""What a report of a format is about, also where it cannot be read."""

_BENCH_NAME_SIGNS: Final = 200
_LINTERS: Final = frozenset(
    """
    actionlint biome checkstyle clang-tidy clippy cppcheck credo detekt eslint flake8 golangci-lint golint hadolint
    ktlint mypy phpcs phpstan pmd psalm pycodestyle pylint pyright rubocop ruff shellcheck spotbugs staticcheck
    stylelint swiftlint tslint
    """.split()  # noqa: SIM905
)


def kind_of(report: Report) -> str:
    """The kind of the report: tests, coverage, findings, benchmarks, load, diff or components."""
    match report:
        case TestRun():
            return "tests"
        case Coverage():
            return "coverage"
        case Findings():
            return "findings"
        case Benchmarks():
            return "benchmarks"
        case LoadTest():
            return "load"
        case Diff():
            return "diff"
        case Components():
            return "components"
        case _:
            assert_never(report)


def type_of(parsed: Parsed) -> str:
    """The slug of the artifact type that a report of this format is, where no name and no person says another."""
    match parsed.report:
        case TestRun():
            return "test-results"
        case Coverage():
            return "coverage-report"
        case Findings() as findings:
            return _type_of_findings(parsed.format, findings)
        case Benchmarks() | LoadTest():
            return "performance-metrics"
        case Diff():
            return "diff"
        case Components():
            return "custom"
        case _:
            assert_never(parsed.report)


def _type_of_findings(format_: str, findings: Findings) -> str:
    """SARIF is written by scanners and linters alike; who wrote it is known where there is a finding."""
    tools = {finding.tool.lower() for finding in findings.findings}
    linted = format_ == "code-quality" or (bool(tools) and tools <= _LINTERS)
    return "static-analysis" if linted else "security-findings"


def summarize(report: Report) -> Numbers:
    """The numbers of the report, at most `SUMMARY_BYTES` as JSON."""
    match report:
        case TestRun():
            named = _tests(report)
        case Coverage():
            named = _coverage(report)
        case Findings():
            named = _findings(report)
        case Benchmarks():
            return MappingProxyType(_benchmarks(report))
        case LoadTest():
            named = _load_test(report)
        case Diff():
            named = _diff(report)
        case Components():
            named = iter([("components.total", len(report.components))])
        case _:
            assert_never(report)
    return MappingProxyType({name: value for name, value in named if value is not None})


_Pairs = Iterator[tuple[str, int | float | str | None]]


def _tests(run: TestRun) -> _Pairs:
    if run.totals:
        total, failed, errors, skipped = (run.totals.get(name, 0) for name in ("tests", "failed", "errors", "skipped"))
        passed = max(0, total - failed - errors - skipped)
    else:
        counted = dict.fromkeys(Outcome, 0)
        for case in run.cases:
            counted[case.outcome] += 1
        total = len(run.cases)
        passed, failed, errors, skipped = (counted[outcome] for outcome in Outcome)
    yield from (("tests.total", total), ("tests.passed", passed), ("tests.failed", failed))
    yield from (("tests.errors", errors), ("tests.skipped", skipped))
    yield "tests.flaky", sum(case.flaky for case in run.cases)
    yield "tests.seconds", _rounded(_seconds(run))


def _seconds(run: TestRun) -> float | None:
    """The run's own time, else what its cases took together."""
    known = [case.seconds for case in run.cases if case.seconds is not None]
    return run.seconds if run.seconds is not None or not known else sum(known)


def _coverage(coverage: Coverage) -> _Pairs:
    """`coverage.line` is of lines alone: a percentage that mixes branches in is another number (62.5 or 60.0)."""
    yield "coverage.line", _share(coverage.covered, coverage.lines, coverage.line_rate)
    yield "coverage.branch", _share(coverage.branches_covered, coverage.branches, coverage.branch_rate)
    if coverage.line_rate is None:
        yield from (("coverage.lines", coverage.lines), ("coverage.covered", coverage.covered))
        yield "coverage.missed", coverage.lines - coverage.covered
        yield from (("coverage.branches", coverage.branches), ("coverage.branches_covered", coverage.branches_covered))
    yield "coverage.files", len(coverage.files)


def _share(part: int, whole: int, rate: float | None) -> float | None:
    return _rounded(part * 100 / whole if whole else rate)


def _findings(findings: Findings) -> _Pairs:
    counted = {severity: findings.totals.get(severity.value, 0) for severity in Severity}
    suppressed = 0
    for finding in findings.findings:
        if finding.suppressed:
            suppressed += 1
        else:
            counted[finding.severity] += 1
    yield from ((f"findings.{severity.value}", number) for severity, number in counted.items())
    yield "findings.total", sum(counted.values())
    yield "findings.suppressed", suppressed


def _benchmarks(benchmarks: Benchmarks) -> dict[str, int | float | str]:
    """Medians by name, `bench.<name>`, as many as there is room for in the order of names; `bench.left_out` others."""
    numbers: dict[str, int | float | str] = {"bench.total": len(benchmarks.samples)}
    left = SUMMARY_BYTES - 100
    for place, name in enumerate(sorted(benchmarks.samples)):
        median = benchmarks.samples[name].median
        value = benchmarks.samples[name].mean if median is None else median
        said = f"bench.{shortened(name, _BENCH_NAME_SIGNS)}"
        left -= len(json.dumps({said: value}))
        if left < 0:
            numbers["bench.left_out"] = len(benchmarks.samples) - place
            break
        if value is not None:
            numbers[said] = value
    return numbers


def _load_test(test: LoadTest) -> _Pairs:
    yield from _load(test.total)
    yield "load.endpoints", len(test.endpoints)
    yield "load.failed_checks", len(test.failed_checks)


def _load(total: Load) -> _Pairs:
    yield from (("load.requests", total.requests), ("load.failures", total.failures))
    yield from (("load.median", total.median), ("load.p95", total.p95))
    yield "load.per_second", _rounded(total.per_second)


def _diff(diff: Diff) -> _Pairs:
    yield "diff.files", len(diff.files)
    yield "diff.added", sum(added for added, _ in diff.files.values())
    yield "diff.removed", sum(removed for _, removed in diff.files.values())


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
