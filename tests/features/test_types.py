"""Promises F-034 to F-044: what an artifact is about, by the words that five older systems had for it."""

import json
import os
from pathlib import Path

import pytest
import yaml

from mountfs import ArtifactType, errors
from mountfs.api import ArtifactStore, open_store
from tests.features.conftest import Shell
from tests.mounting import Mounted
from tests.written import answered

pytestmark = pytest.mark.usefixtures("unmeasured")

OLDER_WORDS = {
    "TEST_RESULTS": "test-results",
    "COVERAGE_REPORT": "coverage-report",
    "SECURITY_FINDINGS": "security-findings",
    "PERFORMANCE_METRICS": "performance-metrics",
    "BUILD_LOGS": "build-logs",
    "test_results": "test-results",
    "coverage": "coverage-report",
    "security": "security-findings",
    "coverage_reports": "coverage-report",
    "security_findings": "security-findings",
    "log": "build-logs",
    "test": "test-results",
    "diff": "diff",
}
OLDER_FILES = {
    "test-results": "test-results",
    "coverage-report": "coverage-report",
    "security-findings": "security-findings",
    "performance-metrics": "performance-metrics",
    "test-results.bin.gz": "test-results",
    "diff.txt": "diff",
    "log.txt": "build-logs",
    "test-result.json": "test-results",
}


def type_of(path: Path) -> str:
    return os.getxattr(path, b"user.mountfs.type").decode()


def test_each_of_the_eleven_types_is_said_and_found_by_its_name(
    served: Mounted, store: ArtifactStore, job: str
) -> None:
    """F-034, F-044: the enum says it, the view of that type lists the job."""
    assert len(ArtifactType) == 11
    for member in ArtifactType:
        assert store.put(f"{job}/{member.name}.bin", b"x", type=member).type == member.value
    for member in ArtifactType:
        view = served.path / ".by-type" / member.value / job
        assert os.listdir(view) == [f"{member.name}.bin"]


def test_words_of_older_systems_are_types_wherever_a_type_is_said(
    shell: Shell, served: Mounted, store: ArtifactStore, job: str
) -> None:
    """F-035, F-036: to write it, to look for it, and as an attribute."""
    for number, (word, slug) in enumerate(OLDER_WORDS.items()):
        path = served.path / job / f"{number}.bin"
        store.put(f"{job}/{path.name}", b"x", type=word)
        assert type_of(path) == slug
        os.setxattr(path, b"user.mountfs.type", b"custom")
        os.setxattr(path, b"user.mountfs.type", word.encode())
        assert type_of(path) == slug
        assert path.name in os.listdir(served.path / ".by-type" / word / job)
    listed = shell(f"mountfs list {job}/ --type test --type coverage --paths").split()
    assert {Path(path).name for path in listed} == {f"{number}.bin" for number in (0, 1, 5, 6, 8, 11)}


def test_retention_is_said_in_the_words_of_older_systems(alone: Shell) -> None:
    """F-035, F-129: and shown in ours."""
    (alone.directory / "mine.yml").write_text("retention: {types: {coverage_reports: 90, security_findings: 365}}\n")
    shown = yaml.safe_load(alone("mountfs config show mine.yml"))
    assert shown["retention"]["types"] == {"coverage-report": 90, "security-findings": 365}


def test_files_of_older_stores_say_their_types_by_their_names(served: Mounted, job: str) -> None:
    """F-037, F-038."""
    (served.path / job).mkdir()
    for name in OLDER_FILES:
        (served.path / job / name).write_bytes(b"x")
    assert {name: type_of(served.path / job / name) for name in OLDER_FILES} == OLDER_FILES


def test_any_name_and_any_type_of_the_settings_will_do(alone: Shell) -> None:
    """F-043: a name that says nothing is custom; the settings bring in slugs and the names that say them."""
    place = {"state": str(alone.directory / "s"), "mountpoint": str(alone.directory / "m")}
    with open_store({**place, "types": {"load-tests": ["*.jtl", "k6"]}}) as store:
        assert store.put("J/whatever it is", b"x").type == "custom"
        store.put("J/run.jtl", b"x")
        store.put("J/other", b"x", type="load_tests")
        assert [found.path for found in store.find("type=load-tests", sort="name")] == ["other", "run.jtl"]
        with pytest.raises(errors.InvalidName, match=r"not a type; known: .*load-tests"):
            store.put("J/more", b"x", type="no such")


def report(rate: float, *vulnerabilities: dict[str, str]) -> dict[str, object]:
    """The three payloads as their users wrote them, by file name."""
    summary = {level: sum(one["severity"] == level for one in vulnerabilities) for level in ("critical", "high")}
    failures = ["test_login"] if rate < 0.8 else []
    tests = {"tests_run": 2, "passed": 2 - len(failures), "failed": len(failures), "duration": 1.5}
    return {
        "test-results": {**tests, "failures": failures},
        "coverage-report": {"line_rate": rate, "branch_rate": 0.5, "files": {"src/pay.py": rate}},
        "security-findings": {"vulnerabilities": list(vulnerabilities), "summary": {**summary, "medium": 0}},
    }


def test_reports_in_the_json_of_older_users_are_read_and_compared(
    served: Mounted, store: ArtifactStore, job: str
) -> None:
    """F-039, F-040, F-041: written as files, understood behind them, and what changed is named."""
    before, after = job, f"{job}-next"
    worse = {"id": "CVE-2026-1111", "severity": "critical", "file": "src/pay.py", "description": "pays twice"}
    for name, reports in ((before, report(0.9)), (after, report(0.7, worse))):
        (served.path / name).mkdir()
        for file, said in reports.items():
            (served.path / name / file).write_text(json.dumps(said))
    found = {file: answered(served.path / after / file)["numbers"] for file in report(0)}
    numbers = {key: value for said in found.values() if isinstance(said, dict) for key, value in said.items()}
    assert (numbers["tests.total"], numbers["tests.failed"], numbers["tests.seconds"]) == (2, 1, 1.5)
    assert (numbers["coverage.line"], numbers["coverage.branch"], numbers["findings.critical"]) == (70, 50, 1)
    compared = store.compare(after, before).comparison
    assert compared.coverage is not None
    assert compared.findings is not None
    assert compared.tests is not None
    assert compared.coverage.line.change == pytest.approx(-20)
    assert [finding.rule for finding in compared.findings.new] == ["CVE-2026-1111"]
    assert [change.id.name for change in compared.tests.new_failures] == ["test_login"]


def test_a_mime_type_follows_the_name_and_can_be_said(store: ArtifactStore, job: str) -> None:
    """F-042."""
    names = {"page.html": "text/html", "report.json": "application/json", "shot.png": "image/png"}
    assert {name: store.put(f"{job}/{name}", b"x").mime_type for name in names} == names
    said = store.put(f"{job}/notes", b"# Heading\n", mime_type="text/markdown")
    assert said.mime_type == store.metadata(f"{job}/notes").mime_type == "text/markdown"
    found = store.find(f"job={job} and mime=text/markdown")
    assert [artifact.path for artifact in found] == ["notes"]
