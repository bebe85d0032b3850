"""What real tools wrote in this run, read by us and by the libraries that are kept well for it: they agree."""

import csv
import json
import re
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import junitparser
import pytest
from coverage import CoverageData
from junitparser import xunit2
from sarif import loader

from mountfs.reports.model import Benchmarks, Case, Coverage, Findings, LoadTest, Outcome, Parsed, Report, TestRun
from mountfs.reports.reading import read
from mountfs.reports.summaries import summarize, type_of
from tests.reports import samples
from tests.reports.project import CASES, Project


def parsed(path: Path, format_: str) -> Parsed:
    answer = read(path.read_bytes())
    assert isinstance(answer, Parsed)
    assert answer.format == format_
    return answer


def run_of(path: Path) -> TestRun:
    report: Report = parsed(path, "junit").report
    assert isinstance(report, TestRun)
    return report


def coverage_of(path: Path, format_: str) -> Coverage:
    report: Report = parsed(path, format_).report
    assert isinstance(report, Coverage)
    return report


def findings_of(path: Path, format_: str) -> Findings:
    report: Report = parsed(path, format_).report
    assert isinstance(report, Findings)
    return report


def by_name(run: TestRun) -> dict[str, Case]:
    return {case.name: case for case in run.cases}


# --- tests -----------------------------------------------------------------------------------


def test_pytest_says_how_each_test_ended(tried: Project) -> None:
    cases = by_name(run_of(tried.path("rerun.xml")))
    assert {name: case.outcome.value for name, case in cases.items()} == {
        "test_halves": "passed",
        "test_is_wrong": "failed",
        "test_classify[1]": "passed",
        "test_classify[-1]": "passed",
        "test_needs_a_database": "error",
        "test_does_not_close": "error",
        "test_skipped": "skipped",
        "test_expected_to_fail": "skipped",
        "test_flaky": "passed",
    }
    assert cases["test_is_wrong"].message.startswith("AssertionError: a < b & c")
    assert cases["test_is_wrong"].classname == "test_calc.TestDivide"


def test_a_retry_makes_one_test_flaky_and_no_second_one(tried: Project) -> None:
    run = run_of(tried.path("rerun.xml"))
    assert [case.name for case in run.cases if case.flaky] == ["test_flaky"]
    assert len(run.cases) == CASES == summarize(run)["tests.total"]


def test_junitparser_reads_the_same_cases(tried: Project) -> None:
    path = tried.path("once.xml")
    ours = Counter((case.classname, case.name, case.outcome.value) for case in run_of(path).cases)
    assert ours == Counter(_theirs(junitparser.JUnitXml.fromfile(str(path))))


def _theirs(suites: object) -> list[tuple[str, str, str]]:
    words = {junitparser.Failure: "failed", junitparser.Error: "error", junitparser.Skipped: "skipped"}
    assert isinstance(suites, junitparser.JUnitXml | xunit2.JUnitXml)
    return [
        (case.classname, case.name, words[type(case.result[0])] if case.result else "passed")
        for suite in suites
        for case in suite
    ]


def test_pytests_own_numbers_are_ours(tried: Project) -> None:
    suite = ElementTree.parse(tried.path("once.xml")).getroot()[0].attrib
    numbers = summarize(run_of(tried.path("once.xml")))
    told = ("tests", "failures", "errors", "skipped")
    ours = ("tests.total", "tests.failed", "tests.errors", "tests.skipped")
    assert [numbers[name] for name in ours] == [int(suite[name]) for name in told]
    assert numbers["tests.seconds"] == float(suite["time"])


def test_junitparsers_second_flavour_sees_the_same_flaky_test() -> None:
    path = samples.FOLDER / "surefire.xml"
    suites = xunit2.JUnitXml.fromfile(str(path))
    theirs = [case for suite in suites for case in suite if isinstance(case, xunit2.TestCase) and case.is_flaky]
    ours = [case for case in run_of(path).cases if case.flaky]
    assert [case.name for case in theirs] == [case.name for case in ours] == ["refunds"]


def test_ruffs_rules_are_failed_cases_with_multiplicity(scanned: Project) -> None:
    path = scanned.path("changed/ruff.junit")
    cases = run_of(path).cases
    assert {case.outcome for case in cases} == {Outcome.FAILED}
    assert Counter(case.name for case in cases) == Counter(re.findall(r'testcase name="([^"]*)"', path.read_text()))


# --- coverage --------------------------------------------------------------------------------


