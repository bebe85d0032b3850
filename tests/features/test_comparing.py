"""Promises F-101 to F-114 as far as they are about runs: a real project at two commits, compared by its own reports."""

import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from mountfs.api import ArtifactStore
from tests.features.conftest import Shell
from tests.mounting import REPOSITORY, Mounted
from tests.written import answered

pytestmark = pytest.mark.usefixtures("unmeasured")

SAMPLE: Final = REPOSITORY / "tests" / "sample_project"
BROKEN: Final = ('return "".join(parts[:2]) or "0s"', 'return "".join(parts[:2])')  # of 0 seconds it says nothing
UNTESTED: Final = """

def evaluated(text: str) -> object:
    # what a user typed
    result = eval(text)
    return result
"""
STEADY: Final = """\
def test_a_size_of_many_digits_is_read() -> None:
    assert parse_size("1" * 10) == int("1" * 10)
"""
FLAKY: Final = """\
def test_a_size_of_many_digits_is_read() -> None:
    import pathlib

    seen = pathlib.Path(__file__).with_name("seen")
    first, _ = not seen.exists(), seen.touch()
    assert not first
"""
RUN: Final = """
job=.artifacts/$1; mkdir $job
mountfs tag $1 branch=$2 commit=$(git -C clone rev-parse HEAD)
out=$PWD/$job; cd clone; rm -f tests/seen
python -m coverage run --branch --source quantities --data-file ../measured -m pytest -q -p no:cacheprovider \
    -p pytest_rerunfailures --reruns 1 --junitxml $out/junit.xml > $out/pytest.log || true
python -m coverage xml -q --data-file ../measured -o $out/coverage.xml
python -m bandit -q -r quantities -f json -o $out/bandit.json || true
"""
QUIET: Final = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1", "COVERAGE_PROCESS_START": ""}
WHO: Final = {
    "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.com", "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.com", "GIT_CONFIG_GLOBAL": "/dev/null",
}  # fmt: skip


