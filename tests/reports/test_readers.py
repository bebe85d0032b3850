"""What single formats say that others do not: hand-shaped, by what the tools' documents promise."""

import json

import pytest

from mountfs.reports.model import Benchmarks, Coverage, Diff, Findings, LoadTest, Parsed, Report, TestRun, Unreadable
from mountfs.reports.reading import read
from mountfs.reports.summaries import summarize
from tests.reports import samples


def report_of(content: bytes) -> Report:
    answer = read(content)
    assert isinstance(answer, Parsed)
    return answer.report


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<coverage line-rate='1' lines-valid='0' lines-covered='5'/>", "says that 5 of 0 lines are covered"),
        (
            b"<coverage line-rate='1' lines-valid='5' lines-covered='5' branches-valid='1' branches-covered='2'/>",
            "says that 2 of 1 branches are covered",
        ),
        (b"<coverage line-rate='1.5'/>", "says that 150 % are covered"),
        (b"<coverage line-rate='-0.5'/>", "says that -50 % are covered"),
        (
            b'{"meta": {"version": "7", "branch_coverage": false}, "totals": {"covered_lines": 1, "num_statements": 1},'
            b' "files": {"a.py": {"missing_lines": [], "summary": {"covered_lines": 2, "num_statements": 1}}}}',
            "says that 2 of 1 lines of a.py are covered",
        ),
    ],
)
def test_numbers_that_cannot_be_are_no_numbers(content: bytes, reason: str) -> None:
    """Else coverage.missed would be -5, and a gate on it pass."""
    answer = read(content)
    assert isinstance(answer, Unreadable)
    assert answer.reason == f"The report {reason}."


def tests_in(content: bytes) -> TestRun:
    report = report_of(content)
    assert isinstance(report, TestRun)
    return report


tests_in.__test__ = False  # type: ignore[attr-defined]


def findings_in(content: bytes) -> Findings:
    report = report_of(content)
    assert isinstance(report, Findings)
    return report


def coverage_in(content: bytes) -> Coverage:
    report = report_of(content)
    assert isinstance(report, Coverage)
    return report


def reason(content: bytes) -> str:
    answer = read(content)
    assert isinstance(answer, Unreadable)
    return answer.reason


# --- tests -----------------------------------------------------------------------------------


def test_a_junit_report_without_cases_counts_by_its_suites() -> None:
    run = tests_in(
        b'<testsuites><testsuite tests="3" failures="1" time="2"/><testsuite tests="2" time="1"/></testsuites>'
    )
    assert run.totals == {"tests": 5, "failed": 1}
    assert run.seconds == 3
    assert summarize(run)["tests.passed"] == 4


def test_the_numbers_of_the_root_are_not_added_to_those_of_its_suites() -> None:
    run = tests_in(b'<testsuites tests="3" time="5"><testsuite tests="3" time="2"/></testsuites>')
    assert (run.totals, run.seconds) == ({"tests": 3}, 5)


def test_a_case_knows_the_nearest_suite() -> None:
    run = tests_in(
        b'<testsuite name="a" tests="1"><testsuite name="b" tests="1"><testcase name="c"/></testsuite></testsuite>'
    )
    assert [case.suite for case in run.cases] == ["b"]


def test_a_test_that_googletest_did_not_run_is_skipped() -> None:
    run = tests_in(
        b'<testsuites tests="1"><testsuite name="a"><testcase name="b" status="notrun"/></testsuite></testsuites>'
    )
    assert summarize(run)["tests.skipped"] == 1


def test_cases_of_one_name_stay_apart_where_the_suite_counts_them_so() -> None:
    run = tests_in(b'<testsuite tests="2"><testcase name="F401"/><testcase name="F401"/></testsuite>')
    assert [case.flaky for case in run.cases] == [False, False]


def test_a_test_that_failed_twice_is_one_failure() -> None:
    run = tests_in(
        b'<testsuite tests="1"><testcase name="a"><failure message="f"/></testcase>'
        b'<testcase name="a"><error message="e"/></testcase></testsuite>'
    )
    assert [(case.outcome.value, case.message) for case in run.cases] == [("error", "e")]


def test_names_of_pytest_are_the_same_in_its_three_formats() -> None:
    by_report = tests_in(samples.content("pytest-json-report.json")).cases[0]
    assert (by_report.suite, by_report.classname) == ("pytest", "tests.test_pay.TestPay")
    assert (by_report.name, by_report.file) == ("test_refund[a::b]", "tests/test_pay.py")
    by_log = tests_in(samples.content("pytest-reportlog.jsonl")).cases[0]
    assert (by_log.suite, by_log.classname, by_log.name) == ("pytest", "tests.test_pay", "test_refund")


def test_a_log_of_pytest_that_was_killed_is_unreadable() -> None:
    lines = samples.content("pytest-reportlog.jsonl").splitlines(keepends=True)
    assert reason(b"".join(lines[:-1])) == "The report ends before pytest did: its session was not finished."


