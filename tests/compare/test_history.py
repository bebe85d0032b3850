"""The history of one test, and which test a person means (`mountfs history TEST-ID`)."""

import pytest

from mountfs.compare import CaseId, History, JobFacts, find_test, history, history_as_json
from mountfs.errors import InvalidArgument, NotFound
from mountfs.reports.model import TestRun
from tests.compare.building import case

KNOWN = [
    CaseId("tests.test_a", "test_b"),
    CaseId("tests.test_a", "test_p[1]"),
    CaseId("tests.test_a", "test_p[2]"),
    CaseId("tests.test_a.TestX", "test_c"),
    CaseId("com.example.FooTest", "test_c"),
    CaseId("", "adds 1 + 2"),
    CaseId("github.com/x/y", "TestAdd/small"),
]


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ("tests/test_a.py::test_b", 0),
        ("./tests/test_a.py::test_b", 0),
        ("tests.test_a.test_b", 0),
        ("tests.test_a::test_b", 0),
        ("test_a.py::test_b", 0),
        ("test_b", 0),
        ("tests/test_a.py::test_p[2]", 2),
        ("test_p[2]", 2),
        ("tests/test_a.py::TestX::test_c", 3),
        ("TestX::test_c", 3),
        ("com.example.FooTest.test_c", 4),
        ("FooTest.test_c", 4),
        ("adds 1 + 2", 5),
        ("TestAdd/small", 6),
        ("small", 6),
    ],
)
def test_a_test_is_found_as_people_write_it(wanted: str, index: int) -> None:
    assert find_test(wanted, KNOWN) == KNOWN[index]


@pytest.mark.parametrize(("wanted", "candidates"), [("test_c", 2), ("test_p", 2), ("tests/test_a.py::test_p", 2)])
def test_a_word_that_means_several_tests_is_answered_with_them(wanted: str, candidates: int) -> None:
    with pytest.raises(InvalidArgument, match=f"is {candidates} tests, say which: .*::test_"):
        find_test(wanted, KNOWN)


def test_a_word_that_means_none_is_answered_with_the_nearest() -> None:
    with pytest.raises(NotFound, match=r"near it: tests\.test_a::test_b"):
        find_test("tests.test_a::test_bb", KNOWN)
    with pytest.raises(NotFound):
        find_test("", KNOWN)


def test_a_part_of_a_word_is_no_end_of_a_name() -> None:
    with pytest.raises(NotFound):
        find_test("est_b", KNOWN)


def told(ends: str, *, seconds: list[float] | None = None, commits: str = "") -> History:
    """The history of a test by its outcomes, oldest first: P, F, S, `f` for flaky, a space where it was not run."""
    runs = []
    for number, ended in enumerate(ends):
        time = seconds[number] if seconds else None
        cases = () if ended == " " else (case("t", "P" if ended == "f" else ended, seconds=time, flaky=ended == "f"),)
        commit = commits[number] if commits else f"c{number}"
        runs.append((JobFacts(f"job-{number}", number, commit), TestRun((*cases, case("other")))))
    return history("test_a::t", reversed(runs))


def since(found: History, what: str) -> tuple[str, str | None] | None:
    held = {"failing": found.failing_since, "flaky": found.flaky_since, "slower": found.slower_since}[what]
    return None if held is None else (held.first.job, held.last_before.job if held.last_before else None)


def test_rows_come_newest_first() -> None:
    found = told("PF ")
    assert [(row.job.job, row.outcome, row.times) for row in found.rows] == [
        ("job-2", None, 0),
        ("job-1", "failed", 1),
        ("job-0", "passed", 1),
    ]


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ("PPFF", ("job-2", "job-1")),
        ("PFPF", ("job-3", "job-2")),
        ("FF", ("job-0", None)),
        ("PF FSF ", ("job-1", "job-0")),
        ("PFP", None),
        ("P", None),
    ],
)
def test_a_test_fails_since_the_first_of_the_failures_that_last(ends: str, expected: tuple[str, str | None]) -> None:
    assert since(told(ends), "failing") == expected


def test_a_test_flakes_since_a_retry_first_ended_otherwise() -> None:
    assert since(told("PPfPf"), "flaky") == ("job-2", "job-1")
    assert since(told("PPFF"), "flaky") is None


def test_a_test_that_passed_and_failed_at_one_commit_is_flaky_there() -> None:
    found = told("PPFP", commits="abbc")
    assert [row.flaky for row in found.rows] == [False, True, True, False]
    assert since(found, "flaky") == ("job-1", "job-0")


def test_a_test_is_slower_since_its_time_stepped_up() -> None:
    found = told("PPPPPP", seconds=[1.0, 1.2, 0.9, 3.0, 3.3, 2.9])
    assert since(found, "slower") == ("job-3", "job-2")
    assert found.slower == (1.0, 3.0)


@pytest.mark.parametrize("seconds", [[1.0, 1.1, 0.9, 1.2], [0.01, 0.01, 0.1, 0.1], [3.0, 3.0, 1.0, 1.0], [5.0]])
def test_noise_and_small_or_downward_steps_are_not_slower(seconds: list[float]) -> None:
    assert since(told("P" * len(seconds), seconds=seconds), "slower") is None


def test_a_job_that_ran_the_test_several_times_shows_the_worst() -> None:
    legs = TestRun((case("t", "P", seconds=1.0), case("t", "F", seconds=2.0)))
    row = history("t", [(JobFacts("a", 1), legs)]).rows[0]
    assert (row.outcome, row.seconds, row.times) == ("failed", 2.0, 2)


def test_the_json_of_a_history_has_a_schema_number() -> None:
    document = history_as_json(told("PF"))
    assert (document["schema"], document["test"]) == (1, "tests.test_a::t")
