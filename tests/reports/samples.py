"""The hand-shaped reports of `samples/`: what each is recognised as, and numbers that it must give.

Shaped after the tools' own documents and examples, for tools that do not run in the tests, and for what the ones that
run do not write at will. `error` stands for what is to be unreadable.
"""

from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "samples"

FORMATS: Final[dict[str, tuple[str, dict[str, float]]]] = {
    "mountfs-tests.json": ("mountfs-tests", {"tests.total": 12, "tests.failed": 2, "tests.skipped": 1}),
    "mountfs-coverage.json": ("mountfs-coverage", {"coverage.line": 82.5, "coverage.branch": 50.0}),
    "mountfs-security.json": ("mountfs-security", {"findings.critical": 1, "findings.medium": 1}),
    "surefire.xml": (
        "junit",
        {"tests.total": 4, "tests.passed": 2, "tests.failed": 1, "tests.flaky": 1, "tests.seconds": 1234.5},
    ),
    "pytest-json-report.json": ("pytest-json-report", {"tests.total": 3, "tests.failed": 1, "tests.skipped": 1}),
    "pytest-reportlog.jsonl": ("pytest-reportlog", {"tests.total": 2, "tests.errors": 1, "tests.flaky": 1}),
    "cobertura-rates.xml": ("cobertura", {"coverage.line": 62.5, "coverage.branch": 50.0}),
    "coverage-py.json": ("coverage.py", {"coverage.line": 62.5, "coverage.lines": 8, "coverage.covered": 5}),
    "lcov.info": ("lcov", {"coverage.lines": 3, "coverage.covered": 2, "coverage.branch": 50.0}),
    "jacoco.xml": ("jacoco", {"coverage.lines": 3, "coverage.covered": 2, "coverage.branch": 50.0}),
    "clover.xml": ("clover", {"coverage.lines": 5, "coverage.covered": 4, "coverage.branch": 50.0}),
    "sarif.json": ("sarif", {"findings.high": 1, "findings.total": 1, "findings.suppressed": 1}),
    "bandit.json": ("bandit", {"findings.high": 1, "findings.total": 1}),
    "trivy.json": ("trivy", {"findings.critical": 2, "findings.high": 1, "findings.suppressed": 1}),
    "trivy-old.json": ("trivy", {"findings.medium": 1, "findings.total": 1}),
    "npm-audit.json": ("npm-audit", {"findings.critical": 1, "findings.medium": 1, "findings.total": 2}),
    "npm-audit-v1.json": ("npm-audit-v1", {"findings.low": 1, "findings.total": 1}),
    "pip-audit.json": ("pip-audit", {"findings.unknown": 2, "findings.total": 2}),
    "pytest-benchmark.json": ("pytest-benchmark", {"bench.total": 1, "bench.tests/test_b.py::test_sum": 0.0019}),
    "hyperfine.json": ("hyperfine", {"bench.total": 1, "bench.make -j4 target=all": 1.9}),
    "k6.json": ("k6", {"load.requests": 1500, "load.failures": 30, "load.p95": 0.42, "load.failed_checks": 2}),
    "k6-handle-summary.json": ("k6-handle-summary", {"load.requests": 48, "load.failures": 3, "load.p95": 0.2105}),
    "k6-summary-export.json": ("k6-summary-export", {"load.requests": 48, "load.failures": 3, "load.p95": 0.2105}),
    "locust.json": ("locust", {"load.requests": 40, "load.failures": 1, "load.p95": 0.2, "load.per_second": 4.0}),
    "locust_stats.csv": ("locust-csv", {"load.requests": 40, "load.failures": 1, "load.p95": 0.2}),
    "code-quality.json": ("code-quality", {"findings.critical": 1, "findings.low": 1}),
    "tap.txt": ("tap", {"tests.total": 5, "tests.passed": 2, "tests.failed": 1, "tests.skipped": 2}),
    "git.diff": ("diff", {"diff.files": 4, "diff.added": 3, "diff.removed": 4}),
    "plain.diff": ("diff", {"diff.files": 1, "diff.added": 0, "diff.removed": 1}),
    "cyclonedx.json": ("cyclonedx", {"components.total": 3}),
    "spdx.json": ("spdx", {"components.total": 2}),
}
ERROR: Final = "npm-error.json"


def content(name: str) -> bytes:
    return (FOLDER / name).read_bytes()