def test_failures_without_tests_are_named_beside_their_totals() -> None:
    run = tests_in(samples.content("mountfs-tests.json"))
    assert [case.name for case in run.cases] == ["tests/test_pay.py::test_refund", "test_login"]
    assert run.totals["tests"] == 12


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1..3\nok 1\n", "plans 3 tests and tells of 1"),
        ("TAP version 13\nok 1\n", "plans nothing and tells of 1"),
        ("TAP version 13\n1..2\nok 1\nBail out! no disk\n", "says that the run was given up: no disk"),
    ],
)
def test_a_tap_run_that_did_not_finish_is_unreadable(text: str, why: str) -> None:
    assert reason(text.encode()) == f"The report {why}."


def test_a_tap_run_may_skip_everything() -> None:
    assert summarize(tests_in(b"1..0 # SKIP no database\n"))["tests.total"] == 0


def test_tap_names_come_without_directives() -> None:
    names = [(case.name, case.seconds) for case in tests_in(samples.content("tap.txt")).cases]
    assert names[0] == ("pay", 0.0125)
    assert [name for name, _ in names[1:]] == ["refunds", "ships", "returns", "a name with # in it"]


# --- coverage --------------------------------------------------------------------------------


def test_a_file_in_several_classes_is_counted_once() -> None:
    line = '<line number="{}" hits="{}"/>'
    classes = [[(1, 1), (2, 0)], [(2, 3), (3, 0)]]
    text = "".join(
        f'<class filename="src/A.java"><lines>{"".join(line.format(*one) for one in lines)}</lines></class>'
        for lines in classes
    )
    report = f'<coverage line-rate="0.5"><sources><source>/ci</source></sources>{text}</coverage>'.encode()
    coverage = coverage_in(report)
    assert (coverage.lines, coverage.covered) == (3, 2)
    assert coverage.files["src/A.java"].missed == {3}


def test_a_path_below_the_source_is_relative() -> None:
    report = (
        b'<coverage line-rate="1"><sources><source>/ci/shop</source></sources>'
        b'<class filename="/ci/shop/pay.py"><lines><line number="1" hits="1"/></lines></class></coverage>'
    )
    assert list(coverage_in(report).files) == ["pay.py"]


def test_jacocos_lines_are_those_of_its_source_files() -> None:
    coverage = coverage_in(samples.content("jacoco.xml"))
    assert list(coverage.files) == ["shop/pay/Refund.java"]
    assert coverage.files["shop/pay/Refund.java"].missed == {6}


def test_clovers_missed_lines_are_statements() -> None:
    coverage = coverage_in(samples.content("clover.xml"))
    assert coverage.files["/ci/shop/src/pay.js"].missed == {2}


def test_a_rate_is_a_share_unless_one_is_above_1() -> None:
    assert coverage_in(b'{"line_rate": 1, "branch_rate": 0.5, "files": {}}').line_rate == 100
    percent = coverage_in(b'{"line_rate": 0.5, "branch_rate": 55, "files": {"a": 99.5}}')
    assert (percent.line_rate, percent.files["a"].line_rate) == (0.5, 99.5)


def test_coverage_of_no_lines_has_no_rate() -> None:
    numbers = summarize(coverage_in(b'<coverage line-rate="1" lines-valid="0" lines-covered="0"/>'))
    assert "coverage.line" not in numbers
    assert numbers["coverage.lines"] == 0


# --- findings --------------------------------------------------------------------------------


def _sarif(**changes: object) -> bytes:
    document = json.loads(samples.content("sarif.json"))
    document["runs"][0].update(changes)
    return json.dumps(document).encode()


def test_sarif_says_how_bad_where_and_which() -> None:
    injection, unused = findings_in(samples.content("sarif.json")).findings
    assert (injection.severity.value, injection.path, injection.line) == ("high", "src/db x.py", 40)
    assert injection.identity == (
        "codeql",
        "py/sql-injection",
        "src/db x.py",
        "primaryLocationLineHash=39fa2ee980eb94b0:1",
    )
    assert (unused.severity.value, unused.path, unused.suppressed) == ("low", "src/a.py", True)
    assert unused.identity[-1] == "Import of os on line 0"  # a message, and no number in it


def test_a_scan_that_did_not_succeed_is_unreadable() -> None:
    failed = _sarif(invocations=[{"executionSuccessful": False}])
    assert reason(failed) == "The report says that CodeQL did not succeed: what it lists may not be all."


@pytest.mark.parametrize("results", [None, "none"])
def test_a_scan_without_results_is_not_one_without_findings(results: object) -> None:
    assert reason(_sarif(results=results)).startswith("The report has no ")


def test_a_rejected_suppression_does_not_suppress() -> None:
    result = {"ruleId": "x", "message": {"text": "y"}, "suppressions": [{"kind": "external", "status": "rejected"}]}
    assert not findings_in(_sarif(results=[result])).findings[0].suppressed


