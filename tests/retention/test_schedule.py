"""When cleaning comes: cron's five fields, in UTC."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mountfs.errors import InvalidArgument
from mountfs.retention.schedule import check_schedule, is_due, longest_gap_seconds, next_run


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


@pytest.mark.parametrize(
    ("schedule", "after", "comes"),
    [
        ("0 2 * * *", "2026-11-22T01:59:59", "2026-11-22T02:00"),
        ("0 2 * * *", "2026-11-22T02:00:00", "2026-11-23T02:00"),
        ("*/15 * * * *", "2026-11-22T02:07:30", "2026-11-22T02:15"),
        ("30 4 * * MON", "2026-11-22T00:00:00", "2026-11-23T04:30"),
        ("0 0 29 2 *", "2026-11-22T00:00:00", "2028-02-29T00:00"),
        ("0 0 1 jan *", "2026-11-22T00:00:00", "2027-01-01T00:00"),
    ],
)
def test_the_next_run_is_the_first_moment_of_the_schedule_after_that_time(
    schedule: str, after: str, comes: str
) -> None:
    assert next_run(schedule, after_ns=ns(after)) == ns(comes)


def test_a_fraction_of_a_second_after_a_run_the_next_one_comes() -> None:
    assert next_run("0 2 * * *", after_ns=ns("2026-11-22T02:00:00") + 1) == ns("2026-11-23T02:00")


def test_no_hour_is_skipped_or_doubled_when_clocks_are_changed() -> None:
    assert next_run("30 2 * * *", after_ns=ns("2026-03-29T00:00")) == ns("2026-03-29T02:30")


@pytest.mark.parametrize(
    "text",
    ["", "0 2 * *", "0 2 * * * *", "60 * * * *", "5-1 * * * *", "*/0 * * * *", "a * * * *", "@daily", "9" * 5000,
     "0 0 * * MON#1/2", "٣ * * * *", "* * * * 1L-2", ", * * * *"],
)  # fmt: skip
def test_anything_but_five_fields_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="is not a schedule"):
        check_schedule(text)


@pytest.mark.parametrize("text", ["0 0 31 2 *", "0 0 30 2 *", "0 0 */20 * 1L"])
def test_a_schedule_that_never_comes_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match=r"never comes|bad day-of-month"):
        check_schedule(text)


def test_spaces_between_the_fields_do_not_matter() -> None:
    assert check_schedule("  0   2 * *\t* ") == "0 2 * * *"


@given(st.text(alphabet="0123456789*/-,LW#MONFEB ", max_size=40))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    try:
        schedule = check_schedule(text)
    except InvalidArgument:
        return
    assert check_schedule(schedule) == schedule


minutes = st.integers(0, 40 * 365 * 24 * 60).map(
    lambda passed: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(minutes=passed)
)


@given(st.sampled_from(["0 2 * * *", "*/7 */5 * * *", "15 3 1,15 * *", "0 0 * * 1-5"]), minutes)
def test_runs_follow_each_other(schedule: str, after: datetime) -> None:
    start = int(after.timestamp()) * 10**9
    first = next_run(schedule, after_ns=start)
    assert first > start
    assert next_run(schedule, after_ns=first - 1) == first
    assert next_run(schedule, after_ns=first) > first


def test_a_run_is_due_once_for_all_the_times_that_were_missed() -> None:
    last, now = ns("2026-11-01T02:00"), ns("2026-11-22T12:00")
    assert is_due("0 2 * * *", last_ns=last, now_ns=now)
    assert not is_due("0 2 * * *", last_ns=now, now_ns=now)


@pytest.mark.parametrize(
    ("schedule", "hours"), [("0 2 * * *", 24), ("* 2 * * *", 23), ("0 0 1 * *", 744), ("0 1 * * 5", 168)]
)
def test_the_longest_time_between_two_runs(schedule: str, hours: int) -> None:
    assert longest_gap_seconds(schedule) // 3600 == hours
