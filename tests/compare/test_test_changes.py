"""What a comparison says of tests (F-107, F-110; FORMATS, what compare should say)."""

import pytest

from mountfs.compare import Comparison, Options, Side, Source, compare
from mountfs.compare.outcomes import TestChange, TestChanges
from mountfs.reports.model import Case, Outcome, Parsed, TestRun
from tests.compare.building import at, case, compared, run, side


def changes(comparison: Comparison) -> TestChanges:
    assert comparison.tests is not None
    return comparison.tests


def names(found: tuple[TestChange, ...]) -> list[str]:
    return [change.id.name for change in found]


def fates(comparison: Comparison) -> dict[str, list[str]]:
    tests = changes(comparison)
    lists = {
        "new failures": tests.new_failures,
        "fixed": tests.fixed,
        "still failing": tests.still_failing,
        "disappeared": tests.disappeared,
        "new": tests.new,
        "newly skipped": tests.newly_skipped,
    }
    return {fate: names(found) for fate, found in lists.items() if found}


@pytest.mark.parametrize(
    ("before", "after", "fate"),
    [
        ("P", "F", "new failures"),
        ("P", "E", "new failures"),
        ("S", "F", "new failures"),
        ("", "F", "new failures"),
        ("F", "P", "fixed"),
        ("E", "P", "fixed"),
        ("F", "F", "still failing"),
        ("F", "E", "still failing"),
        ("F", "S", "newly skipped"),
        ("P", "S", "newly skipped"),
        ("F", "", "disappeared"),
        ("P", "", "disappeared"),
        ("", "P", "new"),
        ("", "S", "new"),
    ],
)
def test_each_test_has_the_fate_that_its_outcomes_say(before: str, after: str, fate: str) -> None:
    assert fates(compared(run(x="P", a=before), run(x="P", a=after))) == {fate: ["a"]}


@pytest.mark.parametrize("outcomes", ["PP", "SS", "SP"])
def test_a_test_that_does_not_fail_and_did_not_is_in_no_list(outcomes: str) -> None:
    assert fates(compared(run(a=outcomes[0]), run(a=outcomes[1]))) == {}


def test_a_failing_test_that_disappeared_is_not_fixed() -> None:
    comparison = compared(run(a="F", b="P"), run(b="P"))
    assert changes(comparison).fixed == ()
    assert names(changes(comparison).disappeared) == ["a"]


def test_of_tests_of_one_name_those_count_that_changed() -> None:
    tests = changes(compared(run(a="PPF"), run(a="PFF")))
    assert len(tests.new_failures) == 1
    assert len(tests.still_failing) == 1


def test_two_tests_of_one_name_that_changed_places_have_not_changed() -> None:
    assert not compared(run(a="PF"), run(a="FP")).changed


def test_a_test_that_fails_in_one_leg_and_is_fixed_in_another_is_both() -> None:
    before = at({"py311/junit.xml": run(a="F"), "py312/junit.xml": run(a="P")})
    after = at({"py311/junit.xml": run(a="P"), "py312/junit.xml": run(a="F")})
    tests = changes(compare(before, after))
    assert [str(change) for change in tests.new_failures] == ["tests.test_a::a (py312/junit.xml)"]
    assert [str(change) for change in tests.fixed] == ["tests.test_a::a (py311/junit.xml)"]


def test_shards_are_one_run() -> None:
    before = at({"shard-1.xml": run(a="P", b="P"), "shard-2.xml": run(c="P")})
    after = at({"shard-1.xml": run(a="P"), "shard-2.xml": run(c="P", b="P")})
    assert not compare(before, after).changed


def test_a_leg_that_was_added_and_fails_is_a_new_failure() -> None:
    before = at({"py311/junit.xml": run(a="P")})
    after = at({"py311/junit.xml": run(a="P"), "py313/junit.xml": run(a="F")})
    assert [change.leg for change in changes(compare(before, after)).new_failures] == ["py313/junit.xml"]


@pytest.mark.parametrize("retry", ["junit-rerun.xml", "attempt-2/junit.xml", "retry/junit.xml", "junit.retry1.xml"])
def test_a_retry_has_the_last_word_and_shows_that_the_test_is_flaky(retry: str) -> None:
    tests = changes(compare(side(run(a="P", b="P")), at({"junit.xml": run(a="F", b="P"), retry: run(a="P")})))
    assert tests.new_failures == ()
    assert names(tests.newly_flaky) == ["a"]
    assert tests.after is not None
    assert (tests.after.total, tests.after.failed) == (2, 0)