def test_npm_findings_are_advisories_of_the_package_that_has_them() -> None:
    findings = findings_in(samples.content("npm-audit.json")).findings
    assert [finding.identity for finding in findings] == [
        ("npm", "minimist", "1097677"),
        ("npm", "minimist", "1097678"),
    ]


def test_an_audit_that_counts_and_names_nothing_is_unreadable() -> None:
    document = json.loads(samples.content("npm-audit.json"))
    document["vulnerabilities"] = {}
    assert reason(json.dumps(document).encode()) == "The report counts vulnerabilities and names none."


def test_security_findings_that_are_only_counted_are_totals() -> None:
    findings = findings_in(b'{"type": "security", "data": {"summary": {"critical": 2, "high": 1, "medium": 0}}}')
    assert (findings.findings, findings.totals) == ((), {"critical": 2, "high": 1})
    assert summarize(findings)["findings.total"] == 3


def test_trivy_suppressed_and_passed_ones_do_not_count() -> None:
    findings = findings_in(samples.content("trivy.json")).findings
    assert [(one.rule, one.suppressed) for one in findings] == [
        ("CVE-2026-3333", False),
        ("CVE-2026-4444", False),
        ("CVE-2026-5555", True),
        ("DS002", False),
        ("github-pat", False),
    ]
    assert findings[0].identity == ("trivy", "shop:1.2 (debian 12.7)", "libssl3", "CVE-2026-3333")


# --- times and changes -----------------------------------------------------------------------


def test_benchmarks_of_one_name_are_told_apart() -> None:
    rows = [{"command": "make", "mean": mean, "times": [mean]} for mean in (1.0, 2.0)]
    report = report_of(json.dumps({"results": rows}).encode())
    assert isinstance(report, Benchmarks)
    assert {name: sample.median for name, sample in report.samples.items()} == {"make": 1.0, "make #2": 2.0}


@pytest.mark.parametrize(
    ("name", "failed"),
    [
        ("k6.json", ("is 200", "thresholds")),
        ("k6-handle-summary.json", ("refunds", "http_req_duration: p(95)<200")),
        ("k6-summary-export.json", ("is 200", "http_req_failed: rate<0.01")),
    ],
)
def test_k6_names_the_checks_and_thresholds_that_failed(name: str, failed: tuple[str, ...]) -> None:
    report = report_of(samples.content(name))
    assert isinstance(report, LoadTest)
    assert report.failed_checks == failed
    assert report.endpoints["http_req_duration"].median == report.total.median


def diff_of(text: str) -> dict[str, tuple[int, int]]:
    report = report_of(text.encode())
    assert isinstance(report, Diff)
    return dict(report.files)


def test_a_diff_counts_what_its_hunks_hold() -> None:
    assert diff_of(samples.content("git.diff").decode()) == {
        "src/pay.py": (3, 2),
        "gone.txt": (0, 2),
        "grün.bin": (0, 0),
        "new name.txt": (0, 0),
    }


def test_a_mail_of_git_is_a_diff() -> None:
    mail = f"From {'a' * 40} Mon Sep 17 00:00:00 2001\nSubject: x\n---\n a | 1 +\n\n"
    assert diff_of(
        mail + "diff --git a/a b/a\nindex 0000000..1111111\n--- a/a\n+++ b/a\n@@ -0,0 +1 @@\n+x\n-- \n2.50\n"
    ) == {"a": (1, 0)}


@pytest.mark.parametrize(
    ("hunk", "why"),
    [
        ("@@ -1,2 +1,2 @@\n a\n", "ends in the middle of a hunk"),
        ("@@ -1 +1 @@\n a\n@@ -9 +9 @@\n-a\ndiff", "has a hunk that is shorter than it says"),
        ("@@ -1,2 +1,1 @@\n a\n+b\n", "has a hunk that is longer than it says"),
        ("@@ -1\n", "has a hunk that does not say which lines it is of"),
        ("--- c\n+++ c\n@@ -1 +1 @@\n-a\n+b\n", "names a file that changed, and not how"),
        ("@@@ -1,2 -1,2 +1,2 @@@\n", "is the combined diff of a merge, which counts no lines"),
    ],
)
def test_a_diff_that_was_cut_is_unreadable(hunk: str, why: str) -> None:
    assert reason(f"--- a\n+++ b\n{hunk}".encode()) == f"The report {why}."


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ("DA:1,1\n", "ends in the middle of a record"),
        ("DA:x,1\nend_of_record\n", "has a line number that is none"),
        ("DA:1\nend_of_record\n", "has a DA record without a count"),
        ("end_of_record\nDA:1,1\n", "has a DA record of no file"),
        ("BRDA:1,0\nend_of_record\n", "has a BRDA record without a count"),
    ],
)
def test_a_damaged_tracefile_is_unreadable(lines: str, why: str) -> None:
    assert reason(f"TN:\nSF:a\n{lines}".encode()) == f"The report {why}."
