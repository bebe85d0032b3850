"""Short words for reports, so that a test shows what it is about."""

from collections.abc import Mapping

from mountfs.compare import Comparison, Options, Side, Source, compare
from mountfs.reports.model import (
    Case,
    Coverage,
    FileCoverage,
    Finding,
    Findings,
    Outcome,
    Parsed,
    Report,
    Severity,
    TestRun,
)

OUTCOMES = {"P": Outcome.PASSED, "F": Outcome.FAILED, "E": Outcome.ERROR, "S": Outcome.SKIPPED}


def case(name: str, outcome: str = "P", *, seconds: float | None = None, flaky: bool = False, suite: str = "") -> Case:
    """`outcome` is one of P, F, E, S."""
    return Case(suite, "tests.test_a", name, OUTCOMES[outcome], seconds, flaky=flaky)


def run(**outcomes: str) -> TestRun:
    """A run by outcome of each test: `a="P", b="FF"` ran `b` twice."""
    return TestRun(tuple(case(name, one) for name, ended in outcomes.items() for one in ended))


def side(*reports: Report, format_name: str = "some", sizes: Mapping[str, int] | None = None) -> Side:
    """A job with these reports, in one format."""
    return at({f"report-{number}": report for number, report in enumerate(reports)}, format_name, sizes=sizes)


def at(reports: Mapping[str, Report], format_name: str = "some", *, sizes: Mapping[str, int] | None = None) -> Side:
    """A job with reports at these paths."""
    return Side(
        "job", tuple(Source(path, Parsed(format_name, report)) for path, report in reports.items()), sizes or {}
    )


def compared(before: Report, after: Report, options: Options | None = None) -> Comparison:
    return compare(side(before), side(after), options)


def finding(rule: str, severity: Severity = Severity.HIGH, *, path: str = "a.py", suppressed: bool = False) -> Finding:
    return Finding((rule, path), rule, severity, f"about {rule}", path, 7, "bandit", suppressed)


def findings(*found: Finding) -> Findings:
    return Findings(found, tools=("bandit",))


def project(**files: tuple[int, int]) -> Coverage:
    """A project by lines and covered lines of each file."""
    by = {f"{name}.py": FileCoverage(lines, covered) for name, (lines, covered) in files.items()}
    return Coverage(by, sum(file.lines for file in by.values()), sum(file.covered for file in by.values()))