def test_a_retry_that_fails_again_is_a_failure_and_not_flaky() -> None:
    after = at({"junit.xml": run(a="F"), "junit-rerun.xml": run(a="F")})
    tests = changes(compare(side(run(a="P")), after))
    assert names(tests.new_failures) == ["a"]
    assert tests.flaky == ()


def test_a_retry_of_one_leg_does_not_hide_the_failure_of_another() -> None:
    after = at({"py311/junit.xml": run(a="F"), "py311/junit-rerun.xml": run(a="P"), "py312/junit.xml": run(a="F")})
    tests = changes(compare(at({"py311/junit.xml": run(a="P"), "py312/junit.xml": run(a="P")}), after))
    assert [change.leg for change in tests.new_failures] == ["py312/junit.xml"]


def test_a_test_that_stays_flaky_is_listed_but_is_no_change() -> None:
    flaky = TestRun((case("a", flaky=True),))
    comparison = compared(flaky, flaky)
    assert names(changes(comparison).flaky) == ["a"]
    assert changes(comparison).newly_flaky == ()
    assert not comparison.changed


@pytest.mark.parametrize(
    ("before", "after", "slower"),
    [
        (1.0, 2.0, True),
        (1.0, 1.9, False),  # less than twice
        (0.01, 0.4, False),  # less than half a second
        (0.0, 0.5, True),
        (None, 9.0, False),
        (1.0, float("nan"), False),
    ],
)
def test_slower_is_twice_as_long_and_half_a_second_more(before: float | None, after: float, slower: bool) -> None:
    was, now = (TestRun((case("a", seconds=seconds),)) for seconds in (before, after))
    assert bool(changes(compared(was, now)).slower) is slower


def test_options_say_what_slower_is() -> None:
    was, now = (TestRun((case("a", seconds=seconds),)) for seconds in (1.0, 1.3))
    assert changes(compared(was, now, Options(slower_ratio=1.2, slower_seconds=0.1))).slower


def test_a_test_that_fails_is_not_slower() -> None:
    was, now = TestRun((case("a", seconds=1),)), TestRun((case("a", "F", seconds=60),))
    assert changes(compared(was, now)).slower == ()


def test_a_pytest_node_id_and_junits_class_and_name_are_one_test() -> None:
    junit = TestRun((Case("pytest", "tests.test_a.TestX", "test_b[1/2::3]", Outcome.PASSED),))
    for name, classname in (
        ("tests/test_a.py::TestX::test_b[1/2::3]", ""),
        ("test_b[1/2::3]", "tests/test_a.py::TestX"),
    ):
        nodes = TestRun((Case("", classname, name, Outcome.FAILED),))
        assert fates(compared(junit, nodes)) == {"new failures": ["test_b[1/2::3]"]}


def test_a_run_that_is_written_down_in_two_formats_counts_once() -> None:
    failed = run(a="F", b="P")
    after = Side("job", (Source("junit.xml", Parsed("junit", failed)), Source("log.json", Parsed("reportlog", failed))))
    tests = changes(compare(side(run(a="P", b="P"), format_name="reportlog"), after))
    assert len(tests.new_failures) == 1
    assert tests.after is not None
    assert tests.after.total == 2


def test_a_run_that_names_only_its_failures_can_tell_new_and_fixed_ones() -> None:
    before = TestRun((case("a", "F"),), totals={"tests": 10, "failed": 1})
    after = TestRun((case("b", "F"),), totals={"tests": 10, "failed": 1})
    comparison = compared(before, after)
    assert fates(comparison) == {"new failures": ["b"], "fixed": ["a"]}
    assert changes(comparison).after is not None
    assert not changes(comparison).unnamed


def test_a_run_of_fewer_tests_has_fixed_none_that_it_does_not_name() -> None:
    before = TestRun((case("a", "F"),), totals={"tests": 10, "failed": 1})
    after = TestRun((), totals={"tests": 9, "failed": 0})
    assert fates(compared(before, after)) == {}


def test_failures_that_are_counted_but_not_named_are_told() -> None:
    comparison = compared(run(a="P"), TestRun((), totals={"tests": 5, "failed": 2}))
    assert changes(comparison).unnamed
    assert "not all of them are named" in str(comparison.lacks[0])


def test_a_side_without_tests_makes_no_test_new() -> None:
    comparison = compare(Side("before"), side(run(a="F", b="P")))
    assert fates(comparison) == {}
    assert [str(lack) for lack in comparison.lacks] == [
        "before: no report of tests that can be read; the other side has some"
    ]