def _edit(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


@pytest.fixture(scope="module")
def commits(project: Mounted) -> tuple[str, str]:
    """The project at two commits, and a job of each: `run-good` of main, `run-bad` of a feature."""
    shell = Shell(project.path.parent)
    clone = shell.directory / "clone"
    shutil.copytree(SAMPLE, clone, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    with open(clone / "tests/test_size_texts.py", "a", encoding="utf-8") as tests:
        tests.write(f"\n\n{STEADY}")
    (clone / "conftest.py").write_text("")  # the root from which `quantities` is found
    commit = "cd clone; git add -A; git commit -qm more; git rev-parse HEAD"
    good = shell(f"git -C clone init -q -b main; {commit}", environment=WHO).strip()
    shell(f"set -- run-good main; {RUN}", environment=QUIET)
    _edit(clone / "quantities/durations.py", *BROKEN)
    _edit(clone / "tests/test_size_texts.py", STEADY, FLAKY)
    with open(clone / "quantities/sizes.py", "a", encoding="utf-8") as code:
        code.write(UNTESTED)
    bad = shell(commit, environment=WHO).strip()
    shell(f"set -- run-bad feature; {RUN}", environment=QUIET)
    return good, bad


Said = Mapping[str, object]


def compared(shell: Shell, *more: str, code: int = 0) -> dict[str, object]:
    """What `compare run-bad --baseline main --json` says."""
    words = " ".join(more)
    out = shell(f"mountfs compare run-bad --baseline main --repo clone --json {words} || test $? = {code}")
    found: dict[str, object] = json.loads(out)
    return found


def named(said: object, *fields: str) -> list[tuple[object, ...]]:
    assert isinstance(said, list)
    return [tuple(one[field] for field in fields) for one in said]


FAILING: Final = "test_a_duration_is_written_in_its_two_longest_units[0-0s]"


def test_compare_names_exactly_what_the_second_commit_did(shell: Shell, commits: tuple[str, str]) -> None:
    """F-107 to F-110, F-113, and issue 5, done when 2."""
    said = compared(shell)
    found = said["comparison"]
    assert isinstance(found, dict)
    assert named(found["new_failures"], "name") == [(FAILING,)]
    assert named(found["flaky"], "name") == [("test_a_size_of_many_digits_is_read",)]
    assert named(found["new_findings"], "rule", "severity") == [("B307", "medium")]
    for nothing in ("fixed", "still_failing", "disappeared", "newly_skipped", "fixed_findings", "new_tests", "slower"):
        assert found[nothing] == [], nothing
    coverage = found["coverage"]
    assert coverage["change"] < 0
    assert coverage["before"] > coverage["after"]
    assert [Path(str(path)).name for (path,) in named(coverage["files"], "path")] == ["sizes.py"]


def test_compare_says_which_baseline_how_old_and_how_far_away(shell: Shell, commits: tuple[str, str]) -> None:
    """F-108."""
    baseline = compared(shell)["baseline"]
    assert isinstance(baseline, dict)
    assert (baseline["job"], baseline["rule"], baseline["commits_away"]) == ("run-good", "latest", 1)
    assert 0 <= baseline["age_seconds"] < 3600
    second = shell("mountfs compare run-bad --baseline main --repo clone").splitlines()[1]
    assert re.fullmatch(r"run-bad against run-good \(latest, \d+ (s|min) old, 1 commit away\)", second)


def test_gates_decide_by_the_exit_code(shell: Shell, commits: tuple[str, str]) -> None:
    """F-112."""
    gates = "new_failures>0, coverage.line<-0.5, findings.high>0"
    said = compared(shell, "--fail-on", f"'{gates}'", code=1)
    assert said["passed"] is False
    assert named(said["gates"], "name", "failed") == [
        ("new_failures", True), ("coverage.line", True), ("findings.high", False),
    ]  # fmt: skip
    shell("mountfs compare run-bad run-good --fail-on 'findings.high>0'")


def test_history_names_the_commit(shell: Shell, commits: tuple[str, str]) -> None:
    """Issue 5, done when 2."""
    good, bad = commits
    said = json.loads(shell(f"mountfs history '{FAILING}' --json"))
    assert said["failing_since"]["first"]["commit"] == bad
    assert said["failing_since"]["last_before"]["commit"] == good
    flaky = json.loads(shell("mountfs history test_a_size_of_many_digits_is_read --json"))
    assert (flaky["failing_since"], flaky["flaky_since"]["first"]["commit"]) == (None, bad)


def test_trend_shows_coverage_and_sizes_and_a_badge_the_newest(
    shell: Shell, store: ArtifactStore, commits: tuple[str, str]
) -> None:
    """F-104, F-105, F-177."""
    coverage = json.loads(shell("mountfs trend coverage.line --json"))
    values = {point["job"]: point["value"] for point in coverage["points"]}
    assert [job for job in values if job.startswith("run-")] == ["run-good", "run-bad"]
    assert values["run-bad"] < values["run-good"]
    sizes = json.loads(shell("mountfs trend size --type test-results --json"))
    expected = [store.metadata(f"{job}/junit.xml").size for job in ("run-good", "run-bad")]
    assert [point["value"] for point in sizes["points"] if point["job"].startswith("run-")] == expected
    shell("mountfs badge coverage --branch main > badge.svg")
    shown = f"coverage: {int(values['run-good'])} %"
    assert f"<title>{shown}</title>" in (shell.directory / "badge.svg").read_text()


def timed(seconds: float) -> bytes:
    times = [seconds * factor for factor in (0.99, 1.0, 1.01)]
    spread = {"mean": seconds, "stddev": seconds / 100, "median": seconds, "min": times[0], "max": times[2]}
    return json.dumps({"results": [{"command": "make test", **spread, "times": times}]}).encode()


def test_a_benchmark_that_became_slower_fails_its_gate(store: ArtifactStore, job: str) -> None:
    """F-113: beyond its noise; a change within it is none."""
    for name, seconds in (("before", 1.0), ("same", 1.01), ("slower", 1.5)):
        store.put(f"{job}-{name}/hyperfine.json", timed(seconds))
    gate = "bench.slower>0"
    assert store.compare(f"{job}-same", f"{job}-before", fail_on=gate).passed
    compared = store.compare(f"{job}-slower", f"{job}-before", fail_on=gate)
    assert not compared.passed
    assert "make test" in compared.as_markdown()


def test_the_daemon_has_understood_what_the_tools_wrote(served: Mounted, commits: tuple[str, str]) -> None:
    """F-113."""
    found = {}
    for name in ("junit.xml", "coverage.xml", "bandit.json"):
        path = served.path / "run-good" / name
        assert answered(path)["status"] == "parsed"
        found[name] = os.getxattr(path, b"user.mountfs.format").decode()
    assert found == {"junit.xml": "junit", "coverage.xml": "cobertura", "bandit.json": "bandit"}
