"""A quota warns once a crossing, a report that jumped is told with what was usual, a run with what it dropped."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mountfs.events import JumpRule, QuotaWarning, SizeJump, expired, size_jump, warn
from mountfs.retention import Dated, Policy, decide
from tests.retention.history import TODAY_NS, report

GIB, MIB = 1024**3, 1024**2


def warnings(*used: int, threshold: float = 0.8) -> list[int]:
    """The usages, of a quota of 100, at which a warning was given."""
    found, has_warned = [], False
    for used_bytes in used:
        warning, has_warned = warn(used_bytes, 100, threshold=threshold, has_warned=has_warned)
        found += [used_bytes] if warning else []
    return found


@pytest.mark.parametrize(
    ("used", "warned"),
    [
        ((10, 79, 80), [80]),
        ((80, 85, 99, 120), [80]),
        ((81, 79, 82, 77, 80), [81]),
        ((81, 75, 82), [81, 82]),
        ((81, 10, 20, 90), [81, 90]),
        ((79, 78, 10), []),
    ],
)
def test_a_warning_comes_once_for_each_crossing(used: tuple[int, ...], warned: list[int]) -> None:
    assert warnings(*used) == warned


def test_without_a_quota_there_is_no_warning() -> None:
    assert warn(10**15, 0, threshold=0.8, has_warned=True) == (None, False)


@given(st.lists(st.integers(0, 130), max_size=30), st.sampled_from([0.5, 0.8, 1.0]))
def test_between_two_warnings_the_usage_fell_below_the_threshold(used: list[int], threshold: float) -> None:
    at, has_warned = [], False
    for number, used_bytes in enumerate(used):
        warning, has_warned = warn(used_bytes, 100, threshold=threshold, has_warned=has_warned)
        at += [number] if warning else []
    for one, other in zip(at, at[1:], strict=False):  # noqa: RUF007
        assert min(used[one:other]) < 100 * threshold <= used[other]


def test_a_warning_says_how_much_and_what_to_do() -> None:
    assert QuotaWarning(83 * GIB, 100 * GIB, 0.8).text == (
        "83.0 GiB of the quota of 100.0 GiB are used (83 %); `mountfs stats --by job` shows by whom, `mountfs cleanup`"
        " makes room"
    )


# Sizes


@pytest.mark.parametrize(
    ("stored", "before", "jumped"),
    [
        (40 * MIB, [20 * MIB] * 5, True),
        (39 * MIB, [20 * MIB] * 5, False),
        (19 * MIB, [5 * MIB] * 5, True),
        (14 * MIB, [5 * MIB] * 5, False),
        (900 * MIB, [MIB, MIB], False),
        (900 * MIB, [], False),
        (40 * MIB, [20 * MIB, 500 * MIB, 20 * MIB], True),
        (10 * MIB, [0, 0, 0], True),
    ],
)
def test_a_report_jumped_that_takes_twice_what_was_usual_and_much_more(
    stored: int, before: list[int], *, jumped: bool
) -> None:
    assert bool(size_jump("build-7", "build-logs", stored, before)) is jumped


def test_only_the_last_ones_are_usual() -> None:
    rule = JumpRule(last=3)
    found = size_jump("build-7", "build-logs", 90 * MIB, [30 * MIB] * 3 + [900 * MIB] * 9, rule=rule)
    assert found == SizeJump("build-7", "build-logs", 90 * MIB, 30 * MIB, 3)
    assert found.text == (
        "build-logs of build-7 takes 90.0 MiB, 3.0 times the 30.0 MiB that were usual in the last 3 jobs"
    )


def test_what_counts_as_a_jump_can_be_said() -> None:
    rule = JumpRule(factor=1.5, least_bytes=0, fewest=1)
    assert size_jump("a", "diff", 15, [10], rule=rule)
    assert not size_jump("a", "diff", 14, [10], rule=rule)


def test_where_nothing_was_usual_the_sentence_divides_by_nothing() -> None:
    assert "far more than the 0 B" in SizeJump("a", "diff", 20 * MIB, 0, 3).text


# What a run dropped


def test_a_run_is_one_event_however_much_it_dropped() -> None:
    dated = replace(report("c", age=1), dated=(Dated("a.xml", TODAY_NS, 50),))
    reports = [report("a", age=40), report("b", age=40), report("b", "build-logs", age=1), dated]
    found = expired(decide(reports, Policy(default_ttl_days=30), now_ns=TODAY_NS))
    assert found is not None
    assert [(job.job, job.is_gone, job.artifacts, job.stored_bytes) for job in found.jobs] == [
        ("a", True, 2, 200),
        ("b", False, 2, 200),
        ("c", False, 1, 50),
    ]
    assert found.text == "5 artifacts of 3 jobs expired and free 450 B; `mountfs restore` still brings them back"
    assert found.jobs[2].sentences == ("c/a.xml: its own date was 2024-10-04 00:00 UTC (expires_at)",)


def test_a_run_that_dropped_nothing_is_no_event() -> None:
    assert expired(decide([report()], Policy(), now_ns=TODAY_NS)) is None