def test_three_formats_of_one_run_say_the_same_coverage(tried: Project) -> None:
    cobertura = coverage_of(tried.path("coverage.xml"), "cobertura")
    assert cobertura == coverage_of(tried.path("coverage.json"), "coverage.py")
    assert cobertura == coverage_of(tried.path("coverage.lcov"), "lcov")
    assert cobertura.branches_covered < cobertura.branches


def test_coverage_is_of_lines_and_not_of_lines_and_branches(tried: Project) -> None:
    totals = json.loads(tried.path("coverage.json").read_text())["totals"]
    numbers = summarize(coverage_of(tried.path("coverage.json"), "coverage.py"))
    root = ElementTree.parse(tried.path("coverage.xml")).getroot()
    line = numbers["coverage.line"]
    assert line == pytest.approx(100 * totals["covered_lines"] / totals["num_statements"], abs=1e-4)
    assert line == pytest.approx(100 * float(root.attrib["line-rate"]), abs=0.01)
    assert line != pytest.approx(totals["percent_covered"], abs=0.01)
    assert numbers["coverage.branch"] == pytest.approx(100 * float(root.attrib["branch-rate"]), abs=0.01)


def test_the_lines_that_were_missed_are_those_that_coverage_did_not_see(tried: Project) -> None:
    data = CoverageData(str(tried.path(".coverage")))
    data.read()
    executed = set(data.lines(str(tried.path("calc.py"))) or ())
    file = coverage_of(tried.path("coverage.xml"), "cobertura").files["calc.py"]
    assert file.missed
    assert not file.missed & executed
    assert len(file.missed) == file.lines - file.covered


def test_lcov_cobertura_makes_a_cobertura_report_of_the_same_numbers(tried: Project) -> None:
    theirs = coverage_of(tried.path("from-lcov.xml"), "cobertura")
    ours = coverage_of(tried.path("coverage.lcov"), "lcov")
    assert "<!DOCTYPE coverage" in tried.path("from-lcov.xml").read_text()
    assert (theirs.lines, theirs.covered) == (ours.lines, ours.covered)
    assert theirs.files["calc.py"].missed == ours.files["calc.py"].missed


# --- findings --------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [".", "changed"])
@pytest.mark.parametrize("tool", ["bandit", "ruff"])
def test_sarif_tools_counts_the_same_findings(scanned: Project, state: str, tool: str) -> None:
    path = scanned.path(state) / f"{tool}.sarif"
    theirs = loader.load_sarif_file(str(path))
    findings = findings_of(path, "sarif").findings
    words = {"high": "error", "medium": "warning", "low": "note", "info": "none"}
    counts = Counter(words[finding.severity.value] for finding in findings)
    assert sum(counts.values()) == theirs.get_result_count() > 0
    report = theirs.get_report()
    assert all(counts[level] == report.get_issue_count_for_severity(level) for level in report.get_severities())


@pytest.mark.parametrize("tool", ["bandit", "ruff"])
def test_sarif_tools_finds_as_many_more_findings(scanned: Project, tool: str) -> None:
    before, after = scanned.path(f"{tool}.sarif"), scanned.path(f"changed/{tool}.sarif")
    scanned.python("sarif", "diff", "-o", "diff.json", str(before), str(after))
    told = json.loads(scanned.path("diff.json").read_text())["all"]
    known = Counter(_which(finding.identity) for finding in findings_of(before, "sarif").findings)
    now = Counter(_which(finding.identity) for finding in findings_of(after, "sarif").findings)
    assert ((now - known).total(), (known - now).total()) == (told["+"], told["-"]) == (1, 0)


def test_bandits_json_and_sarif_name_the_same_findings(scanned: Project) -> None:
    for state in (".", "changed"):
        plain = findings_of(scanned.path(state) / "bandit.json", "bandit").findings
        sarif = findings_of(scanned.path(state) / "bandit.sarif", "sarif").findings
        assert [one.identity for one in plain] == [one.identity for one in sarif]
        assert [(one.severity, one.path, one.line) for one in plain] == [
            (one.severity, one.path, one.line) for one in sarif
        ]


def test_bandits_totals_are_our_summary(scanned: Project) -> None:
    path = scanned.path("bandit.json")
    totals = json.loads(path.read_text())["metrics"]["_totals"]
    numbers = summarize(findings_of(path, "bandit"))
    for severity in ("HIGH", "MEDIUM", "LOW"):
        assert numbers[f"findings.{severity.lower()}"] == totals[f"SEVERITY.{severity}"]


