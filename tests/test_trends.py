"""`history`, `trend` and `badge` where nothing is mounted: one test, or one number, through the jobs."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from mountfs.api import ArtifactStore
from mountfs.errors import InvalidArgument, InvalidName, NotFound
from tests.test_comparing import Put, put, run_in, store
from tests.written import cobertura, junit

__all__ = ["put", "store"]


@pytest.fixture
def jobs(put: Put) -> Put:
    """Five jobs of main, of which the last two fail, and one of a pull request."""
    for number, (outcome, covered) in enumerate([("P", 80), ("P", 82), ("S", 82), ("F", 79), ("F", 60)], 1):
        files = {"junit.xml": junit(a=outcome, b="P"), "coverage.xml": cobertura(covered), "a.log": b"x" * 100 * number}
        put(f"build-{number}", files, branch="main", commit=f"c0ffee{number}")
    put("from-outside", {"junit.xml": junit(a="P"), "coverage.xml": cobertura(1)}, branch="main", pr="9")
    return put


# -- history --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", ["a", "tests.test_a.a", "tests/test_a.py::a", "tests.test_a::a"])
def test_history_names_the_commit_since_which_a_test_fails(store: ArtifactStore, jobs: Put, said: str) -> None:
    found = store.history(said, branch="main").history
    assert [row.job.job for row in found.rows] == [f"build-{number}" for number in (5, 4, 3, 2, 1)]
    assert found.failing_since is not None
    assert found.failing_since.first.commit == "c0ffee4"
    assert found.failing_since.last_before is not None
    assert found.failing_since.last_before.commit == "c0ffee2", "where it was skipped it said nothing"


def test_history_ends_after_so_many_jobs_that_ran_tests(store: ArtifactStore, jobs: Put) -> None:
    jobs("without-tests", {"a.log": b"x"}, branch="main")
    found = store.history("a", branch="main", newest=2).history
    assert [row.job.job for row in found.rows] == ["build-5", "build-4"]


def test_jobs_of_pull_requests_count_without_a_branch_only(store: ArtifactStore, jobs: Put) -> None:
    assert {row.job.job for row in store.history("a").history.rows} >= {"from-outside", "build-1"}


def test_a_report_that_cannot_be_read_is_told_and_not_taken_for_a_run(store: ArtifactStore, jobs: Put) -> None:
    jobs("broken", {"junit.xml": junit(a="P")[:-20]}, branch="main")
    found = store.history("a", branch="main")
    assert [sentence.partition(":")[0] for sentence in found.unreadable] == ["broken/junit.xml"]
    assert "broken" not in {row.job.job for row in found.history.rows}


def test_a_test_that_nobody_ran_is_not_found(store: ArtifactStore, jobs: Put) -> None:
    with pytest.raises(NotFound):
        store.history("test_nothing")
    with pytest.raises(InvalidArgument):
        store.history("a", newest=0)


# -- trend ----------------------------------------------------------------------------------------------------


def values(store: ArtifactStore, what: str, **wanted: object) -> list[float]:
    found = store.trend(what, branch="main", **wanted).trend  # type: ignore[arg-type]
    return [point.value for point in found.points]


def test_a_trend_of_coverage_is_that_of_lines_in_each_job(store: ArtifactStore, jobs: Put) -> None:
    """F-105."""
    assert values(store, "coverage.line") == values(store, "coverage") == [80, 82, 82, 79, 60]
    assert values(store, "coverage.line", newest=2) == [79, 60]
    assert values(store, "tests.failed") == [0, 0, 0, 1, 1]


def test_a_trend_of_sizes_is_of_all_or_of_a_type(store: ArtifactStore, jobs: Put) -> None:
    """F-104."""
    assert values(store, "size", type="build-logs") == values(store, "size.logs") == [100, 200, 300, 400, 500]
    whole = values(store, "size")
    assert all(size > 500 for size in whole)


def test_a_run_that_was_written_down_twice_counts_once(store: ArtifactStore, jobs: Put) -> None:
    tap = b"TAP version 13\n1..2\nok 1 - a\nnot ok 2 - b\n"
    jobs("twice", {"junit.xml": junit(a="P", b="F"), "results.tap": tap}, branch="main")
    assert values(store, "tests.total")[-1] == 2
    assert values(store, "tests.failed")[-1] == 1


@pytest.mark.parametrize("what", ["new_failures", "nonsense", "size.nonsense"])
def test_what_is_no_number_of_a_job_is_refused(store: ArtifactStore, jobs: Put, what: str) -> None:
    with pytest.raises((InvalidArgument, InvalidName), match=r"known|alone"):
        store.trend(what)


def test_a_number_that_nobody_knows_is_answered_with_those_that_one_job_has(store: ArtifactStore, jobs: Put) -> None:
    """What exists between two runs alone is no help to who wants a trend or a badge."""
    for ask in (store.trend, store.badge):
        with pytest.raises(InvalidArgument) as refused:
            ask("new_failure")
        said = str(refused.value)
        assert "'new_failure' is no number of a job" in said
        assert "tests.failed, " in said
        assert "bench.NAME, size.TYPE" in said
        assert not {"new_failures", "findings.new", "bench.slower"} & set(said.replace(",", "").split())


def test_a_badge_shows_the_newest_job_that_says_it(store: ArtifactStore, jobs: Put) -> None:
    """F-177."""
    jobs("without-coverage", {"a.log": b"x"}, branch="main")
    assert "<title>coverage: 60 %</title>" in store.badge("coverage", branch="main")
    assert "<title>tests failed: 1</title>" in store.badge("tests.failed", branch="main")
    assert "<title>load p95: unknown</title>" in store.badge("load.p95")


# -- the commands ---------------------------------------------------------------------------------------------


def test_the_commands_print_tables_pictures_and_json(
    store: ArtifactStore, jobs: Put, program: Callable[..., str], tmp_path: Path
) -> None:
    store.close()
    said = program("history", "test_a.a", "--branch", "main").splitlines()
    assert said[0] == "tests.test_a::a"
    assert said[1] == "fails since build-4 (commit c0ffee4); not in build-2 (commit c0ffee2) before"
    shown = program("trend", "coverage.line", "--branch", "main", "--svg", str(tmp_path / "trend.svg"))
    assert shown.splitlines()[0] == "coverage.line: 80.00 % → 60.00 % (−20.00 points) over 5 jobs"
    document = json.loads(program("trend", "coverage.line", "--branch", "main", "--json"))
    drawn = re.findall(r'data-value="([^"]+)"', (tmp_path / "trend.svg").read_text())
    assert [float(value) for value in drawn] == [point["value"] for point in document["points"]]
    assert program("badge", "coverage", "--branch", "main").startswith("<svg")


def test_an_alert_ends_with_one_and_what_nobody_says_with_three(
    store: ArtifactStore, jobs: Put, program: Callable[..., str]
) -> None:
    store.close()
    program("trend", "coverage.line", "--branch", "main", "--alert", "10%", code=1)
    program("trend", "coverage.line", "--branch", "main", "--alert", "30%")
    program("trend", "size", "--alert", "many", code=2)
    program("trend", "load.p95", code=3)
    program("history", "nothing", code=3)


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., str]:
    """`program("trend", …)` prints; `code` is how it has to end."""

    def run(*arguments: str, code: int = 0) -> str:
        done = run_in(tmp_path, *arguments)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    return run