@pytest.mark.parametrize(
    ("name", "format_", "new"),
    [
        ("bandit.json", "bandit", "B307"),
        ("bandit.sarif", "sarif", "B307"),
        ("ruff.sarif", "sarif", "S307"),
        ("ruff.gitlab", "code-quality", "S307"),
    ],
)
def test_a_line_more_at_the_top_makes_no_finding_new(scanned: Project, name: str, format_: str, new: str) -> None:
    before = Counter(_which(finding.identity) for finding in findings_of(scanned.path(name), format_).findings)
    after = Counter(_which(one.identity) for one in findings_of(scanned.path("changed") / name, format_).findings)
    assert not before - after
    assert [identity[1] for identity in (after - before).elements()] == [new]


def _which(identity: tuple[str, ...]) -> tuple[str, ...]:
    """The identity without the folder: ruff writes absolute paths, and the two states lie in two folders."""
    return tuple(part.rpartition("/")[2] for part in identity)


def test_findings_of_a_linter_are_static_analysis(scanned: Project) -> None:
    assert type_of(parsed(scanned.path("ruff.sarif"), "sarif")) == "static-analysis"
    assert type_of(parsed(scanned.path("ruff.gitlab"), "code-quality")) == "static-analysis"
    assert type_of(parsed(scanned.path("bandit.sarif"), "sarif")) == "security-findings"


# --- times -----------------------------------------------------------------------------------


def test_pytest_benchmarks_own_figures_are_ours(measured: Project) -> None:
    path = measured.path("benchmarks.json")
    report = parsed(path, "pytest-benchmark").report
    assert isinstance(report, Benchmarks)
    told = {row["fullname"]: row["stats"] for row in json.loads(path.read_text())["benchmarks"]}
    assert report.samples.keys() == told.keys() == {"test_speed.py::test_sum", "test_speed.py::test_sort"}
    for name, sample in report.samples.items():
        stats = (told[name][word] for word in ("median", "mean", "stddev", "min", "rounds"))
        assert (sample.median, sample.mean, sample.stddev, sample.least, sample.rounds) == tuple(stats)
    assert report.machine["python_version"]


def test_hyperfines_own_figures_are_ours(timed: Project) -> None:
    path = timed.path("hyperfine.json")
    report = parsed(path, "hyperfine").report
    assert isinstance(report, Benchmarks)
    told = {row["command"]: row for row in json.loads(path.read_text())["results"]}
    assert report.samples.keys() == told.keys() == {"true a", "true b"}
    for name, sample in report.samples.items():
        row = told[name]
        assert (sample.median, sample.mean, sample.least, sample.rounds) == (row["median"], row["mean"], row["min"], 3)


def test_locusts_list_adds_up_to_what_its_endpoints_had(visited: Project) -> None:
    path = visited.path("locust.json")
    report = parsed(path, "locust").report
    assert isinstance(report, LoadTest)
    rows = json.loads(path.read_text())
    assert report.endpoints.keys() == {"GET /here", "GET /missing"}
    assert report.total.requests == sum(row["num_requests"] for row in rows) > 10
    assert report.total.failures == report.endpoints["GET /missing"].requests
    assert report.endpoints["GET /here"].failures == 0
    assert report.total.median is not None
    assert report.total.p95 is not None
    assert 0 < report.total.median <= report.total.p95 < 10


def test_locusts_csv_is_read_as_it_was_written(visited: Project) -> None:
    path = visited.path("locust_stats.csv")
    report = parsed(path, "locust-csv").report
    assert isinstance(report, LoadTest)
    with path.open(newline="") as lines:
        total = next(row for row in csv.DictReader(lines) if row["Name"] == "Aggregated")
    assert (report.total.requests, report.total.failures) == (int(total["Request Count"]), int(total["Failure Count"]))
    late = total["95%"]  # N/A where nobody had an answer by then
    assert report.total.p95 == (None if late == "N/A" else float(late) / 1000)
    assert report.total.per_second == float(total["Requests/s"])


def test_what_locust_writes_beside_its_statistics_is_no_report(visited: Project) -> None:
    for name in ("failures", "exceptions", "stats_history"):
        assert not isinstance(read(visited.path(f"locust_{name}.csv").read_bytes()), Parsed)


def test_locusts_own_percentiles_are_ours(visited: Project) -> None:
    """The rows of the CSV were counted by Locust from such a histogram: made again from the list, by its own rule."""
    rows = json.loads(visited.path("locust.json").read_text())
    report = parsed(visited.path("locust.json"), "locust").report
    assert isinstance(report, LoadTest)
    for row in rows:
        times = sorted(int(time) for time, seen in row["response_times"].items() for _ in range(seen))
        load = report.endpoints[f"{row['method']} {row['name']}"]
        assert load.p95 is not None
        assert sum(time > load.p95 * 1000 for time in times) <= len(times) * 0.05 + 1
        assert sum(time <= load.p95 * 1000 for time in times) >= len(times) * 0.95
